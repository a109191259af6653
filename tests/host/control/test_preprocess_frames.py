"""Preprocess Frames as the host calls it: kinds of images, sizes, progress, interrupt, and its hints in a ControlNet."""

import pytest
import torch
from comfy import model_management, utils

from support.toy_models import unet as toy
from zoetrope.host.control.preprocess_frames import hint_size, preprocess_frames
from zoetrope.nodes.control import ApplyControlNetPerFrame
from zoetrope.nodes.preprocess import PreprocessFrames
from zoetrope.preprocessors.methods import METHODS, PreprocessSettings


def frames(count=3, height=48, width=64, channels=3):
    """A bright box on grey, one pixel further right in every frame."""
    images = torch.full((count, height, width, channels), 0.25)
    for number in range(count):
        images[number, 12:36, 16 + number : 44 + number] = 0.9
    return images


@pytest.mark.parametrize("method", METHODS)
def test_every_method_follows_the_frames(method):
    images = frames(height=96, width=128)
    before = images.clone()
    (hints,) = PreprocessFrames.execute(images, method, shuffle_seed=1).result
    assert hints.shape == (3, 96, 128, 3)
    assert hints.dtype == torch.float32
    assert 0 <= hints.min() < hints.max() <= 1
    assert not torch.equal(hints[0], hints[1])
    assert torch.equal(images, before)


def test_grey_alpha_and_half_precision_are_the_same_pictures():
    images = frames()
    expected = preprocess_frames(images, PreprocessSettings())
    edge = expected[1, 24, :, 0].nonzero().flatten().tolist()
    assert len(edge) == 2
    assert edge[0] in (16, 17)  # the box starts at 17; both pixels beside a step are as steep
    assert edge[1] in (44, 45)
    alpha = torch.cat([images, torch.rand(3, 48, 64, 1)], dim=-1)
    strided = images.transpose(1, 2).contiguous().transpose(1, 2)
    for other in (images[..., :1], alpha, images.half(), strided):
        assert torch.equal(preprocess_frames(other, PreprocessSettings()), expected)


@pytest.mark.newest_host
def test_values_outside_the_range_are_clipped():
    images = torch.tensor([-1.0, 0.0, 0.5, 1.0, 3.0, float("nan")])[None, None, :, None].expand(1, 4, 6, 3)
    hints = preprocess_frames(images, PreprocessSettings(method="tile", strength=0.0))
    assert hints[0, 0, :, 0].tolist() == pytest.approx([0, 0, 128 / 255, 1, 1, 0])


@pytest.mark.newest_host
@pytest.mark.parametrize(
    ("size", "resolution", "expected"),
    [((480, 854), 512, (512, 912)), ((1080, 1920), 512, (512, 912)), ((33, 57), 0, (33, 57)), ((9, 900), 8, (8, 800))],
)
def test_resolution_is_the_shorter_side(size, resolution, expected):
    assert hint_size(*size, resolution) == expected
    if size[0] < 60:
        images = torch.rand(1, *size, 3)
        hints = preprocess_frames(images, PreprocessSettings(method="recolor", strength=0.0, resolution=resolution))
        assert hints.shape == (1, *expected, 3)
        assert float(hints.mean()) == pytest.approx(float(images.mean()), abs=0.02)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.rand(0, 8, 8, 3), r"\(0, 8, 8, 3\) are empty: connect at least one frame"),
        (torch.rand(8, 8, 3), r"\(8, 8, 3\) are no frames"),
        (torch.rand(1, 8, 8, 2), r"\(1, 8, 8, 2\) are no frames"),
    ],
)
def test_what_is_no_clip_is_told(images, words):
    with pytest.raises(ValueError, match=words):
        preprocess_frames(images, PreprocessSettings())


def test_thresholds_in_the_wrong_order_are_told():
    with pytest.raises(ValueError, match=r"low_threshold 0\.6 is above"):
        PreprocessSettings(low_threshold=0.6, high_threshold=0.2).check()


def test_progress_counts_frames_and_an_interrupt_ends_the_work(monkeypatch):
    told = []

    def hook(value, total, preview, node_id=None):
        told.append((value, total))
        if value == 1:  # later ones are not all told
            model_management.interrupt_current_processing()

    monkeypatch.setattr(utils, "PROGRESS_BAR_HOOK", None)
    preprocess_frames(frames(4), PreprocessSettings())
    utils.set_progress_bar_global_hook(hook)
    try:
        with pytest.raises(model_management.InterruptProcessingException):
            preprocess_frames(frames(50), PreprocessSettings(temporal_smoothing=0.5))
    finally:
        model_management.interrupt_current_processing(False)
    assert told[0][1] == 50
    assert told[-1][0] < 50


def test_hints_reach_the_control_net():
    """One hint a frame, and another hint is another picture."""
    model, control = toy.toy_model_patcher(), toy.toy_controlnet()
    images = frames(4, 128, 128)
    results = {}
    for method in ("canny", "soft_edge"):
        hints = PreprocessFrames.execute(images, method, temporal_smoothing=0.5).result[0]
        positive, negative = ApplyControlNetPerFrame.execute(
            toy.conditioning(), toy.conditioning(seed=9), control, hints, 1.0, "0: 1.0", 0.0, 1.0
        ).result
        results[method] = toy.sample(model, positive, negative, frames=4, steps=1)
    plain = toy.sample(model, toy.conditioning(), toy.conditioning(seed=9), frames=4, steps=1)
    assert not torch.allclose(results["canny"], plain, atol=1e-4)
    assert not torch.allclose(results["canny"], results["soft_edge"], atol=1e-4)
