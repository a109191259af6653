"""Delays of GIF and APNG frames, written by Pillow: at most 10 ms are 100 ms, as in browsers, whatever ffmpeg does."""

from fractions import Fraction
from io import BytesIO

import pytest
from PIL import Image

from support.files.footage import flat, looked, read
from zoetrope.video.decode.animations import animation_times, unhurried
from zoetrope.video.decode.frame_times import TimeMap, TimeSelection


def animation(kind, delays):
    """A file of frames with delays in milliseconds; each frame has another gray."""
    images = [Image.fromarray(picture) for picture in flat(len(delays), 20)]
    file = BytesIO()
    images[0].save(file, kind, save_all=True, append_images=images[1:], duration=list(delays), loop=0)
    return file


def starts(file):
    """Start of each frame and the end of the last, in seconds."""
    timeline = looked(file).timeline
    return [float(time * timeline.unit) for time in (*timeline.times, timeline.end)]


@pytest.mark.parametrize("kind", ["GIF", "PNG"])
@pytest.mark.parametrize("hasty", [0, 10])
def test_hasty_frames_are_shown_for_a_tenth_of_a_second(kind, hasty):
    frames = looked(animation(kind, [hasty] * 6))
    plan = TimeMap(frames.timeline, TimeSelection())
    assert (plan.rate, plan.count) == (10, 6)
    grays = read(frames)[:, 24, 32, 0]
    assert [round((int(gray) - 20) / 20) for gray in grays] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("kind", ["GIF", "PNG"])
def test_each_frame_goes_by_its_own_delay(kind):
    assert starts(animation(kind, [50, 10, 20, 0, 200])) == [0, 0.05, 0.15, 0.17, 0.27, 0.47]


@pytest.mark.parametrize("kind", ["GIF", "PNG"])
def test_files_without_hasty_frames_keep_their_times(kind):
    file = animation(kind, [20, 40, 100])
    assert animation_times(file) is None
    assert starts(file) == [0, 0.02, 0.06, 0.16]


def test_a_frame_of_a_gif_without_a_delay_is_hasty():
    """The block with the delay (GIF89a, 23) may be missing; it holds 10 hundredths here."""
    data = animation("GIF", [100, 100, 100]).getvalue()
    place = data.rindex(b"\x21\xf9\x04")
    assert starts(BytesIO(data)) == starts(BytesIO(data[:place] + data[place + 8 :])) == [0, 0.1, 0.2, 0.3]


def test_comments_of_any_length_are_passed_over():
    data = animation("GIF", [10, 30]).getvalue()
    place = data.index(b"\x21\xf9\x04")
    comment = b"\x21\xfe" + (b"\xff" + b"\x21\xf9\x04" * 85) * 3 + b"\x03,,,\0"
    assert starts(BytesIO(data[:place] + comment + data[place:])) == [0, 0.1, 0.13]


@pytest.mark.parametrize("kind", ["GIF", "PNG"])
def test_a_file_that_is_cut_off_has_what_is_there(kind):
    data = animation(kind, [0] * 5).getvalue()
    for length in range(8, len(data), 7):
        timeline = animation_times(BytesIO(data[:length]))
        assert timeline is None or 1 <= len(timeline.times) <= 5


def test_the_rule():
    assert [unhurried(Fraction(n, 1000)) * 1000 for n in (0, 1, 10, 11, 20, 500)] == [100, 100, 100, 11, 20, 500]


def test_other_files_are_left_alone():
    assert animation_times(BytesIO(b"RIFF1234WEBP")) is None
    assert animation_times(BytesIO(b"")) is None
