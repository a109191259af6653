"""Windows: what every schedule promises, the cured defects, and refusals in words."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoetrope.temporal.windows import SCHEDULES, WindowSettings, step_phase, windows_for_step


@st.composite
def cases(draw):
    length = draw(st.integers(1, 40))
    chosen = WindowSettings(
        length=length,
        overlap=draw(st.integers(0, length - 1)),
        schedule=draw(st.sampled_from(list(SCHEDULES))),
        stride=draw(st.integers(1, 5)),
        closed_loop=draw(st.booleans()),
    )
    return chosen, draw(st.integers(1, 80)), draw(st.integers(0, 30))


@settings(max_examples=400, deadline=None)
@given(cases())
def test_every_frame_is_covered_and_no_window_holds_a_frame_twice(case):
    chosen, total, step = case
    chosen.validate()
    windows = windows_for_step(chosen, total, step)
    assert {frame for window in windows for frame in window} == set(range(total))
    for window in windows:
        assert 1 <= len(window) <= chosen.length
        assert len(set(window)) == len(window)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("overlap", [0, 4, 8, 15])
def test_every_length_at_every_step_of_a_usual_run(schedule, overlap):
    chosen = WindowSettings(16, overlap, schedule)
    for total in range(1, 81):
        for step in range(20):
            windows = windows_for_step(chosen, total, step)
            assert {frame for window in windows for frame in window} == set(range(total))
            assert all(len(set(window)) == len(window) for window in windows)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("total", [1, 15, 16])
def test_a_clip_that_fits_one_window_is_one_window(schedule, total):
    assert windows_for_step(WindowSettings(16, 4, schedule), total, 3) == [list(range(total))]


def test_known_windows():
    # by hand from the definition: windows of 4 that share 1, last one moved back
    assert windows_for_step(WindowSettings(4, 1, "standard_static"), 9, 5) == [[0, 1, 2, 3], [3, 4, 5, 6], [5, 6, 7, 8]]
    assert windows_for_step(WindowSettings(4, 1, "batched"), 9, 5) == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    looped = WindowSettings(4, 1, "looped_uniform")
    assert windows_for_step(looped, 6, 0) == [[0, 1, 2, 3], [3, 4, 5, 0]]
    # step 1 starts half a clip later
    assert windows_for_step(looped, 6, 1) == [[3, 4, 5, 0], [0, 1, 2, 3]]


def test_closed_loop_adds_the_window_over_the_seam():
    open_loop, closed = (WindowSettings(4, 1, "looped_uniform", closed_loop=joined) for joined in (False, True))
    assert windows_for_step(open_loop, 7, 0) == [[0, 1, 2, 3], [3, 4, 5, 6]]
    assert windows_for_step(closed, 7, 0) == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 0, 1, 2]]


@pytest.mark.parametrize("schedule", [s for s in SCHEDULES if s != "looped_uniform"])
def test_only_looped_windows_wrap(schedule):
    for step in range(8):
        for window in windows_for_step(WindowSettings(8, 3, schedule, stride=3, closed_loop=True), 37, step):
            assert window == sorted(window)


def test_dilated_window_longer_than_the_clip_holds_each_frame_once():
    # core makes [0, 2, ..., 18, 0, 2, ..., 10] of this, and past the clip's end for standard_uniform
    looped = windows_for_step(WindowSettings(16, 4, "looped_uniform", stride=2), 20, 0)
    assert list(range(0, 20, 2)) in looped
    standard = windows_for_step(WindowSettings(16, 4, "standard_uniform", stride=2), 20, 0)
    assert list(range(1, 20, 2)) in standard


def test_frames_that_core_leaves_out_with_a_stride_get_a_window():
    # frame 1 is in none of core's windows here (11 frames, length 5, overlap 2, stride 2, step 2): 0/0 there
    windows = windows_for_step(WindowSettings(5, 2, "standard_uniform", stride=2), 11, 2)
    assert [1, 2, 3, 4, 5] in windows


def test_step_phase_halves_in_order():
    assert [step_phase(k) for k in range(8)] == [0, 1 / 2, 1 / 4, 3 / 4, 1 / 8, 5 / 8, 3 / 8, 7 / 8]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"length": 0, "overlap": 0}, "context_length 0 must be at least 1"),
        ({"overlap": -1}, "context_overlap -1 must not be negative"),
        ({"overlap": 16}, "context_overlap 16 must be smaller than context_length 16.*lower context_overlap to 15"),
        ({"overlap": 20}, "context_overlap 20 must be smaller"),
        ({"stride": 0}, "context_stride 0 must be at least 1"),
        ({"schedule": "random"}, "Unknown window schedule 'random'; choose one of standard_uniform"),
        ({"fuse": "overlap-linear"}, "Unknown fuse method 'overlap-linear'; choose one of pyramid"),
    ],
)
def test_refusals_name_the_value_and_the_cure(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        WindowSettings(**wrong).validate()
