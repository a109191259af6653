"""The time map: which source frame each output frame shows, and the time of the sound."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoetrope.video.decode.frame_times import Timeline, TimeMap, TimeSelection, ascending

MS = Fraction(1, 1000)
CENTISECONDS = Fraction(1, 100)


def regular(frames, rate, unit=MS, offset=0):
    """A timeline whose times are rounded to the unit, as Matroska does."""
    times = [offset + round(n / rate / unit) for n in range(frames)]
    return Timeline(times, offset + round(frames / rate / unit), unit, Fraction(rate))


def numbers(timeline, **selection):
    return list(TimeMap(timeline, TimeSelection(**selection)))


def test_every_frame_once_at_its_own_rate_whatever_times_are_rounded_to():
    for rate in (Fraction(8), Fraction(24000, 1001), Fraction(30), Fraction(60000, 1001)):
        plan = TimeMap(regular(500, rate, offset=1400), TimeSelection())
        assert list(plan) == list(range(500))
        assert (plan.rate, plan.count, plan.start, plan.seconds) == (rate, 500, 0, 500 / rate)


def test_lower_and_higher_rates():
    """Each slot shows what is on the screen when it begins."""
    assert numbers(regular(8, 30), frame_rate=15) == [0, 2, 4, 6]
    assert numbers(regular(12, 24), frame_rate=6) == [0, 4, 8]
    assert numbers(regular(4, 12), frame_rate=24) == [0, 0, 1, 1, 2, 2, 3, 3]
    # slots of 16 a second begin at frames 0, 1.5, 3 and 4.5
    assert numbers(regular(6, 24), frame_rate=16) == [0, 1, 3, 4]
    assert len(numbers(regular(240, Fraction(24000, 1001)), frame_rate=23.976)) == 240


def test_order_is_rate_start_skip_nth_max():
    """48 frames at 24 to 12: 24 slots showing every other frame. start 0.5 s leaves out 6 slots, skip 1 more."""
    plan = TimeMap(regular(48, 24), TimeSelection(frame_rate=12, start=0.5, skip_frames=1, every_nth=3, max_frames=4))
    assert list(plan) == [14, 20, 26, 32]
    assert (plan.rate, plan.start, plan.seconds) == (4, Fraction(7, 12), 1)
    assert numbers(regular(48, 24), start=0.5, seconds=0.25) == list(range(12, 18))


def test_start_is_the_nearest_frame():
    """A third of a second typed as 0.333 is frame 8 of 24, not 7."""
    assert numbers(regular(24, 24), start=0.333)[0] == 8
    assert numbers(regular(24, 24), start=0.37)[0] == 9


def test_a_varying_rate_goes_by_time_at_the_average():
    """Two slow frames, then six quick ones: 8 frames in 1 s, so slots of 1/8 s, and half of that is 62.5 ms."""
    timeline = Timeline([0, 400, 800, 833, 866, 899, 932, 965], 1000, MS)
    plan = TimeMap(timeline, TimeSelection())
    # frames before 62.5, 187.5, 312.5, 437.5, 562.5, 687.5, 812.5 and 937.5 ms
    assert (list(plan), plan.rate, plan.seconds) == ([0, 0, 0, 1, 1, 1, 2, 6], 8, 1)
    assert numbers(timeline, frame_rate=4) == [0, 0, 1, 2]  # frames before 62.5, 312.5, 562.5 and 812.5 ms


def test_each_stored_frame_once_whatever_its_time():
    """A recording with a still of 2.5 s between two halves; by time some frames come twice and some never."""
    times = [*range(0, 480, 40), *range(2980, 3460, 40)]
    recording = Timeline(times, 3460, MS)
    assert numbers(recording) != list(range(24))
    plan = TimeMap(recording, TimeSelection(by_time=False))
    assert list(plan) == list(range(24))
    assert (plan.rate, plan.start) == (TimeMap(recording, TimeSelection()).rate, 0)
    later = TimeMap(recording, TimeSelection(by_time=False, start=2.99, skip_frames=1, every_nth=2, max_frames=3))
    assert (list(later), later.start) == ([13, 15, 17], Fraction(3020, 1000))  # 2.98 is nearest, one is left out
    assert [numbers(recording, by_time=False, start=start)[0] for start in (0.02, 0.061, 0.5, 2.9)] == [1, 2, 11, 12]
    with pytest.raises(ValueError, match="leaves none"):
        numbers(recording, by_time=False, start=4)
    with pytest.raises(
        ValueError, match="frame_rate is 8 and by_time is off: .* turn by_time on, or set frame_rate to 0"
    ):
        numbers(recording, by_time=False, frame_rate=8)


def test_regular_frames_are_the_same_by_time_and_by_place():
    for selection in ({}, {"start": 0.5, "every_nth": 3}, {"start": 0.99}):
        plans = [TimeMap(regular(50, 24), TimeSelection(by_time=by_time, **selection)) for by_time in (True, False)]
        assert list(plans[0]) == list(plans[1]) and plans[0].start == plans[1].start


def test_times_that_jitter_are_taken_as_regular():
    """Phones are a few milliseconds off; halving the rate must still take every other frame."""
    jitter = [0, 5, -6, 3, -4, 6, -3, 2]
    times = [round(n * 1000 / 30) + off for n, off in enumerate(jitter)]
    assert numbers(Timeline(times, 267, MS, Fraction(30)), frame_rate=15) == [0, 2, 4, 6]


def test_a_stated_rate_is_believed_only_where_the_times_keep_to_it():
    wrong = Timeline(regular(100, 25).times, 4000, MS, Fraction(50))
    assert wrong.regular_rate() == 25
    drop = Timeline([n for n in range(100) if n != 40], 100, Fraction(1, 25), Fraction(25))
    assert (drop.regular_rate(), drop.average_rate()) == (None, Fraction(99, 4))
    unstated = Timeline(regular(90, Fraction(30000, 1001)).times, 3003, MS)
    assert unstated.regular_rate() == Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("count", "rate", "unit", "stated"),
    [
        (13, Fraction(12), MS, 0),  # 13 frames end at 1083 ms, which is 12.004 a second
        (13, Fraction(24000, 1001), MS, 0),
        (5, Fraction(12), CENTISECONDS, Fraction(25, 2)),  # what ffmpeg states of such a GIF
        (5, Fraction(25, 2), CENTISECONDS, Fraction(25, 2)),
        (100, Fraction(30), CENTISECONDS, 0),
        (20, Fraction(3, 10), MS, 0),
    ],
)
def test_rounded_times_tell_the_rate_they_were_made_at(count, rate, unit, stated):
    """As WebP, GIF and Matroska have them."""
    times = [round(n / rate / unit) for n in range(count + 1)]
    assert Timeline(times[:-1], times[-1], unit, Fraction(stated)).regular_rate() == rate


def test_a_single_frame():
    assert numbers(Timeline([7], 7, MS)) == [0]
    assert numbers(Timeline([0], 100, MS), frame_rate=30) == [0, 0, 0]


def test_no_list_is_made_of_a_huge_pause():
    """Two frames eleven days apart at 240 a second: counted, never listed."""
    plan = TimeMap(Timeline([0, 10**9], 10**9 + 1, MS, Fraction(24)), TimeSelection(frame_rate=240))
    assert plan.count == 240_000_000
    assert next(iter(plan)) == 0


@pytest.mark.parametrize(
    ("selection", "sentence"),
    [
        ({"skip_frames": 24}, "has 24 frames at 24 a second, and start 0 s with skip_frames 24 leaves none"),
        ({"start": 1.5}, "start 1.5 s with skip_frames 0 leaves none: lower them"),
        ({"every_nth": 0}, "every_nth is 0: give 1"),
        ({"max_frames": -1}, "max_frames is -1: give 0 or more"),
        ({"start": float("nan")}, "start is nan: give 0 or more"),
        ({"start": float("inf")}, "start is inf: give 0 or more"),
        ({"frame_rate": 5000.0}, "frame rate of 5000.0"),
    ],
)
def test_what_makes_no_sense_is_said_in_words(selection, sentence):
    with pytest.raises(ValueError, match=sentence):
        TimeMap(regular(24, 24), TimeSelection(**selection))


def test_times_that_are_missing_or_go_back():
    assert ascending([1, 1, 3]) == [1, 1, 3]
    assert ascending([1, None]) is None
    assert ascending([2, 1]) is None


@given(
    gaps=st.lists(st.integers(0, 900), min_size=0, max_size=40),
    last=st.integers(0, 900),
    origin=st.integers(-2000, 2000),
    stated=st.sampled_from([0, 8, Fraction(24000, 1001), 30]),
    rate=st.one_of(st.just(0), st.floats(0.1, 240)),
    start=st.floats(0, 5),
    skip=st.integers(0, 30),
    nth=st.integers(1, 7),
    most=st.integers(0, 30),
)
@settings(max_examples=200, deadline=None)
def test_any_video_and_any_selection(gaps, last, origin, stated, rate, start, skip, nth, most):
    times = [origin]
    for gap in gaps:
        times.append(times[-1] + gap)
    timeline = Timeline(times, times[-1] + last, MS, Fraction(stated))
    try:
        plan = TimeMap(
            timeline,
            TimeSelection(frame_rate=rate, start=start, skip_frames=skip, seconds=0, every_nth=nth, max_frames=most),
        )
    except ValueError as error:
        assert "leaves none" in str(error)
        return
    chosen = list(plan)
    assert len(chosen) == plan.count >= 1
    assert not most or plan.count <= most
    assert all(0 <= number < len(times) for number in chosen)
    assert all(one <= other for one, other in pairwise(chosen))
    assert plan.seconds == plan.count / plan.rate
    assert plan.start >= 0
    base, own = plan.rate * nth, timeline.regular_rate()
    half = Fraction(1, 2) / base
    # frames and sound end with the video: within half a slot, and what every_nth rounds up to
    if rate:
        length = len(times) / own if own else timeline.seconds
        assert plan.start + plan.seconds <= max(length + half, 1 / base) + (nth - 1) / base
    # what is shown is on the screen at that time of the sound, or comes within half a slot
    for place, number in enumerate(chosen):
        its_time, later = (
            n / own if own else (times[n] - origin) * MS for n in (number, min(number + 1, len(times) - 1))
        )
        now = plan.start + place / plan.rate
        assert number == 0 or its_time < now + half
        assert number == len(times) - 1 or later >= now
