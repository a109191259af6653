import pytest

from zoetrope.temporal.hint_policies import hint_indexes, hint_shares


def test_each_frame_has_its_own_hint():
    assert hint_indexes("hold", [3, 4, 5], 8, 8) == [3, 4, 5]
    assert hint_indexes("hold", [6, 7, 0, 1], 8, 8) == [6, 7, 0, 1]


def test_hold_repeats_the_last_hint():
    assert hint_indexes("hold", [1, 2, 3, 4], 3, 8) == [1, 2, 2, 2]


def test_surplus_hints_are_left_over():
    assert hint_indexes("hold", range(4), 9, 4) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("hold", [0, 1, 2, 2, 2, 2, 2]),
        ("loop", [0, 1, 2, 0, 1, 2, 0]),
        ("ping_pong", [0, 1, 2, 1, 0, 1, 2]),
        ("stretch", [0, 0, 1, 1, 1, 2, 2]),  # 2 * frame / 6, halves up
        ("off", [0, 1, 2, 2, 2, 2, 2]),
    ],
)
def test_policies(policy, expected):
    assert hint_indexes(policy, range(7), 3, 7) == expected
    assert hint_indexes(policy, [5, 1], 3, 7) == [expected[5], expected[1]]
    assert hint_indexes(policy, range(7), 1, 7) == [0] * 7
    assert hint_indexes(policy, [0], 3, 1) == [0]


def test_stretch_reaches_both_ends_of_longer_hints():
    assert hint_indexes("stretch", range(4), 10, 4) == [0, 3, 6, 9]


@pytest.mark.parametrize(
    ("policy", "earlier", "later"),
    [
        ("hold", [0, 0, 0, 1, 2], [2, 2, 2, 2, 2]),
        ("loop", [1, 2, 0, 1, 2], [2, 0, 1, 2, 0]),
        ("ping_pong", [2, 1, 0, 1, 2], [2, 1, 0, 1, 2]),
        ("stretch", [0, 0, 0, 1, 1], [1, 2, 2, 2, 2]),
    ],
)
def test_offset(policy, earlier, later):
    assert hint_indexes(policy, range(5), 3, 5, -2) == earlier
    assert hint_indexes(policy, range(5), 3, 5, 2) == later


def test_off_is_off_outside_the_hints():
    assert hint_shares("off", range(5), 3) == [1, 1, 1, 0, 0]
    assert hint_shares("off", range(5), 3, -1) == [0, 1, 1, 1, 0]
    assert hint_shares("off", range(5), 3, 2) == [1, 0, 0, 0, 0]
    assert hint_shares("off", range(3), 1) == [1, 0, 0]
    assert hint_shares("hold", range(5), 3, -1) == [1] * 5
