"""Segments of a long clip."""

import pytest

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
