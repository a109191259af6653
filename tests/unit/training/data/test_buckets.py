"""Sizes of clips and their least length."""

import math

import pytest

from zoetrope.training.data.buckets import bucket_size, require_length


@pytest.mark.parametrize(
    ("own", "base", "wanted"),
    [
        ((512, 512), 512, (512, 512)),
        ((1920, 1080), 512, (704, 384)),  # 682.7 x 384
        ((1080, 1920), 512, (384, 704)),
        ((640, 480), 256, (320, 192)),  # 295.6 x 221.7
        ((31, 17), 512, (704, 384)),  # 691.4 x 379.1
        ((10_000, 10), 256, (8064, 64)),  # 8095.4 x 8.1: nothing is below one step
    ],
)
def test_buckets(own, base, wanted):
    assert bucket_size(own, base) == wanted


def test_buckets_keep_the_area_and_the_proportions():
    """Each side is rounded by at most half a step of 64, so the area by at most (1 + 32 / side) of each."""
    for width in range(100, 2000, 97):
        for height in range(width // 2, width * 2, 61):
            across, down = bucket_size((width, height), 512)
            exact = 512 * math.sqrt(width / height), 512 * math.sqrt(height / width)
            assert abs(across - exact[0]) <= 32 and abs(down - exact[1]) <= 32
            assert across % 64 == down % 64 == 0


def test_a_base_below_a_step_is_refused():
    with pytest.raises(ValueError, match="size is 63: give 64 or more"):
        bucket_size((512, 512), 63)


def test_short_clips_are_named():
    require_length([("a.mp4", 16), ("b.mp4", 40)], 16)
    with pytest.raises(
        ValueError, match="2 of 3 clips have fewer than 16 frames: 'b.mp4' has 15, 'c.mp4' has 3; .* lower frames to 3"
    ):
        require_length([("a.mp4", 16), ("b.mp4", 15), ("c.mp4", 3)], 16)
    with pytest.raises(ValueError, match="'9.mp4' has 2 and 5 more are too short"):
        require_length([(f"{number}.mp4", 2) for number in range(15)], 16)
