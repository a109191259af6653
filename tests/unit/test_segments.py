"""Segments of a long clip and noise that belongs to frame numbers."""

import pytest
import torch

from zoetrope.temporal.frame_noise import frame_noise, mixed
from zoetrope.temporal.segments import segments


def test_the_last_segment_moves_back_and_holds_more():
    cut = [(s.start, s.frames, s.held) for s in segments(37, 16, 4)]
    assert cut == [(0, 16, 0), (12, 16, 4), (21, 16, 7)]
    assert [(s.start, s.frames, s.held) for s in segments(5, 16, 4)] == [(0, 5, 0)]
    assert [s.numbers for s in segments(4, 2, 0)] == [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    ("total", "window", "overlap"), [(1, 1, 0), (16, 16, 4), (17, 16, 15), (100, 16, 4), (33, 8, 0)]
)
def test_every_frame_is_new_once(total, window, overlap):
    new = [number for s in segments(total, window, overlap) for number in s.numbers[s.held :]]
    assert new == list(range(total))
    assert all(s.frames == min(window, total) for s in segments(total, window, overlap))


@pytest.mark.parametrize(
    ("window", "overlap", "words"), [(0, 0, "window 0 must"), (8, 8, "set it to 7 or less"), (8, -1, "overlap -1")]
)
def test_impossible_segments_are_named(window, overlap, words):
    with pytest.raises(ValueError, match=words):
        list(segments(20, window, overlap))


def test_noise_belongs_to_seed_frame_and_draw():
    shape = (4, 8, 8)
    whole = frame_noise(3, range(-2, 6), shape)
    assert torch.equal(whole[3:5], frame_noise(3, [1, 2], shape))
    others = [frame_noise(4, [1], shape), frame_noise(3, [1], shape, draw=1), frame_noise(1, [3], shape)]
    for other in others:
        assert not torch.equal(whole[3:4], other)
    assert len({mixed(a, b, c) for a in range(20) for b in range(-20, 20) for c in range(20)}) == 16000


def test_noise_is_gaussian_and_frames_are_unrelated():
    """Bounds are five standard errors of mean, variance and correlation of 4096 numbers a frame."""
    noise = frame_noise(0, range(64), (4, 32, 32)).flatten(1)
    assert noise.mean(1).abs().max() < 5 / 64
    assert (noise.var(1) - 1).abs().max() < 5 * (2 / 4096) ** 0.5
    assert torch.corrcoef(noise).fill_diagonal_(0).abs().max() < 5 / 64
