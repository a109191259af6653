"""Value schedules: keys, easings, ends, duplicates, and errors that show the piece and an example."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoetrope.temporal.values.schedule import EASINGS, VALUE_SCHEDULE_EXAMPLE, parse_value_schedule


def values(text, total):
    return parse_value_schedule(text).at(total)


def test_gaps_are_interpolated_and_both_ends_hold():
    assert values("2: 1.0, 6: 0.0", 9) == pytest.approx([1, 1, 1, 0.75, 0.5, 0.25, 0, 0, 0])


def test_keys_may_be_in_any_order_and_on_lines():
    assert values("\n4: 0\n0: 1,\n", 5) == values("0: 1, 4: 0", 5) == pytest.approx([1, 0.75, 0.5, 0.25, 0])


def test_negative_frames_count_from_the_end():
    assert values("0: 0, -1: 4", 5) == pytest.approx([0, 1, 2, 3, 4])
    assert values("0: 0, -2: 3", 5) == pytest.approx([0, 1, 2, 3, 3])


def test_keys_with_a_point_are_positions_in_the_clip():
    assert values("0.0: 0, 0.5: 1, 1.0: 0", 5) == pytest.approx([0, 0.5, 1, 0.5, 0])
    # with 4 frames the middle lies between frames 1 and 2: 1 / 1.5 of the way
    assert values("0.0: 0, 0.5: 1, 1.0: 0", 4) == pytest.approx([0, 2 / 3, 2 / 3, 0])
    assert values("1: 5, 0: 0", 3) != values("1.0: 5, 0: 0", 3)


def test_keys_beyond_the_clip_are_headed_for():
    assert values("0: 0, 10: 1", 3) == pytest.approx([0, 0.1, 0.2])
    assert values("-8: 0, 0: 1", 4) == pytest.approx([1, 1, 1, 1])


@pytest.mark.parametrize(
    ("easing", "quarter"),
    [
        ("linear", 0.25),
        ("ease_in", 0.25**2),
        ("ease_out", 1 - 0.75**2),
        ("ease_in_out", (1 - math.cos(math.pi / 4)) / 2),
        ("hold", 0.0),
    ],
)
def test_an_easing_shapes_the_way_to_the_next_key(easing, quarter):
    assert values(f"0: 0 {easing}, 4: 1 hold", 5)[:2] == pytest.approx([0, quarter])
    assert values(f"0: 0 {easing}, 4: 1", 5)[4] == 1


def test_hold_jumps_at_the_next_key():
    assert values("0: 1 hold, 2: 0.5 hold, 4: 0", 6) == [1, 1, 0.5, 0.5, 0, 0]


def test_the_later_of_two_keys_at_one_frame_counts():
    assert values("2: 1, 2: 7", 4) == [7, 7, 7, 7]
    assert values("3: 1, -1: 7", 4) == [7, 7, 7, 7]
    assert values("-1: 7, 3: 1", 4) == [1, 1, 1, 1]


def test_in_a_clip_of_one_frame_all_positions_meet_and_the_later_counts():
    assert values("0.0: 3, 1.0: 5", 1) == [5]
    assert values("0: 3", 1) == [3]


def test_schedules_are_frozen_and_compare_by_content():
    a, b = parse_value_schedule("0: 1,4: 0.5"), parse_value_schedule("0 : 1.0\n4:.5")
    assert a == b and hash(a) == hash(b)
    assert parse_value_schedule("1: 0") != parse_value_schedule("1.0: 0")
    with pytest.raises(AttributeError):
        a.keys = ()


def test_is_always():
    assert parse_value_schedule("0: 0, 8: 0").is_always(0.0)
    assert not parse_value_schedule("0: 0, 8: 0.1").is_always(0.0)


@given(st.lists(st.tuples(st.integers(-40, 40), st.floats(-5, 5), st.sampled_from(list(EASINGS))), min_size=1))
def test_values_stay_between_the_keys(keys):
    text = ", ".join(f"{frame}: {value:.6f} {easing}" for frame, value, easing in keys)
    result = values(text, 30)
    low, high = min(k[1] for k in keys) - 1e-5, max(k[1] for k in keys) + 1e-5
    assert len(result) == 30 and all(low <= value <= high for value in result)


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("", "empty"),
        (" ,\n", "empty"),
        ("0.5", "'0.5' is not 'frame: value'"),
        ("0: 1, 8", "'8' is not 'frame: value'"),
        ("0: 1 2 3", "'0: 1 2 3' is not"),
        ("0:", "'0:' is not"),
        ("0: 1 bounce", "unknown easing 'bounce' .known: linear, ease_in, ease_out, ease_in_out, hold"),
        ("a: 1", "'a: 1' needs a frame number"),
        ("0: b", "'0: b' needs a frame number before the colon and a number after"),
        ("1.5: 1", "'1.5: 1' has a position outside 0.0 to 1.0"),
        ("-0.5: 1", "position outside"),
        ("nan.: 1", "needs a frame number"),
        ("0: inf", "'0: inf' needs a finite value"),
        ("0: nan", "'0: nan' needs a finite value"),
        ("0: 1e38", "'0: 1e38' needs a finite value of at most 1,000,000 in size"),
        ("0: 1" + "0" * 400, "0000[.][.][.]' needs a finite value"),
        ("0: caf\u00e9 \u732b", r"'0: caf.xe9 .u732b' has the unknown easing '.u732b'"),
    ],
)
def test_errors_show_the_piece_and_an_example(text, piece):
    with pytest.raises(ValueError, match=piece) as caught:
        parse_value_schedule(text)
    assert VALUE_SCHEDULE_EXAMPLE in str(caught.value)


def test_texts_of_other_systems_are_read_and_endless_ones_refused():
    assert parse_value_schedule("0: 1\r\n4: 0\r\n") == parse_value_schedule("0: 1, 4: 0")
    with pytest.raises(ValueError, match="The value schedule is 100,001 characters long"):
        parse_value_schedule("0: 1," * 20000 + " ")
    with pytest.raises(ValueError, match=r"The value schedule has half of a character behind '0: caf.xe9 '"):
        parse_value_schedule("0: caf\u00e9 \ud800")
