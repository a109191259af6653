"""Each format written by the real ffmpeg and read back by other libraries."""

from fractions import Fraction

import av
import numpy as np
import pytest

from clips import boxes, chart, decode, decode_with_pillow
from zoetrope.video.encoder import VideoEncoder
from zoetrope.video.formats import FORMATS, find_format

every_format = pytest.mark.parametrize("name", list(FORMATS))


def encode(folder, name, frames, rate=8.0, **options):
    row = find_format(name)
    path = folder / f"clip.{row.extension}"
    with VideoEncoder(path, (frames.shape[2], frames.shape[1]), rate, row, **options) as encoder:
        encoder.write(frames)
    return path


@every_format
@pytest.mark.parametrize("count", [1, 2, 15, 16, 17])
def test_as_many_frames_come_out_as_went_in(tmp_path, name, count):
    frames, _ = decode(encode(tmp_path, name, chart(count)))
    assert len(frames) == count


@every_format
def test_equal_frames_are_not_merged(tmp_path, name):
    frames, _ = decode(encode(tmp_path, name, np.repeat(chart(1), 10, axis=0)))
    assert len(frames) == 10


@every_format
def test_frames_in_pieces_make_the_same_file_as_at_once(tmp_path, name):
    whole = encode(tmp_path, name, chart(9)).read_bytes()
    row = find_format(name)
    path = tmp_path / f"pieces.{row.extension}"
    with VideoEncoder(path, (64, 48), 8.0, row) as encoder:
        for piece in np.split(chart(9), [1, 4, 8]):
            encoder.write(piece)
    assert encoder.frames == 9
    assert path.read_bytes() == whole


# Times in the file may be rounded: a GIF counts 1/100 s, a WebP 1/1000 s. Rounding must not add up.
@pytest.mark.parametrize(
    ("name", "rate", "tick"),
    [
        ("h264-mp4", Fraction(8), 0),
        ("h264-mp4", Fraction(24000, 1001), 0),
        ("h264-mp4", Fraction(25, 2), 0),
        ("gif", Fraction(8), Fraction(1, 100)),
        ("gif", Fraction(50), 0),
        ("gif", Fraction(24000, 1001), Fraction(1, 100)),
        ("webp", Fraction(8), 0),
        ("webp", Fraction(24000, 1001), Fraction(1, 1000)),
    ],
)
def test_every_frame_starts_when_it_should(tmp_path, name, rate, tick):
    _, times = decode(encode(tmp_path, name, chart(17), rate=rate))
    assert all(abs(time - number / rate) <= tick for number, time in enumerate(times))


@every_format
def test_colours_survive(tmp_path, name):
    """2/255 is the project's limit for 4:2:0. Rounding cancels in a frame's mean colour, a wrong matrix does not."""
    frames = chart(5, 96, 128)
    decoded, _ = decode(encode(tmp_path, name, frames))
    difference = decoded.astype(float) - frames
    assert np.abs(difference).mean() <= 2.0
    assert np.abs(difference.mean(axis=(1, 2))).max() <= 1.0


def test_known_colour_has_its_bt709_code(tmp_path):
    """RGB (200, 60, 30) is Y 91, Cb 101, Cr 191 in BT.709 limited range; BT.601 would give 101, 94, 192."""
    frames = np.broadcast_to(np.array([200, 60, 30], np.uint8), (2, 32, 32, 3))
    with av.open(str(encode(tmp_path, "h264-mp4", frames, quality=1))) as container:
        planes = next(container.decode(video=0)).to_ndarray()
    luma, chroma = planes[:32], planes[32:].reshape(2, 16, 16)
    assert np.abs(luma.astype(int) - 91).max() <= 1
    assert np.abs(chroma[0].astype(int) - 101).max() <= 1
    assert np.abs(chroma[1].astype(int) - 191).max() <= 1


def test_mp4_says_bt709_limited_range(tmp_path):
    with av.open(str(encode(tmp_path, "h264-mp4", chart(2)))) as container:
        next(container.decode(video=0))
        context = container.streams.video[0].codec_context
        # ISO/IEC 23091-2: 1 is BT.709 for primaries, transfer and matrix; range 1 is limited in ffmpeg's numbering.
        tags = (context.color_primaries, context.color_trc, context.colorspace, context.color_range)
        assert [int(tag) for tag in tags] == [1, 1, 1, 1]
        assert context.pix_fmt == "yuv420p"


def test_mp4_starts_with_its_index(tmp_path):
    data = encode(tmp_path, "h264-mp4", chart(16)).read_bytes()
    order = [kind for kind, _, _ in boxes(data)]
    assert order.index("moov") < order.index("mdat")


@pytest.mark.parametrize(("name", "stored"), [("h264-mp4", (64, 48)), ("gif", (63, 47)), ("webp", (63, 47))])
def test_odd_sizes_are_padded_only_where_they_must(tmp_path, name, stored):
    frames = chart(3, 47, 63)
    path = encode(tmp_path, name, frames)
    decoded, _ = decode(path)
    assert (decoded.shape[2], decoded.shape[1]) == stored
    row = find_format(name)
    assert VideoEncoder(path, (63, 47), 8.0, row).stored_size == stored
    assert np.abs(decoded[:, :47, :63].astype(float) - frames).mean() <= 6.0


@pytest.mark.parametrize("name", ["gif", "webp"])
@pytest.mark.parametrize("loops", [0, 3])
def test_loop_count_is_the_containers_loop_field(tmp_path, name, loops):
    from PIL import Image

    with Image.open(encode(tmp_path, name, chart(3), loop_count=loops)) as image:
        assert image.info["loop"] == loops


def test_gif_uses_a_palette_of_its_own_colours(tmp_path):
    """A clip of few colours keeps them exactly; a fixed palette could not."""
    frames = np.zeros((4, 16, 16, 3), np.uint8)
    frames[:, :8] = (203, 17, 99)
    frames[:, 8:] = (11, 201, 57)
    decoded, _ = decode_with_pillow(encode(tmp_path, "gif", frames))
    assert np.array_equal(decoded, frames)


@every_format
def test_quality_changes_the_size(tmp_path, name):
    noisy = np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3), dtype=np.uint8)
    quality = find_format(name).quality
    best, worst = (quality.low, quality.high) if name == "h264-mp4" else (quality.high, quality.low)
    big = encode(tmp_path, name, noisy, quality=best).stat().st_size
    small = encode(tmp_path, name, noisy, quality=worst).stat().st_size
    default = encode(tmp_path, name, noisy).stat().st_size
    assert small < default <= big


@every_format
def test_impossible_settings_are_refused_before_anything_starts(tmp_path, name):
    row = find_format(name)
    with pytest.raises(ValueError, match=rf"Quality {row.quality.high + 1} does not exist for {name}: give -1 or"):
        VideoEncoder(tmp_path / "clip", (16, 16), 8.0, row, quality=row.quality.high + 1)
    if row.max_frame_rate:
        with pytest.raises(ValueError, match=f"{name} plays at most {row.max_frame_rate} frames a second and 100 were"):
            VideoEncoder(tmp_path / "clip", (16, 16), 100.0, row)
    assert list(tmp_path.iterdir()) == []


def test_unknown_format_names_the_known_ones():
    with pytest.raises(ValueError, match="no video format 'avi': choose h264-mp4, gif, webp"):
        find_format("avi")
