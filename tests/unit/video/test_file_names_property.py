"""Any name is refused in a sentence or stays in its folder; any size, rate and length comes out as it went in."""

import os
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path, PureWindowsPath
from tempfile import TemporaryDirectory

import av
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from support.clips import chart, written_formats
from zoetrope.video.encode.encoder import VideoEncoder
from zoetrope.video.encode.job import encode_job
from zoetrope.video.file_names import clean_prefix, part_path, remove, reserve
from zoetrope.video.formats.user_format_words import STORED_PIXELS
from zoetrope.video.formats.video_format import PixelFormat

FORMATS = written_formats()  # at one size each they are in formats/test_formats.py
# Pieces that make trouble, between any other text; lone surrogates are text to json.loads.
ODD = st.sampled_from(
    ["..", ".. ", "...", ".", "", " ", "/", "\\", "C:", "//host", "~", "a" * 90, "\u65e5" * 30, "\ud800", "\0"]
)
PREFIX = st.lists(ODD | st.text(max_size=8), max_size=6).flatmap(
    lambda pieces: st.sampled_from(["", "/", "\\"]).map(lambda between: between.join(pieces))
)


@settings(max_examples=200, deadline=None)
@given(PREFIX)
@example("a/../../b")
@example("a/.. /.. /b")
@example("..\\b")
@example("\u65e5" * 67)
@example("ok/\ud800\x7f:x")
def test_any_prefix_is_refused_or_makes_a_file_inside(prefix):
    try:
        clean = clean_prefix(prefix)
    except ValueError as error:
        assert str(error).startswith("filename_prefix ")
        assert not isinstance(error, UnicodeError)
        return
    assert clean_prefix(clean) == clean
    windows = PureWindowsPath(clean)
    assert not windows.anchor
    assert all(part.strip(" ") != ".." for part in windows.parts)
    with TemporaryDirectory() as root:
        place = Path(root, clean)
        place.parent.mkdir(parents=True, exist_ok=True)
        path = reserve(place.parent, place.name, 1, "mp4")
        assert Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))
        assert part_path(path).exists()


@pytest.mark.parametrize("extension", ["mp4", ""])
def test_nobody_gets_the_name_of_another(tmp_path, extension):
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: reserve(tmp_path, "clip", 1, extension), range(40)))
    assert sorted(path.name for path in paths) == [
        f"clip_{number:05}_{'.' if extension else ''}{extension}" for number in range(1, 41)
    ]
    for path in paths:
        remove(part_path(path))
    assert not list(tmp_path.iterdir())


@given(
    st.sampled_from([*STORED_PIXELS.values(), *(pixels for row in FORMATS.values() for pixels in row.pixels)]),
    st.integers(1, 9000),
    st.integers(1, 9000),
)
def test_a_size_grows_by_one_pixel_at_most_and_fits(pixels: PixelFormat, width, height):
    stored = pixels.padded_size(width, height)
    for wanted, given_size, step in zip((width, height), stored, pixels.subsampling, strict=True):
        assert wanted <= given_size <= wanted + 1
        assert given_size % step == 0
    assert pixels.padded_size(*stored) == stored


def sizes_and_times(path):
    """((width, height), start of each frame in seconds, None for frames without time), by Pillow and PyAV."""
    if path.is_dir():
        with Image.open(min(path.iterdir())) as image:
            return image.size, [None for _ in path.iterdir()]
    if path.suffix in (".gif", ".webp", ".png"):
        with Image.open(path) as image:
            times = [Fraction(0)]
            for number in range(image.n_frames):
                image.seek(number)
                image.load()  # only now does Pillow know how long a WebP frame is shown
                times.append(times[-1] + Fraction(image.info.get("duration") or 0) / 1000)
            return image.size, times[:-1]
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return (frames[0].width, frames[0].height), [frame.pts * Fraction(frame.time_base) for frame in frames]


# The encoder of av1 refuses a smaller side than 16, that of h265 crashes at some; ffv1, in which a gif waits for its palette, one of 1.
SMALLEST = {"h265-mp4": 34, "av1-mp4": 16, "ffv1-mkv": 2, "gif": 2}


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(list(FORMATS)),
    st.integers(1, 70),
    st.integers(1, 70),
    st.integers(1, 6),
    st.fractions(1, 50, max_denominator=1001),
)
@example("h264-mp4", 1, 1, 3, Fraction(84, 53))
@example("h264-mp4", 1, 1, 1, Fraction(24000, 1001))
@example("vp9-webm", 1, 35, 2, Fraction(1))
@example("gif", 2, 3, 3, Fraction(50))
@example("png-frames", 3, 1, 6, Fraction(8))
def test_any_size_rate_and_length_come_out_as_they_went_in(name, width, height, frames, rate):
    row = FORMATS[name]
    width, height = (max(side, SMALLEST.get(name, 1)) for side in (width, height))
    with TemporaryDirectory() as folder:
        path = Path(folder, "clip" if row.is_folder else f"clip.{row.extension}")
        with VideoEncoder(encode_job(path, (width, height), rate, row)) as encoder:
            pixels = chart(frames, height, width)
            encoder.write(pixels if encoder.job.pixels.bits == 8 else pixels.astype(np.uint16) * 257)
        size, times = sizes_and_times(path)
    assert size == encoder.job.pixels.padded_size(width, height)
    assert len(times) == frames
    if not row.is_folder:
        # A GIF counts 1/100 s, Matroska and WebP 1/1000 s; rounding must not add up.
        tick = Fraction(1, 100 if name == "gif" else 1000)
        assert all(abs(time - number / rate) <= tick for number, time in enumerate(times))


@pytest.mark.parametrize(
    "prefix",
    ["a/" * 1500 + "x", "a\\" * 32 + "x", "/".join(["b" * 199] * 6), "\u00e9" * 90 + ("/" + "\u00e9" * 90) * 5],
)
def test_a_prefix_of_many_folders_is_refused_before_one_is_made(prefix):
    with pytest.raises(ValueError, match="has more than 32 parts or 1,000 bytes: use a shorter") as told:
        clean_prefix(prefix)
    assert len(str(told.value)) < 200


def test_a_prefix_at_the_bounds_is_taken():
    assert clean_prefix("a/" * 31 + "x").count("/") == 31
    assert len(clean_prefix("/".join(["b" * 199] * 5))) == 999
