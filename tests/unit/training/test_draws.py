"""Draws of a training: the official frame numbers, and the same draws for the same seed and step whatever came before."""

import numpy as np
import pytest
import torch

from support.training_clips import ToyClip
from zoetrope.training.draws import Draws, frame_numbers

CLIPS = tuple(ToyClip(f"clip {i}", f"caption {i}", 20 + i, 8, 8 if i % 3 else 12) for i in range(10))


def draws(**changed):
    given = {
        "flips": True,
        "frames": 4,
        "stride": 2,
        "batch": 2,
        "accumulation": 3,
        "timesteps": (0, 999),
        "text_dropout": 0.5,
        "seed": 7,
    }
    return Draws(CLIPS, **{**given, **changed})


def test_frame_numbers_are_the_official_formula():
    """guoyww/AnimateDiff ``animatediff/data/dataset.py``, restated with the start given."""
    generator = np.random.default_rng(0)
    for stored, frames, stride in zip(
        generator.integers(16, 400, 200), generator.integers(1, 17, 200), generator.integers(1, 9, 200), strict=True
    ):
        clip_length = min(stored, (frames - 1) * stride + 1)
        place = float(generator.random())
        start = int(place * (stored - clip_length + 1))
        expected = np.linspace(start, start + clip_length - 1, frames, dtype=int)
        found = frame_numbers(int(stored), int(frames), int(stride), place)
        assert found == tuple(expected)
        assert found[0] >= 0 and found[-1] < stored


def test_every_start_is_drawn():
    starts = {frame_numbers(10, 4, 2, place)[0] for place in np.linspace(0, 0.9999, 100)}
    assert starts == {0, 1, 2, 3}  # 10 - 7 + 1 places for 7 frames


def test_draws_depend_on_seed_step_and_call_only():
    one, other = draws(), draws()
    for step in (0, 1, 5):
        other.at(step + 3, 0)
        assert one.at(step, 2) == other.at(step, 2)
    assert one.at(0, 0) != draws(seed=8).at(0, 0)
    assert one.at(0, 0).noise_seed != one.at(0, 1).noise_seed != one.at(1, 0).noise_seed
    noise = one.at(0, 0).noise((2, 3))
    assert torch.equal(noise, other.at(0, 0).noise((2, 3)))


def test_other_settings_do_not_change_what_else_is_drawn():
    plain, without = draws().at(4, 1), draws(text_dropout=0.0, flips=False).at(4, 1)
    assert [c.timestep for c in plain.clips] == [c.timestep for c in without.clips]
    assert [c.numbers for c in plain.clips] == [c.numbers for c in without.clips]


def test_an_epoch_has_every_clip_and_a_call_one_size():
    made = draws(accumulation=1)
    calls = [made.at(step, 0) for step in range(made.calls_of_epoch)]
    assert {one.clip for call in calls for one in call.clips} == set(range(len(CLIPS)))
    for call in calls:
        assert len(call.clips) == 2
        assert len({(CLIPS[one.clip].height, CLIPS[one.clip].width) for one in call.clips}) == 1
    again = [made.at(step + made.calls_of_epoch, 0) for step in range(made.calls_of_epoch)]
    assert [[one.clip for one in call.clips] for call in again] != [[one.clip for one in call.clips] for call in calls]


def test_shares_and_ranges():
    """1,800 draws; a share of 0.5 is off by more than 0.06 once in 3 million times (binomial, 5 deviations)."""
    drawn = [one for step in range(300) for call in range(3) for one in draws().at(step, call).clips]
    assert abs(np.mean([one.captioned for one in drawn]) - 0.5) < 0.06
    assert abs(np.mean([one.flipped for one in drawn]) - 0.5) < 0.06
    steps = [one.timestep for one in drawn]
    assert 0 <= min(steps) < 20 and 980 <= max(steps) <= 999
    assert {one.debias_frame for one in drawn} == {0, 1, 2, 3}


@pytest.mark.parametrize(("share", "expected"), [(0.0, True), (1.0, False)])
def test_dropout_of_none_and_all(share, expected):
    assert all(one.captioned is expected for one in draws(text_dropout=share).at(0, 0).clips)


def test_noise_levels_stay_between_their_limits_and_change_nothing_else():
    all_levels, some = draws(), draws(timesteps=(400, 449))
    seen = set()
    for step in range(60):
        for whole, part in zip(all_levels.at(step, 0).clips, some.at(step, 0).clips, strict=True):
            assert (whole.clip, whole.numbers, whole.captioned) == (part.clip, part.numbers, part.captioned)
            assert part.timestep == 400 + whole.timestep // 20  # 50 levels in place of 1,000
            seen.add(part.timestep)
    assert min(seen) < 405 and max(seen) > 444


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_out_what_one_with_their_batch_draws(processes):
    """Clips in their order, and each clip its noise to the bit."""
    alone = draws(batch=2 * processes)
    shared = [draws(processes=processes, rank=rank) for rank in range(processes)]
    for step, call in ((0, 0), (0, 2), (7, 1)):
        whole, parts = alone.at(step, call), [one.at(step, call) for one in shared]
        assert [clip for part in parts for clip in part.clips] == list(whole.clips)
        noise = torch.cat([part.noise((2, 4, 3)) for part in parts])
        assert torch.equal(noise, whole.noise((2 * processes, 4, 3)))
        assert parts[0].clips != parts[1].clips
