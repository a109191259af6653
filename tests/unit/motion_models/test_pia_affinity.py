"""PIA's affinities. Expected numbers: open-mmlab/PIA animatediff/utils/util.py, RANGE_LIST."""

import pytest

from zoetrope.motion_models.pia_affinity import PRESETS, affinity


def test_values_by_distance_from_the_image_and_the_last_one_is_held():
    assert affinity("motion_small", range(8), 8) == [1.0, 0.9, 0.85, 0.85, 0.85, 0.8, 0.8, 0.8]
    assert affinity("motion_medium", range(9), 9) == [1.0, 0.8, 0.8, 0.8, 0.79, 0.78, 0.75, 0.75, 0.75]
    assert affinity("motion_large", range(16), 16) == [1.0, 0.8, *[0.7] * 8, 0.6, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert affinity("style_large", range(4), 4) == [0.5, 0.2, 0.2, 0.2]


def test_style_presets_start_at_half():
    assert affinity("style_small", range(7), 7) == [0.5, 0.4, 0.4, 0.4, 0.35, 0.3, 0.3]
    assert affinity("style_medium", range(10), 10) == [0.5, 0.4, 0.4, 0.4, 0.35, 0.35, 0.3, 0.25, 0.2, 0.2]


@pytest.mark.parametrize(
    "preset, values",
    [
        ("loop_small", [1.0, 0.9, 0.85, 0.85, 0.85, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.85, 0.85, 0.9, 1.0]),
        ("loop_medium", [1.0, 0.8, 0.8, 0.8, 0.79, 0.78, 0.75, 0.75, 0.75, 0.75, 0.75, 0.78, 0.79, 0.8, 0.8, 1.0]),
        ("loop_large", [1.0, 0.8, 0.7, 0.7, 0.7, 0.7, 0.6, 0.5, 0.5, 0.6, 0.7, 0.7, 0.7, 0.7, 0.8, 1.0]),
    ],
)
def test_loops_of_sixteen_frames_are_the_authors(preset, values):
    assert affinity(preset, range(16), 16) == pytest.approx(values, abs=1e-12)


@pytest.mark.parametrize("preset", [name for name in PRESETS if name.startswith("loop")])
@pytest.mark.parametrize("total", [2, 8, 24, 31, 100])
def test_loops_of_any_length_come_back_to_the_image(preset, total):
    values = affinity(preset, range(total), total)
    assert values[0] == pytest.approx(1.0) and values[-1] == pytest.approx(1.0)
    assert max(values) <= 1.0 and min(values) >= 0.5
    assert total < 8 or values[total // 2] < 0.85


def test_stretched_loops_lie_between_the_entries():
    """31 frames: every second one is an entry, the others are means of their neighbours."""
    assert affinity("loop_small", [1, 2, 3], 31) == pytest.approx([0.95, 0.9, 0.875])


def test_distance_counts_both_ways_and_from_the_end():
    assert affinity("motion_small", range(5), 5, image_frame=2) == [0.85, 0.9, 1.0, 0.9, 0.85]
    assert affinity("motion_small", range(5), 5, image_frame=-1) == [0.85, 0.85, 0.85, 0.9, 1.0]


def test_windows_read_their_own_frames():
    whole = affinity("loop_large", range(24), 24)
    assert affinity("loop_large", [20, 21, 0], 24) == [whole[20], whole[21], whole[0]]


@pytest.mark.parametrize("frame", [5, -6])
def test_frames_outside_the_clip_are_refused(frame):
    with pytest.raises(ValueError, match=rf"image_frame {frame} is not a frame of this clip; it has 5 frames, 0 to 4"):
        affinity("motion_small", [0], 5, image_frame=frame)


def test_one_frame_is_the_image():
    assert affinity("loop_small", [0], 1) == [1.0]
