"""Where key images stand in a clip and in its windows; expected numbers are counted by hand."""

import pytest

from zoetrope.temporal.sparse_keyframes import SPREADS, Keyframes, KeyPlan, keys_in_window, parse_keyframes, plan_keys


@pytest.mark.parametrize(
    ("spread", "images", "frames"),
    [
        # Advanced-ControlNet: whole parts of N numbers from 0 to F - 1; N + 1 without the last, N + 1 without the
        # first, N + 2 without both.
        ("uniform", 1, [0]),
        ("uniform", 2, [0, 15]),
        ("uniform", 3, [0, 7, 15]),
        ("start", 1, [0]),
        ("start", 2, [0, 7]),
        ("end", 1, [15]),
        ("end", 2, [7, 15]),
        ("center", 1, [7]),
        ("center", 2, [5, 10]),
        ("center", 15, list(range(15))),
        *((spread, 16, list(range(16))) for spread in ("uniform", "start", "end", "center")),
    ],
)
def test_spreads_over_sixteen_frames(spread, images, frames):
    assert parse_keyframes("ignored", spread).placed(images, 16) == {frame: n for n, frame in enumerate(frames)}


@pytest.mark.parametrize("spread", SPREADS[1:])
def test_every_number_of_images_has_frames_of_its_own(spread):
    for total in range(1, 12):
        for images in range(1, total + 1):
            placed = Keyframes(spread).placed(images, total)
            assert list(placed.values()) == list(range(images))
            assert list(placed) == sorted(placed)
            assert set(placed) <= set(range(total))


def test_indexes_may_count_from_the_end_or_be_positions():
    keys = parse_keyframes("0, 0.5,\n-1", "indexes")
    assert keys.placed(3, 16) == {0: 0, 8: 1, 15: 2}
    assert keys.placed(3, 9) == {0: 0, 4: 1, 8: 2}


def test_one_image_is_for_all_indexes():
    assert parse_keyframes("0, 8, -1", "indexes").placed(1, 16) == {0: 0, 8: 0, 15: 0}


def test_images_need_not_be_in_the_order_of_the_clip():
    assert parse_keyframes("8, 0", "indexes").placed(2, 16) == {8: 0, 0: 1}


def test_of_two_images_at_one_frame_the_later_counts():
    assert parse_keyframes("0, 15, -1", "indexes").placed(3, 16) == {0: 0, 15: 2}


@pytest.mark.parametrize(
    ("text", "spread", "images", "says"),
    [
        ("0, 8", "indexes", 3, "3 key images and only 2 indexes; write an index for each"),
        ("0, 8, 15", "indexes", 2, "2 key images for 3 indexes; connect one image for each index"),
        ("0, 16", "indexes", 2, "index 16 lies outside the clip of 16 frames; use indexes from -16 to 15"),
        ("-17", "indexes", 1, "index -17 lies outside"),
        ("", "uniform", 17, "17 key images for a clip of 16 frames; connect fewer"),
    ],
)
def test_images_that_do_not_fit(text, spread, images, says):
    with pytest.raises(ValueError, match=says):
        parse_keyframes(text, spread).placed(images, 16)


@pytest.mark.parametrize("text", ["", " , ", "first", "0; 8", "1.5", "-0.5"])
def test_unreadable_indexes_show_an_example(text):
    with pytest.raises(ValueError, match="write for example '0, 8, -1'"):
        parse_keyframes(text, "indexes")


WINDOW = (8, 9, 10, 11, 12)


@pytest.mark.parametrize(
    ("keys", "seen"),
    [
        ((0, 9, 12, 30), {1: 9, 4: 12}),  # its own, and no other
        ((0,), {0: 0}),
        ((30,), {4: 30}),
        ((0, 16), {4: 16}),
        ((6, 16), {0: 6}),
        ((4, 16), {0: 4, 4: 16}),  # both four frames away
    ],
)
def test_a_window_without_a_key_borrows_the_nearest(keys, seen):
    assert keys_in_window(WINDOW, keys, nearest=True) == seen


def test_a_single_key_equally_near_to_both_ends_stands_in_the_middle():
    assert keys_in_window((0, 2, 4, 6), (3,), nearest=True) == {1: 3}


def test_without_borrowing_and_without_keys():
    assert keys_in_window(WINDOW, (0,), nearest=False) == {}
    assert keys_in_window(WINDOW, (), nearest=True) == {}
    assert keys_in_window(WINDOW, (9,), nearest=False) == {1: 9}


def test_a_plan_numbers_the_key_images_that_are_seen():
    """Two windows share key 4; key 12 lies in neither; the third window borrows it."""
    plan = plan_keys([(2, 3, 4, 5), (4, 5, 6, 7), (8, 9, 10, 11)], {4, 12}, nearest=True)
    assert plan == KeyPlan(
        keys=(4, 12),
        rows=(0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 2),
        acting=(True,) * 12,
    )


def test_windows_without_a_key_do_not_act():
    plan = plan_keys([(0, 1), (2, 3)], {3}, nearest=False)
    assert plan == KeyPlan(keys=(3,), rows=(0, 0, 0, 1), acting=(False, False, True, True))
    assert plan_keys([(0, 1)], {3}, nearest=False) is None
    assert plan_keys([(0, 1)], (), nearest=True) is None
