"""Windows: what every schedule promises, the cured defects, and refusals in words."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoetrope.temporal.windows.blending import WEIGHTS_BY_METHOD
from zoetrope.temporal.windows.schedules import WINDOWS_BY_SCHEDULE, step_phase, windows_for_step
from zoetrope.temporal.windows.settings import FUSE_METHODS, SCHEDULES, WITHOUT_OVERLAP, WindowSettings


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
    chosen = WindowSettings(length=16, overlap=overlap, schedule=schedule)
    for total in range(1, 81):
        for step in range(20):
            windows = windows_for_step(chosen, total, step)
            assert {frame for window in windows for frame in window} == set(range(total))
            assert all(len(set(window)) == len(window) for window in windows)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("total", [1, 15, 16])
def test_a_clip_that_fits_one_window_is_one_window(schedule, total):
    assert windows_for_step(WindowSettings(length=16, overlap=4, schedule=schedule), total, 3) == [list(range(total))]


def test_every_name_has_a_function_and_every_function_a_name():
    """The names are the widgets' choices; their order is part of the contract."""
    assert tuple(WINDOWS_BY_SCHEDULE) == SCHEDULES
    assert tuple(WEIGHTS_BY_METHOD) == FUSE_METHODS
    assert set(WITHOUT_OVERLAP) < set(SCHEDULES)


def test_known_windows():
    # by hand from the definition: windows of 4 that share 1, last one moved back
    assert windows_for_step(WindowSettings(length=4, overlap=1, schedule="standard_static"), 9, 5) == [
        [0, 1, 2, 3],
        [3, 4, 5, 6],
        [5, 6, 7, 8],
    ]
    assert windows_for_step(WindowSettings(length=4, overlap=1, schedule="batched"), 9, 5) == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8],
    ]
    looped = WindowSettings(length=4, overlap=1, schedule="looped_uniform")
    assert windows_for_step(looped, 6, 0) == [[0, 1, 2, 3], [3, 4, 5, 0]]
    # step 1 starts half a clip later
    assert windows_for_step(looped, 6, 1) == [[3, 4, 5, 0], [0, 1, 2, 3]]


def test_closed_loop_adds_the_window_over_the_seam():
    open_loop, closed = (
        WindowSettings(length=4, overlap=1, schedule="looped_uniform", closed_loop=joined) for joined in (False, True)
    )
    assert windows_for_step(open_loop, 7, 0) == [[0, 1, 2, 3], [3, 4, 5, 6]]
    assert windows_for_step(closed, 7, 0) == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 0, 1, 2]]


@pytest.mark.parametrize("schedule", [s for s in SCHEDULES if s != "looped_uniform"])
def test_only_looped_windows_and_closed_loops_wrap(schedule):
    for step in range(8):
        for window in windows_for_step(WindowSettings(length=8, overlap=3, schedule=schedule, stride=3), 37, step):
            assert window == sorted(window)


@pytest.mark.parametrize("step", range(8))
def test_standard_uniform_is_looped_uniform_in_a_closed_loop(step):
    standard, looped = (
        WindowSettings(length=8, overlap=3, schedule=f"{name}_uniform", closed_loop=True)
        for name in ("standard", "looped")
    )
    assert windows_for_step(standard, 37, step) == windows_for_step(looped, 37, step)


def test_static_windows_run_over_the_end_of_a_closed_loop():
    # by hand: windows of 4 that share 1, from frame 0 on until the ring is full
    closed = WindowSettings(length=4, overlap=1, schedule="standard_static", closed_loop=True)
    assert windows_for_step(closed, 7, 5) == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 0, 1, 2]]


@pytest.mark.parametrize("schedule", [s for s in SCHEDULES if s not in WITHOUT_OVERLAP])
def test_neighbours_in_a_closed_loop_share_the_overlap_all_around(schedule):
    closed = WindowSettings(length=8, overlap=3, schedule=schedule, closed_loop=True)
    for total in range(9, 40):
        for step in range(8):
            windows = windows_for_step(closed, total, step)
            for window, following in pairwise([*windows, windows[0]]):
                assert window[-3:] == following[:3] or set(window[-3:]) <= set(following)


@pytest.mark.parametrize("schedule", [s for s in SCHEDULES if s != "batched"])
def test_a_closed_loop_in_one_window_begins_at_every_frame_in_turn(schedule):
    closed = WindowSettings(length=16, overlap=4, schedule=schedule, closed_loop=True)
    runs = [windows_for_step(closed, 8, step) for step in range(8)]
    # step_phase times 8 frames
    assert [window[0] for (window,) in runs] == [0, 4, 2, 6, 1, 5, 3, 7]
    assert all((b - a) % 8 == 1 for (window,) in runs for a, b in pairwise(window))
    assert windows_for_step(WindowSettings(length=16, overlap=0, schedule="batched", closed_loop=True), 8, 1) == [
        list(range(8))
    ]


@pytest.mark.parametrize("closed", [False, True])
def test_shifted_windows_hold_each_frame_once_and_none_is_short(closed):
    for length in (1, 2, 5, 8, 16):
        chosen = WindowSettings(length=length, overlap=0, schedule="shifted", closed_loop=closed)
        for total in range(length + 1, 5 * length + 3):
            for step in range(2 * length):
                windows = windows_for_step(chosen, total, step)
                assert sorted(frame for window in windows for frame in window) == list(range(total))
                assert all(length / 2 <= len(window) <= length for window in windows)
                assert all((b - a) % total == 1 for window in windows for a, b in pairwise(window))


@pytest.mark.parametrize(("closed", "length", "total"), [(False, 8, 40), (False, 7, 33), (True, 8, 40), (True, 7, 33)])
def test_borders_of_shifted_windows_visit_every_place(closed, length, total):
    """Half a window at each end of an open clip is never cut, else a window would be short."""
    steps = 16
    first = [
        {
            window[0]
            for window in windows_for_step(
                WindowSettings(length=length, overlap=0, schedule="shifted", closed_loop=closed), total, k
            )
        }
        for k in range(steps)
    ]
    cuts = [sum(place in starts for starts in first) for place in range(total)]
    half = (length + 1) // 2
    inner = cuts if closed else cuts[half : total - half + 1]
    assert all(0 < count < steps for count in inner)


def test_known_shifted_windows():
    # by hand: first border at step_phase * 4 = 0, 2, 1; at 1 the first and the last window are too short, so 1 + 4 is halved
    shifted = WindowSettings(length=4, overlap=0, schedule="shifted")
    assert windows_for_step(shifted, 10, 0) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert windows_for_step(shifted, 10, 1) == [[0, 1], [2, 3, 4, 5], [6, 7, 8, 9]]
    assert windows_for_step(shifted, 10, 2) == [[0, 1], [2, 3, 4], [5, 6, 7], [8, 9]]
    # the ring of 10 in three pieces: borders at 10/3 * (0, 1, 2) and, half a piece on, 10/3 * (0.5, 1.5, 2.5)
    ring = WindowSettings(length=4, overlap=0, schedule="shifted", closed_loop=True)
    assert windows_for_step(ring, 10, 0) == [[0, 1, 2], [3, 4, 5], [6, 7, 8, 9]]
    assert windows_for_step(ring, 10, 1) == [[1, 2, 3, 4], [5, 6, 7], [8, 9, 0]]


@pytest.mark.parametrize(
    ("chosen", "passes"),
    [
        (WindowSettings(length=16, overlap=4, schedule="shifted"), 1.0),
        (WindowSettings(length=16, overlap=4, schedule="shifted", closed_loop=True), 1.0),
        (WindowSettings(length=16, overlap=4, schedule="batched"), 1.0),
        (WindowSettings(length=16, overlap=4, schedule="standard_uniform"), 16 / 12),
        (WindowSettings(length=16, overlap=4, schedule="looped_uniform", closed_loop=True), 16 / 12),
    ],
)
def test_passes_through_the_unet_per_frame_and_step(chosen, passes):
    """Windows that share 4 of 16 frames advance by 12; what the clip's length leaves over costs up to a window."""
    total = 240
    counts = [sum(map(len, windows_for_step(chosen, total, step))) / total for step in range(20)]
    assert counts == pytest.approx([passes] * 20, abs=0 if passes == 1 else 16 / total)


def test_dilated_window_longer_than_the_clip_holds_each_frame_once():
    # core makes [0, 2, ..., 18, 0, 2, ..., 10] of this, and past the clip's end for standard_uniform
    looped = windows_for_step(WindowSettings(length=16, overlap=4, schedule="looped_uniform", stride=2), 20, 0)
    assert list(range(0, 20, 2)) in looped
    standard = windows_for_step(WindowSettings(length=16, overlap=4, schedule="standard_uniform", stride=2), 20, 0)
    assert list(range(1, 20, 2)) in standard


def test_frames_that_core_leaves_out_with_a_stride_get_a_window():
    # frame 1 is in none of core's windows here (11 frames, length 5, overlap 2, stride 2, step 2): 0/0 there
    windows = windows_for_step(WindowSettings(length=5, overlap=2, schedule="standard_uniform", stride=2), 11, 2)
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


@pytest.mark.parametrize("schedule", WITHOUT_OVERLAP)
def test_an_overlap_that_is_not_used_is_not_refused(schedule):
    WindowSettings(length=4, overlap=4, schedule=schedule).validate()
