"""Blend weights: known numbers, positions in wrapped windows, and shares that add up to one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoetrope.temporal.windows.blending import SMALLEST_WEIGHT, blend_shares, window_weights
from zoetrope.temporal.windows.schedules import windows_for_step
from zoetrope.temporal.windows.settings import FUSE_METHODS, SCHEDULES, WindowSettings


def weights(method, window, total, overlap=2):
    return window_weights(WindowSettings(length=8, overlap=overlap, fuse=method), window, total)


@pytest.mark.parametrize(("count", "expected"), [(1, [1]), (4, [1, 2, 2, 1]), (5, [1, 2, 3, 2, 1])])
def test_pyramid_peaks_in_the_middle(count, expected):
    assert weights("pyramid", list(range(count)), 20) == expected


def test_flat_is_flat():
    assert weights("flat", [3, 4, 5], 20) == [1, 1, 1]


def test_overlap_linear_ramps_except_at_the_clip_ends():
    thirds = [SMALLEST_WEIGHT, 0.5, 1]
    assert weights("overlap_linear", list(range(5, 13)), 20, 3) == pytest.approx([*thirds, 1, 1, *thirds[::-1]])
    assert weights("overlap_linear", list(range(8)), 20, 3) == pytest.approx([1, 1, 1, 1, 1, *thirds[::-1]])
    assert weights("overlap_linear", list(range(12, 20)), 20, 3) == pytest.approx([*thirds, 1, 1, 1, 1, 1])


def test_overlap_linear_without_overlap_is_flat():
    assert weights("overlap_linear", [5, 6, 7], 20, 0) == [1, 1, 1]


def test_overlap_linear_ramps_both_ends_of_a_window_over_the_seam():
    assert weights("overlap_linear", [18, 19, 0, 1, 2], 20, 2) == pytest.approx(
        [SMALLEST_WEIGHT, 1, 1, 1, SMALLEST_WEIGHT]
    )


@pytest.mark.parametrize("schedule", [s for s in SCHEDULES if s != "batched"])
def test_a_closed_loop_has_no_ends(schedule):
    closed = WindowSettings(length=8, overlap=3, schedule=schedule, fuse="overlap_linear", closed_loop=True)
    inner = window_weights(closed, list(range(5, 13)), 20)
    for window in (list(range(8)), list(range(12, 20)), [18, 19, 0, 1, 2, 3, 4, 5]):
        assert window_weights(closed, window, 20) == inner


def test_relative_is_a_tent_over_the_window():
    # 1 - |i - 1.5| / 1.505 at i = 0, 1, 2, 3, and not below 0.01
    assert weights("relative", [4, 5, 6, 7], 20) == pytest.approx([0.01, 0.66777, 0.66777, 0.01], abs=1e-5)


@pytest.mark.parametrize("method", FUSE_METHODS)
def test_a_wrapped_window_weighs_positions_as_any_other(method):
    assert weights(method, [18, 19, 0, 1, 2], 20) == pytest.approx(weights(method, [10, 11, 12, 13, 14], 20))


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(list(SCHEDULES)),
    st.sampled_from(list(FUSE_METHODS)),
    st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))),
    st.integers(1, 40),
    st.integers(0, 9),
    st.integers(1, 3),
)
def test_shares_of_every_frame_add_up_to_one(schedule, method, size, total, step, stride):
    length, overlap = size
    chosen = WindowSettings(
        length=length, overlap=overlap, schedule=schedule, fuse=method, stride=stride, closed_loop=True
    )
    windows = windows_for_step(chosen, total, step)
    sums = dict.fromkeys(range(total), 0.0)
    for window, shares in zip(windows, blend_shares(chosen, windows, total), strict=True):
        for frame, share in zip(window, shares, strict=True):
            sums[frame] += share
    assert sums == pytest.approx(dict.fromkeys(range(total), 1.0))


@pytest.mark.parametrize("method", FUSE_METHODS)
def test_a_single_window_has_share_one_exactly(method):
    assert blend_shares(WindowSettings(length=16, overlap=4, fuse=method), [[0, 1, 2]], 3) == [[1.0, 1.0, 1.0]]
