from zoetrope.temporal.hints import hint_indexes


def test_each_frame_has_its_own_hint():
    assert hint_indexes("hold", [3, 4, 5], 8, 8) == [3, 4, 5]
    assert hint_indexes("hold", [6, 7, 0, 1], 8, 8) == [6, 7, 0, 1]


def test_hold_repeats_the_last_hint():
    assert hint_indexes("hold", [1, 2, 3, 4], 3, 8) == [1, 2, 2, 2]


def test_surplus_hints_are_left_over():
    assert hint_indexes("hold", range(4), 9, 4) == [0, 1, 2, 3]
