"""Frames in a size, upright, and in the colours that their file means.

Shapes: F = frames, H, W = size in pixels.
"""

from fractions import Fraction
from io import BytesIO

import av
import numpy as np
import pytest

from support.clips import chart
from support.files.footage import film, flat, looked, read, turned
from zoetrope.video.decode.reformat import Reformatter
from zoetrope.video.encode.encoder import VideoEncoder
from zoetrope.video.encode.job import encode_job
from zoetrope.video.formats.table import FORMATS
from zoetrope.video.frame_size import FITS, fitted, placed, scaled_size, wanted_size


def test_fits_keep_or_change_proportions():
    """A picture 128x64, white in its middle 64x64: each fit shows that square in a way of its own."""
    picture = np.zeros((1, 64, 128, 3), np.uint8)
    picture[:, :, 32:96] = 255
    frames = looked(film(picture))
    white = {fit: read(frames, (32, 32), fit)[0, :, :, 0] > 127 for fit in FITS}
    by_opencv = {fit: fitted(picture[0], (32, 32), fit)[:, :, 0] > 127 for fit in FITS}
    assert all(np.array_equal(white[fit], by_opencv[fit]) for fit in FITS)
    assert white["crop"].all()
    assert white["stretch"].sum(axis=1).tolist() == [16] * 32
    assert white["pad"].sum(axis=1).tolist() == [0] * 8 + [16] * 16 + [0] * 8
    with pytest.raises(ValueError, match="Unknown fit 'squash'; choose one of crop, pad, stretch"):
        read(frames, (32, 32), "squash")


def test_sizes():
    assert wanted_size((1920, 1080), 0, 0, 8) == (1920, 1080)
    assert wanted_size((1058, 793), 0, 0, 8) == (1056, 792)
    assert wanted_size((1920, 1080), 512, 0, 8) == (512, 288)
    assert wanted_size((1920, 1080), 0, 512, 64) == (896, 512)
    assert wanted_size((2, 2), 0, 0, 8) == (8, 8)
    assert wanted_size((101, 33), 0, 0, 1) == (101, 33)
    with pytest.raises(ValueError, match="in multiples of 0 are no size"):
        wanted_size((8, 8), 0, 0, 0)
    with pytest.raises(ValueError, match="would be scaled to 512x8388608 to fill 512x512"):
        scaled_size((1, 16384), (512, 512), "crop")


def test_bars_are_black_and_opaque():
    bars = placed(np.full((2, 4, 4), 7, np.uint16), (4, 4))
    assert bars[0].tolist() == bars[3].tolist() == [[0, 0, 0, 65535]] * 4
    assert (bars[1:3] == 7).all()


def test_colours_follow_the_files_own_matrix(tmp_path):
    """The pack writes BT.709 and says so; PyAV's default is BT.601, untagged. Both read back as they were."""
    picture = np.full((2, 64, 64, 3), (200, 60, 30), np.uint8)
    with VideoEncoder(encode_job(tmp_path / "clip.mp4", (64, 64), 8, FORMATS["h264-mp4"], quality=1)) as encoder:
        encoder.write(picture)
    for file in (str(tmp_path / "clip.mp4"), film(picture)):
        assert np.abs(read(looked(file), (64, 64)).astype(int) - picture).max() <= 3


def test_the_matrix_of_untagged_files_is_chosen_or_guessed():
    """BT.601 of (200, 60, 30), read as BT.709: R' = Y' + 1.5748 Cr and so on, ITU-R BT.709-6 section 3.

    Y, Cb, Cr are 101, 94, 192 of limited range, which makes (212, 72, 26).
    """
    picture = np.full((1, 64, 64, 3), (200, 60, 30), np.uint8)
    small, high = looked(film(picture)), looked(film(np.tile(picture, (1, 12, 1, 1))))
    right, other = [200, 60, 30], [212, 72, 26]
    for frames, untagged, expected in (
        (small, "auto", right),
        (small, "bt709", other),
        (high, "auto", other),
        (high, "bt601", right),
    ):
        assert np.abs(read(frames, (64, 64), untagged=untagged)[0, 20, 20].astype(int) - expected).max() <= 3
    with pytest.raises(ValueError, match="Unknown colours 'ntsc'; choose one of auto, bt601, bt709"):
        read(small, untagged="ntsc")


def test_full_range_is_read_as_full_range():
    black_and_white = np.zeros((1, 64, 64, 3), np.uint8)
    black_and_white[:, 32:] = 255
    full = read(looked(film(black_and_white, pixels="yuvj420p")), (64, 64))
    limited = read(looked(film(black_and_white)), (64, 64))
    for got in (full, limited):
        assert np.abs(got.astype(int) - black_and_white).max() <= 2


def test_the_colour_of_two_pixels_lies_at_the_left_one():
    """Cr rises by 4 a pair; R' = 1.164 (Y - 16) + 1.793 (Cr - 128), BT.709 in limited range, rises by 3.586 a pixel."""
    frame = av.VideoFrame(64, 48, "yuv420p")
    red = 66 + 4 * np.arange(32)
    for plane, row in zip(frame.planes, (np.full(64, 126), np.full(32, 128), red), strict=True):
        row = np.pad(row, (0, plane.line_size - plane.width)).astype(np.uint8)
        plane.update(np.tile(row, plane.height).tobytes())
    frame.pts = 0
    got = Reformatter((64, 48), "crop", untagged="bt709")(frame)[24, 8:-8, 0]
    assert np.abs(got - (1.164 * 110 + 1.793 * (66 + 2 * np.arange(64) - 128))[8:-8]).max() < 1


@pytest.mark.parametrize(("tag", "black", "white"), [(0, 64, 940), (1, 64, 940), (2, 0, 1023)])
def test_the_range_of_ten_bits_is_what_the_tag_says(tag, black, white):
    """Limited, also where nothing is said, or full; levels of ITU-R BT.709-6, 3.4."""
    quarter = (black * 3 + white) // 4
    for level, expected in ((black, 0), (quarter, 65535 / 4), (white, 65535)):
        frame = av.VideoFrame(64, 48, "yuv444p10le")
        for plane, value in zip(frame.planes, (level, 512, 512), strict=True):
            plane.update(np.full(plane.buffer_size // 2, value, "<u2").tobytes())
        frame.pts, frame.color_range = 0, tag
        assert np.abs(Reformatter((64, 48), "crop", high_bit_depth=True)(frame).astype(int) - expected).max() <= 64


@pytest.mark.parametrize("tag", [{"color_trc": 9}, {"color_trc": 16}, {"color_primaries": 9}, {"colorspace": 14}])
def test_tags_that_nothing_is_made_of_do_not_matter(tag):
    """Logarithmic transfer and the matrix ICtCp are some that ffmpeg's scaler refuses to convert from."""
    frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="rgb24").reformat(format="yuv420p")
    frame.pts = 0
    for name, value in tag.items():
        if not hasattr(frame, name):
            pytest.skip("PyAV before 17 cannot set it")
        setattr(frame, name, value)
    assert np.abs(Reformatter((64, 48), "crop")(frame).astype(int) - 90).max() <= 1


def test_more_than_eight_bits_are_kept():
    """A ramp of 64 steps between two neighbours of 8 bits: in 10 bits three values lie between them."""
    frames = looked(film(flat(1), codec="libx264", pixels="yuv444p10le"))
    assert frames.high_bit_depth
    ramp = np.linspace(100, 101, 64)[None, None, :, None] * np.ones((1, 48, 64, 3)) * 257
    file = BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "gbrp10le"
        frame = av.VideoFrame.from_ndarray(ramp[0].astype(np.uint16), format="rgb48le")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    got = read(looked(file))
    assert got.dtype == np.uint16
    assert len(np.unique(got)) >= 4
    assert np.abs(got.astype(int) - ramp).max() < 70  # one step of 10 bits is 64
    white = read(looked(film(np.full((1, 48, 64, 3), 255, np.uint8), pixels="yuv444p10le")))
    assert white.min() >= 65535 - 70


MATRICES = {  # a, b, c, d of the display matrix -> what a viewer does to the stored picture
    (0, 1, -1, 0): lambda picture: np.rot90(picture, -1),
    (-1, 0, 0, -1): lambda picture: np.rot90(picture, 2),
    (0, -1, 1, 0): lambda picture: np.rot90(picture, 1),
    (-1, 0, 0, 1): lambda picture: picture[:, ::-1],
    (1, 0, 0, -1): lambda picture: picture[::-1],
    (0, 1, 1, 0): lambda picture: picture.transpose(1, 0, 2),
    (0, -1, -1, 0): lambda picture: np.rot90(picture, 2).transpose(1, 0, 2),
}


@pytest.mark.parametrize("matrix", MATRICES)
def test_frames_are_turned_and_mirrored_as_the_container_asks(matrix):
    file = film(chart(1))
    stored, expected = read(looked(file))[0], MATRICES[matrix]
    frames = looked(turned(file, *matrix))
    assert frames.size == expected(stored).shape[1::-1]
    assert np.array_equal(read(frames, frames.size)[0], expected(stored))


def test_pixels_that_are_not_square_are_stretched():
    assert looked(film(flat(1), tags={"sample_aspect_ratio": Fraction(4, 3)})).size == (85, 48)
    assert looked(film(flat(1), tags={"sample_aspect_ratio": Fraction(1, 2)})).size == (64, 96)
    assert looked(film(flat(1), kind="matroska", tags={"sample_aspect_ratio": Fraction(200, 1)})).size == (64, 48)


WEIGHTS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}


@pytest.mark.parametrize("tag", WEIGHTS)
def test_the_matrix_of_a_tag_is_obeyed(tag):
    """(200, 60, 30) by the luma weights of red and blue that ITU-T H.273, table 4, has for each number."""
    kr, kb = WEIGHTS[tag]
    r, g, b = 200 / 255, 60 / 255, 30 / 255
    luma = kr * r + (1 - kr - kb) * g + kb * b
    levels = (16 + 219 * luma, 128 + 112 * (b - luma) / (1 - kb), 128 + 112 * (r - luma) / (1 - kr))
    frame = av.VideoFrame(64, 48, "yuv444p")
    for plane, level in zip(frame.planes, levels, strict=True):
        plane.update(bytes([round(level)]) * plane.buffer_size)
    frame.pts, frame.colorspace = 0, tag
    assert np.abs(Reformatter((64, 48), "crop")(frame).astype(int) - (200, 60, 30)).max() <= 2
