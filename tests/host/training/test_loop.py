"""Trainings from beginning to end: what is refused, what is told, and what the file does when it is loaded."""

import pytest
import safetensors.torch
import torch

from support.toy_models import unet as toy
from support.toy_models.files import animate, motion_lora, motion_model, put, relative_error
from support.toy_training import assert_same, files_in, settings, state_of, toy_target
from support.training_clips import ToyClip, ToyClips
from zoetrope.host.call.sampling_range import SamplingRange
from zoetrope.host.call.strength import Strength
from zoetrope.host.loading import model_files
from zoetrope.host.lora.domain_adapter import apply_domain_adapter
from zoetrope.host.lora.motion_lora import load_motion_lora
from zoetrope.host.motion.load import load_motion_model
from zoetrope.host.training.loop import train
from zoetrope.host.training.motion_lora import MotionLoraOptions, motion_lora_target
from zoetrope.host.training.motion_model import motion_model_target
from zoetrope.host.training.watching import Watcher
from zoetrope.training.state_file import read_state

SHORT = {"frames": 2, "preview_every": 0}


@pytest.fixture(scope="module")
def motion(tmp_path_factory):
    return motion_model(tmp_path_factory.mktemp("motion"), "v3")


def test_no_memory_saves_and_says_what_to_change(motion, tmp_path):
    class Greedy(ToyClips):
        def text(self, caption):
            if len(self.asked) == 4:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")
            return super().text(caption)

    files = files_in(tmp_path)
    asked = settings(steps=3, batch=2, checkpointing="motion", **SHORT)
    words = r"in step 2 with 2 x 2 frames of 128 x 128 pixels; try checkpointing all.*then batch 1.*1 steps is saved"
    with pytest.raises(RuntimeError, match=words):
        train(toy_target("lora", motion), Greedy(), asked, files)
    assert read_state(files.state).step == 1


@pytest.mark.newest_host
def test_other_settings_are_refused_and_starting_anew_is_not(motion, tmp_path):
    files = files_in(tmp_path)
    train(toy_target("adapter", motion), ToyClips(), settings(steps=1, **SHORT), files)
    other = settings(steps=1, learning_rate=0.5, **SHORT)
    with pytest.raises(ValueError, match="'trained.state.safetensors' holds.*learning_rate was 0.001 and is 0.5"):
        train(toy_target("adapter", motion), ToyClips(), other, files)
    assert train(toy_target("adapter", motion), ToyClips(), other, files, go_on=False).trained == 1


def test_clips_and_models_that_do_not_fit_are_told(motion, tmp_path):
    def attempt(clips, **changed):
        train(toy_target("lora", motion), clips, settings(**changed), files_in(tmp_path))

    with pytest.raises(ValueError, match="1 of 2 clips have fewer than 4 frames .the first is 'short' with 3."):
        attempt(ToyClips((ToyClip("long", "", 9), ToyClip("short", "", 3))))
    with pytest.raises(ValueError, match="is empty"):
        attempt(ToyClips(()))
    with pytest.raises(ValueError, match="positions for 32 frames; set frames from 40"):
        attempt(ToyClips((ToyClip("long", "", 99),)), frames=40)
    with pytest.raises(ValueError, match="already has motion model 'v3.safetensors'"):
        motion_model_target(animate(toy.toy_model_patcher(), motion), "v3", seed=1)
    with pytest.raises(ValueError, match="positions is 24; .* v3 has at least 32"):
        motion_model_target(toy.toy_model_patcher(), "v3", seed=1, positions=24)
    with pytest.raises(ValueError, match="'animatelcm.safetensors' is distilled"):
        motion_lora_target(toy.toy_model_patcher(), motion_model(tmp_path, "animatelcm"), MotionLoraOptions(), seed=1)


def test_watchers_see_each_step_and_may_sample(motion, tmp_path, caplog):
    steps, previews = [], []

    def preview(done, model):
        previews.append(toy.sample(model, frames=2, steps=1))
        if done == 2:
            raise ValueError("no picture")

    watcher = Watcher(step=lambda report: steps.append((report.step, report.steps, report.rate)), preview=preview)
    asked = settings(steps=3, warm_up=1, frames=2, preview_every=1, save_every=1)
    watched, alone = files_in(tmp_path, "watched"), files_in(tmp_path, "alone")
    train(toy_target("lora", motion), ToyClips(), asked, watched, watcher)
    assert steps == [(1, 3, 5e-4), (2, 3, 1e-3), (3, 3, 1e-3)]
    assert len(previews) == 3 and not torch.equal(previews[0], previews[2])
    assert "The preview after step 2 failed (no picture)" in caplog.text
    train(toy_target("lora", motion), ToyClips(), settings(steps=3, warm_up=1, **SHORT), alone)
    assert_same(state_of(watched), state_of(alone))


@pytest.mark.parametrize("kind", ["lora", "model", "adapter"])
def test_the_file_does_what_was_trained(motion, tmp_path, kind):
    """Sampled with the weights as they learnt, and with the file that the product loads."""
    target, files = toy_target(kind, motion), files_in(tmp_path, kind)
    train(target, ToyClips(), settings(steps=2, learning_rate=0.02, **SHORT), files)
    model, weights = toy.toy_model_patcher(), safetensors.torch.load_file(files.result)
    again = tmp_path / f"{kind}-again.safetensors"
    if kind == "lora":
        put(model_files.MOTION_LORAS, again, weights)
        without = animate(model, motion)
        with_file = animate(model, motion, loras=(load_motion_lora(again.name, Strength()),))
    elif kind == "model":
        put(model_files.MOTION_MODELS, again, weights)
        without = animate(model, motion_model(tmp_path, "v3", "still.safetensors", gain=0.0))
        with_file = animate(model, load_motion_model(again.name))
    else:
        put("loras", again, weights)
        without = model
        with_file = apply_domain_adapter(model, again.name, 1.0, SamplingRange())
    expected, ours, plain = (toy.sample(one, frames=2, steps=1) for one in (target.model, with_file, without))
    assert relative_error(ours, expected) < 1e-4
    assert relative_error(plain, expected) > 1e-3


@pytest.mark.newest_host
def test_a_stack_below_learns_nothing_and_acts(motion, tmp_path):
    """A MotionLoRA that changes over time runs beside the weights too, in the same network as the one that learns."""
    below = motion_lora(tmp_path, [1.0, -1.0], mid=False)
    target = motion_lora_target(toy.toy_model_patcher(), motion, MotionLoraOptions(rank=2), 1, (below,))
    own = {id(layer) for layer, _ in target.holders.values()}
    low_rank = next(p.model for p in target.patchers if hasattr(p.model, "downs"))
    before = [layer.weight.clone() for layer in [*low_rank.downs, *low_rank.ups] if id(layer) not in own]
    train(target, ToyClips(), settings(steps=1, **SHORT), files_in(tmp_path))
    after = [layer.weight for layer in [*low_rank.downs, *low_rank.ups] if id(layer) not in own]
    assert len(own) == 320 and len(before) == 320
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_loop_is_the_products_own_call(tmp_path):
    """A motion model of whose modules one is left out is still an error, in training as in sampling."""
    target = toy_target("lora", motion_model(tmp_path, "v3"))
    del target.patchers[1].model.sites["input_1"]
    with pytest.raises(RuntimeError, match="19 of 20 modules"):
        train(target, ToyClips(), settings(steps=1, **SHORT), files_in(tmp_path))
