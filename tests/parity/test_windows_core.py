"""Windows and weights are those of ComfyUI's comfy/context_windows.py wherever core's own are usable.

Usable: every window inside the clip, no frame twice in a window, every frame in a window. Core breaks that with a
stride above 1 on short clips; those cases are ours to cure and are tested in tests/unit/temporal/windows.
"""

from types import SimpleNamespace

import comfy.context_windows as core
import pytest
import torch

from zoetrope.temporal.windows.blending import blend_shares, window_weights
from zoetrope.temporal.windows.schedules import step_phase, windows_for_step
from zoetrope.temporal.windows.settings import SCHEDULES, WindowSettings


def core_windows(settings, total, step):
    handler = SimpleNamespace(
        context_length=settings.length,
        context_overlap=settings.overlap,
        context_stride=settings.stride,
        closed_loop=settings.closed_loop,
        _step=step,
    )
    windows = core.CONTEXT_MAPPING[settings.schedule](total, handler, {})
    return [[int(frame) for frame in window] for window in windows]


def usable(windows, total):
    inside = all(0 <= frame < total for window in windows for frame in window)
    return inside and all(len(set(w)) == len(w) for w in windows) and set().union(*windows) == set(range(total))


# a closed loop is a setting of looped_uniform alone in core
SAME = [(s, False) for s in SCHEDULES if s != "shifted"] + [("looped_uniform", True), ("batched", True)]


@pytest.mark.parametrize(("schedule", "closed_loop"), SAME)
def test_windows_without_stride_equal_cores(schedule, closed_loop):
    for length, overlap in ((4, 0), (4, 1), (7, 3), (16, 4), (16, 8), (5, 4)):
        for total in range(length + 1, 70, 3):
            for step in range(9):
                settings = WindowSettings(
                    length=length, overlap=overlap, schedule=schedule, stride=1, closed_loop=closed_loop
                )
                assert windows_for_step(settings, total, step) == core_windows(settings, total, step)


@pytest.mark.parametrize("schedule", ["standard_uniform", "looped_uniform"])
def test_windows_with_stride_equal_cores_where_those_are_usable(schedule):
    compared = 0
    for length, overlap in ((4, 1), (7, 3), (16, 4)):
        for total in range(length + 1, 90, 2):
            for stride in (2, 3, 4):
                for step in range(6):
                    settings = WindowSettings(length=length, overlap=overlap, schedule=schedule, stride=stride)
                    theirs = core_windows(settings, total, step)
                    if usable(theirs, total):
                        compared += 1
                        assert windows_for_step(settings, total, step) == theirs
    assert compared > 500


def test_core_still_leaves_frames_out_with_a_stride():
    settings = WindowSettings(length=5, overlap=2, schedule="standard_uniform", stride=2)
    assert 1 not in set().union(*core_windows(settings, 11, 2))


def test_step_phase_equals_cores_ordered_halving():
    assert [step_phase(step) for step in range(200)] == [core.ordered_halving(step) for step in range(200)]


def core_weights(method, window, total, overlap):
    function = core.FUSE_MAPPING[method]
    handler = SimpleNamespace(context_overlap=overlap)
    weights = function(len(window), full_length=total, idxs=window, handler=handler, context_overlap=overlap)
    return torch.as_tensor(weights, dtype=torch.float32)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("pyramid", "pyramid"), ("flat", "flat"), ("overlap_linear", "overlap-linear")]
)
def test_weights_equal_cores(ours, theirs):
    for length, overlap in ((1, 0), (4, 1), (5, 2), (16, 4), (16, 9), (7, 6)):
        if theirs == "overlap-linear" and overlap == 0:
            continue  # core raises a shape error there
        for start in (0, 3, 40 - length):
            window = list(range(start, start + length))
            mine = torch.tensor(window_weights(WindowSettings(length=length, overlap=overlap, fuse=ours), window, 40))
            assert torch.allclose(mine, core_weights(theirs, window, 40, overlap), rtol=1e-6, atol=0)


@pytest.mark.parametrize("schedule", ["standard_static", "standard_uniform"])
def test_relative_blend_equals_cores_running_average(schedule):
    """Core updates the average window by window in ``combine_context_window_results``; ours weighs once."""
    settings = WindowSettings(length=7, overlap=3, schedule=schedule, fuse="relative")
    total, generator = 23, torch.Generator().manual_seed(0)
    handler = core.IndexListContextHandler(
        core.get_matching_context_schedule(schedule), core.get_matching_fuse_method("relative"), 7, 3
    )
    average = torch.zeros(total, 2, 1, 1)
    blended, biases = torch.zeros_like(average), [0.0] * total
    windows = windows_for_step(settings, total, 1)
    for number, (window, share) in enumerate(zip(windows, blend_shares(settings, windows, total), strict=True)):
        result = torch.randn((len(window), 2, 1, 1), generator=generator)
        handler.combine_context_window_results(
            average,
            [result],
            None,
            core.IndexListContextWindow(window, total_frames=total),
            number,
            len(windows),
            torch.ones(total),
            [average],
            [torch.ones_like(average)],
            [biases],
        )
        blended[window] += result * torch.tensor(share).view(-1, 1, 1, 1)
    assert torch.allclose(blended, average, atol=1e-6)
