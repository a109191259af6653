"""Settings of a training: what is refused, and what belongs to the digest."""

import pytest

from zoetrope.training.memory import GIB, KEPT, activation_bytes, fitting_checkpointing
from zoetrope.training.settings import TrainingSettings
from zoetrope.training.stages import STAGES


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("steps", 0, "steps is 0; it must be at least 1"),
        ("learning_rate", 0.0, "learning_rate is 0; it must be above 0"),
        ("learning_rate", float("nan"), "learning_rate is nan"),
        ("text_dropout", 1.5, "text_dropout is 1.5; it is a share"),
        ("ema", 1.0, "ema is 1; it must be 0"),
        ("min_timestep", -1, "min_timestep is -1 and max_timestep 999; they are 0 to 999, the lower first."),
        ("max_timestep", 1000, "min_timestep is 0 and max_timestep 1000; they are 0 to 999"),
        ("min_snr", -1.0, "min_snr is -1.0; it must be 0 or more"),
        ("loss", "huber", "loss is 'huber'; choose one of 'paper', 'debiased'"),
        ("precision", "fp8", "precision is 'fp8'"),
        ("checkpointing", "some", "checkpointing is 'some'"),
    ],
)
def test_wrong_values_are_told(name, value, words):
    with pytest.raises(ValueError, match=words):
        TrainingSettings(**{name: value})


def test_more_steps_and_other_habits_go_on():
    base = TrainingSettings().digest_parts()
    free = TrainingSettings(steps=9, save_every=1, preview_every=0, checkpointing="all").digest_parts()
    assert free == base
    assert TrainingSettings(learning_rate=3e-4).digest_parts() != base
    assert TrainingSettings(frames=8).digest_parts() != base


def test_stages_differ():
    assert len({stage.name for stage in STAGES}) == 3


def test_memory_is_the_counted_one_at_its_size_and_in_proportion():
    size = {"batch": 1, "frames": 16, "height": 64, "width": 64}
    assert activation_bytes("none", **size) == round(KEPT["none"] * GIB)
    assert activation_bytes("all", **{**size, "height": 32, "width": 32}) == pytest.approx(
        activation_bytes("all", **size) / 4
    )
    assert activation_bytes("none", **size, item=4) == pytest.approx(2 * activation_bytes("none", **size))
    chosen = [fitting_checkpointing(gib * GIB, **size) for gib in (24, 16, 8, 1)]
    assert chosen == ["none", "motion", "all", "all"]
