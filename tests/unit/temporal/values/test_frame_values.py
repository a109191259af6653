"""One number per frame from a list."""

import math

import numpy as np
import pytest

from zoetrope.temporal.values.frame_values import CurveValues, FrameValues, Product, listed_values
from zoetrope.temporal.values.schedule import parse_value_schedule


@pytest.mark.parametrize(("total", "expected"), [(2, [1, 2]), (3, [1, 2, 3]), (5, [1, 2, 3, 3, 3])])
def test_a_list_is_cut_or_its_last_value_held(total, expected):
    assert listed_values([1, 2.0, 3]).at(total) == listed_values([np.int64(1), np.float32(2), 3]).at(total) == expected


@pytest.mark.parametrize("bad", [[], [1, math.nan], [1, "2"], [True]])
def test_unusable_lists(bad):
    with pytest.raises(ValueError, match="values per frame"):
        listed_values(bad)


def test_schedules_and_lists_are_frame_values():
    assert isinstance(listed_values([1]), FrameValues)
    assert isinstance(parse_value_schedule("0: 1"), FrameValues)
    assert not isinstance([1.0], FrameValues)


@pytest.mark.parametrize(("text", "frames"), [("0: 1", 1), ("0: 1, 12: 0", 13), ("0: 1, -1: 0", 1), ("1.0: 3", 1)])
def test_numbered_frames(text, frames):
    assert parse_value_schedule(text).numbered_frames == frames


def test_curves_are_as_long_as_the_clip():
    rising = CurveValues(lambda positions: [x * x for x in positions], 2.0, 4.0)
    assert rising.at(5) == [2.0, 2.125, 2.5, 3.125, 4.0]
    assert rising.at(1) == [2.0]


def test_products():
    values = Product((listed_values([1, 2]), parse_value_schedule("0: 1, -1: 3")))
    assert values.at(3) == [1.0, 4.0, 6.0]
    assert isinstance(values, FrameValues)
