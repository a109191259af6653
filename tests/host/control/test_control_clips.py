"""Clips under a control, as a user sees them."""

import pytest
import torch

import nodes
from support.toy_models import unet as toy
from zoetrope.host.sampling.context_windows import apply_windows
from zoetrope.nodes.control import ControlNetPerFrame
from zoetrope.temporal.windows.settings import WindowSettings


@pytest.fixture(scope="module")
def model():
    return toy.toy_model_patcher()


def controlled(schedule, hints):
    """(positive, negative) with a toy ControlNet of this schedule, by core's own Apply node."""
    net = ControlNetPerFrame.execute(toy.toy_controlnet(), schedule, "hold")[0]
    conds = toy.conditioning(), toy.conditioning(6)
    return nodes.ControlNetApplyAdvanced().apply_controlnet(*conds, net, hints, 1.0, 0.0, 1.0)


def moving_square(frames):
    """Hints, black with a white square that goes from the left to the right."""
    hints = torch.zeros(frames, 8 * toy.SIZE, 8 * toy.SIZE, 3)
    for frame in range(frames):
        left = frame * (7 * toy.SIZE) // (frames - 1)
        hints[frame, 48:80, left : left + toy.SIZE] = 1.0
    return hints


def test_a_moving_square_shows_in_the_frames_with_strength_and_nowhere_else(model):
    """What the square changes follows it, in windows, and ends where the strength does."""
    frames, windowed = 8, apply_windows(model, WindowSettings(length=4, overlap=1))
    schedule, squares = "0: 1 hold, 5: 0", moving_square(frames)

    def clip(hints):
        conds = controlled(schedule, hints)
        return toy.sample(windowed, *conds, frames=frames, steps=1)

    changed = (clip(squares) - clip(torch.zeros_like(squares))).abs().sum(1)  # (F, H, W)
    assert changed[5:].eq(0).all() and changed[:5].flatten(1).amax(1).gt(0).all()
    columns = changed[:5].sum(1)
    centres = (columns * torch.arange(toy.SIZE)).sum(1) / columns.sum(1)
    assert (centres.diff() > 0).all(), centres


def test_one_control_in_two_samplers_one_after_the_other(model):
    """Both runs are as if each had the control for itself; the second has another length and size of hints."""
    conds = controlled("0: 1, -1: 0.2", toy.hints(6))
    first, again = (toy.sample(model, *conds, frames=6, steps=1) for _ in range(2))
    between = toy.sample(apply_windows(model, WindowSettings(length=3, overlap=1)), *conds, frames=4, steps=1)
    fresh = controlled("0: 1, -1: 0.2", toy.hints(6))
    assert torch.equal(first, again)
    assert torch.equal(
        between, toy.sample(apply_windows(model, WindowSettings(length=3, overlap=1)), *fresh, frames=4, steps=1)
    )
    assert torch.equal(toy.sample(model, *conds, frames=6, steps=1), first)
