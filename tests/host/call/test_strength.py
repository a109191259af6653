"""Strengths over frames and picture: which value reaches which frame and pixel."""

import pytest
import torch

from zoetrope.host.call.strength import Strength
from zoetrope.temporal.values.frame_values import listed_values

pytestmark = pytest.mark.newest_host
LIKE = torch.zeros(1, dtype=torch.float64)
# Three frames of 2 x 6 pixels, left half and right half: every half has a value of its own.
HALVES = torch.tensor([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
MASK = HALVES[:, None, :].repeat_interleave(3, dim=2).repeat(1, 2, 1)


def test_a_mask_gives_each_frame_its_own_rows():
    """A window of frames out of order, on a map of 3 rows and 12 columns; the last mask is held after frame 2."""
    frames, height, width = (2, 0, 5, 1), 3, 12
    value = Strength(factors=(MASK,)).at(frames, 6, height, width, LIKE)
    assert value.shape == (4, height * width) and value.dtype == LIKE.dtype
    picture = value.view(4, height, width)
    for row, frame in zip(picture, (2, 0, 2, 1), strict=True):
        left, right = HALVES[frame].tolist()
        # Only the two columns next to the edge blend, each a quarter of the way (half a pixel of the map is a quarter
        # of the mask's).
        across = [left] * 5 + [0.75 * left + 0.25 * right, 0.25 * left + 0.75 * right] + [right] * 5
        assert row.tolist() == [pytest.approx(across)] * height


def test_factors_multiply_frame_by_frame_and_pixel_by_pixel():
    strength = Strength(0.5, (MASK,)).times(Strength(factors=(listed_values([1.0, 10.0, 100.0]),)))
    value = strength.at((2, 1), 3, 2, 6, LIKE).view(2, 2, 6)
    assert strength.spatial and not strength.constant
    assert value[0, 1].tolist() == pytest.approx([15.0] * 3 + [35.0] * 3)  # 0.5 * 100 * (0.3, 0.7)
    assert value[1, 0].tolist() == pytest.approx([1.0] * 3 + [4.0] * 3)  # 0.5 * 10 * (0.2, 0.8)


def test_values_alone_are_one_a_frame():
    value = Strength(2.0, (listed_values([1.0, 3.0, 5.0]),)).at((2, 0), 3, 4, 4, LIKE)
    assert value.tolist() == [[10.0], [2.0]]


class Counted:
    """Values that count how often they are calculated."""

    times = 0

    def at(self, total_frames):
        self.times += 1
        return [float(frame) for frame in range(total_frames)]


def test_values_of_a_clip_are_calculated_once_however_many_windows_ask():
    values = Counted()
    strength = Strength(factors=(values,))
    memo: dict = {}  # of a run
    rows = [strength.at((first, first + 1), 100, 1, 1, LIKE, memo).flatten().tolist() for first in (0, 50, 98)]
    assert rows == [[0, 1], [50, 51], [98, 99]] and values.times == 1
    assert strength.at((0, 2), 3, 1, 1, LIKE).flatten().tolist() == [0, 2] and values.times == 2
