"""Each format written by the real ffmpeg and read back by other libraries."""

import re
import subprocess
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from support.clips import boxes, chart, clip_name, decode, decode_with_pillow, send, written_formats
from zoetrope.video.encode.encoder import VideoEncoder
from zoetrope.video.encode.job import encode_job
from zoetrope.video.encode.pixel_conversion import conversion
from zoetrope.video.ffmpeg import find_ffmpeg
from zoetrope.video.formats.video_format import PixelFormat

FORMATS = written_formats()
WRITTEN = list(FORMATS)
every_format = pytest.mark.parametrize("name", WRITTEN)
# every way of storing pixels: (format, bits, alpha)
STORED = sorted({(name, pixels.bits, pixels.alpha) for name in WRITTEN for pixels in FORMATS[name].pixels})
every_way = pytest.mark.parametrize(("name", "bits", "alpha"), STORED)


def encode(folder, name, frames, rate=8.0, **options):
    row = FORMATS[name]
    path = folder / clip_name(row)
    size = (frames.shape[2], frames.shape[1])
    with VideoEncoder(encode_job(path, size, rate, row, alpha=frames.shape[-1] == 4, **options)) as encoder:
        send(encoder, frames)
    return path


def with_alpha(frames, hard=False):
    """A ramp of transparency; ``hard`` for GIF, where a pixel is clear or not."""
    ramp = np.linspace(0, 255, frames.shape[2]).astype(np.uint8)
    ramp = np.where(ramp > 127, 255, 0).astype(np.uint8) if hard else ramp
    return np.concatenate([frames, np.broadcast_to(ramp[None, None, :, None], (*frames.shape[:3], 1))], axis=-1)


def read_exactly(path, pixels):
    """Frames (F, H, W, 3 or 4) as floats 0-255, by readers that share no code with what wrote them.

    RGB is taken as it is stored; for YUV ffmpeg's other scaler, zimg, does the matrix. Pillow reads WebP.
    """
    if path.suffix == ".webp":
        return read_by_pillow(path)[..., : 4 if pixels.alpha else 3]
    source = str(path / "frame_%05d.png") if path.is_dir() else str(path)
    with av.open(source) as container:
        width, height = container.streams.video[0].width, container.streams.video[0].height
    planes = ("gbrap" if pixels.alpha else "gbrp") + {8: "", 10: "10le", 16: "16le"}[
        pixels.bits if pixels.is_rgb else 16
    ]
    convert = "" if pixels.is_rgb else "zscale=matrixin=709:rangein=limited:range=full,"
    decoder = ["-c:v", "libvpx-vp9"] if pixels.alpha and path.suffix == ".webm" else []
    words = ["-hide_banner", "-loglevel", "error", *decoder, "-i", source, "-fps_mode", "passthrough"]
    made = ["-vf", f"{convert}format={planes}", "-f", "rawvideo", "-pix_fmt", planes, "-"]
    data = subprocess.run([find_ffmpeg(), *words, *made], capture_output=True, check=True).stdout
    depth = np.dtype("<u2" if planes.endswith("le") else "u1")
    most = 1023 if planes.endswith("10le") else np.iinfo(depth).max
    green_first = np.frombuffer(data, depth).reshape(-1, 4 if pixels.alpha else 3, height, width)
    order = [2, 0, 1, 3][: green_first.shape[1]]
    return np.moveaxis(green_first[:, order], 1, -1) * (255 / most)


@every_format
@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 100])
def test_as_many_frames_come_out_as_went_in(tmp_path, name, count):
    frames, _ = decode(encode(tmp_path, name, chart(count, 36, 48)))
    assert len(frames) == count


@every_way
def test_equal_frames_are_not_merged(tmp_path, name, bits, alpha):
    frame = with_alpha(chart(1), name == "gif") if alpha else chart(1)
    frames, _ = decode(encode(tmp_path, name, np.repeat(frame, 10, axis=0), bits=bits))
    assert len(frames) == 10


@every_format
def test_frames_in_pieces_make_the_same_file_as_at_once(tmp_path, name):
    row = FORMATS[name]
    whole, _ = decode(encode(tmp_path, name, chart(9)))
    (tmp_path / "pieces").mkdir()
    path = tmp_path / "pieces" / clip_name(row)
    with VideoEncoder(encode_job(path, (64, 48), 8.0, row)) as encoder:
        for piece in np.split(chart(9), [1, 4, 8]):
            send(encoder, piece)
    assert encoder.frames == 9
    assert np.array_equal(decode(path)[0], whole)


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


# Largest mean difference to the chart, of 255. The project's limit is 2 where colours are halved in size and compressed;
# colours that lie half a pixel to the right measure 1.4. Lossless files have none; 10 bits round to their nearest step.
LIMITS = {"ffv1-mkv": 0.0, "apng": 0.0, "png-frames": 0.0, "prores-mov": 0.4, "webp": 2.0}


@every_way
def test_colours_survive(tmp_path, name, bits, alpha):
    """Rounding cancels in a frame's mean colour, a wrong matrix or range does not."""
    frames = chart(5, 96, 128)
    sent = with_alpha(frames, name == "gif") if alpha else frames
    path = encode(tmp_path, name, sent, bits=bits)
    found = read_exactly(path, FORMATS[name].pixels_for(bits, alpha))
    seen = sent[..., 3:] > 8 if alpha else np.ones_like(frames, bool)  # who is clear has no colour in some files
    difference = np.where(seen, found[..., :3] - frames, 0.0)
    limit = LIMITS.get(name, 1.0) + (0.1 if bits == 10 else 0.0)
    assert np.abs(difference).mean() <= limit
    assert np.abs(difference.mean(axis=(1, 2))).max() <= (0.5 if bits == 10 else 1.0)
    if alpha:
        assert np.abs(found[..., 3] - sent[..., 3]).max() <= 1.0


def read_by_pillow(path):
    with Image.open(path) as image:
        return np.stack([np.asarray(frame.convert("RGBA")) for frame in each_frame(image)]).astype(float)


def each_frame(image):
    for number in range(image.n_frames):
        image.seek(number)
        yield image


# Stored with a colour for every pixel. prores-mov compresses, at 10 bits.
FULL_COLOUR = [("ffv1-mkv", -1, False), ("apng", -1, False), ("png-frames", -1, False), ("webp", 100, False)]
FULL_COLOUR += [("prores-mov", 5, True)]


@pytest.mark.parametrize(("name", "quality", "alpha"), FULL_COLOUR)
def test_full_colour_is_exact_to_a_step(tmp_path, name, quality, alpha):
    """Colours with hard edges, which halved chroma would smear."""
    flat = np.random.default_rng(0).integers(0, 256, (1, 6, 8, 3), np.uint8).repeat(16, axis=1).repeat(16, axis=2)
    opaque = np.concatenate([flat, np.full_like(flat[..., :1], 255)], axis=-1)
    path = encode(tmp_path, name, np.repeat(opaque if alpha else flat, 2, axis=0), quality=quality)
    found = read_exactly(path, FORMATS[name].pixels_for(8, alpha))[..., :3]
    assert np.abs(np.round(found) - flat).max() <= 1


def test_colour_is_moved_only_where_pixels_share_it():
    """Old scalers move the colour of 4:2:2 and 4:4:4 by half a line when they are told where it lies."""
    told = {
        name: re.findall("out_._chr_pos", conversion(PixelFormat(name))) for name in ("yuv420p", "yuv422p", "yuv444p")
    }
    assert told == {"yuv420p": ["out_h_chr_pos", "out_v_chr_pos"], "yuv422p": ["out_h_chr_pos"], "yuv444p": []}


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


@pytest.mark.parametrize("name", ["vp9-webm", "ffv1-mkv"])
def test_matroska_has_its_index_before_its_frames(tmp_path, name):
    """IDs of RFC 9559, 5.1.3 and 5.1.5; the seek head names the index but no frames."""
    data = encode(tmp_path, name, chart(16)).read_bytes()
    cues, cluster = b"\x1c\x53\xbb\x6b", b"\x1f\x43\xb6\x75"
    assert data[: data.index(cluster)].count(cues) == 2


@every_format
def test_odd_sizes_are_padded_only_where_they_must(tmp_path, name):
    frames = chart(3, 47, 63)
    path = encode(tmp_path, name, frames)
    decoded, _ = decode(path)
    pixels = FORMATS[name].pixels[0].name
    stored = {"420": (64, 48), "422": (64, 47)}.get(pixels[3:6] if pixels.startswith("yuv") else "", (63, 47))
    assert (decoded.shape[2], decoded.shape[1]) == stored
    assert encode_job(path, (63, 47), 8.0, FORMATS[name]).stored_size == stored
    assert np.abs(decoded[:, :47, :63].astype(float) - frames).mean() <= 6.0


@pytest.mark.parametrize("name", ["gif", "webp", "apng"])
@pytest.mark.parametrize("loops", [0, 3])
def test_loop_count_is_how_often_the_clip_comes_again(tmp_path, name, loops):
    """GIF's field counts repetitions, those of WebP and APNG count showings; 0 is for ever."""
    with Image.open(encode(tmp_path, name, chart(3), loop_count=loops)) as image:
        assert image.info["loop"] == (loops + 1 if loops and name != "gif" else loops)


@pytest.mark.parametrize(("frames", "rate"), [(24, 8), (4, 8), (7, 30), (5, 50)])
def test_a_gif_is_as_long_as_its_clip(tmp_path, frames, rate):
    """To a hundredth of a second, in which it counts."""
    with Image.open(encode(tmp_path, "gif", chart(frames), rate=rate)) as image:
        hundredths = sum(frame.info["duration"] for frame in each_frame(image)) / 10
    assert hundredths == round(frames * 100 / rate)


def test_gif_uses_a_palette_of_its_own_colours(tmp_path):
    """A clip of few colours keeps them exactly; a fixed palette could not."""
    frames = np.zeros((4, 16, 16, 3), np.uint8)
    frames[:, :8] = (203, 17, 99)
    frames[:, 8:] = (11, 201, 57)
    decoded, _ = decode_with_pillow(encode(tmp_path, "gif", frames))
    assert np.array_equal(decoded, frames)


@pytest.mark.parametrize("name", [name for name in WRITTEN if FORMATS[name].quality.high])
def test_quality_changes_the_size(tmp_path, name):
    noisy = np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3), dtype=np.uint8)
    quality = FORMATS[name].quality
    best, worst = (quality.low, quality.high) if "smallest" in quality.meaning else (quality.high, quality.low)
    big = encode(tmp_path, name, noisy, quality=best).stat().st_size
    small = encode(tmp_path, name, noisy, quality=worst).stat().st_size
    default = encode(tmp_path, name, noisy).stat().st_size
    assert small < default <= big


@every_format
def test_impossible_settings_are_refused_before_anything_starts(tmp_path, name):
    row = FORMATS[name]
    with pytest.raises(ValueError, match=rf"Quality {row.quality.high + 1} does not exist for {name}: give -1"):
        VideoEncoder(encode_job(tmp_path / "clip", (64, 64), 8.0, row, quality=row.quality.high + 1))
    if row.max_frame_rate:
        with pytest.raises(ValueError, match=f"{name} plays at most {row.max_frame_rate} frames a second and 100 were"):
            VideoEncoder(encode_job(tmp_path / "clip", (64, 64), 100.0, row))
    if max(pixels.bits for pixels in row.pixels) == 8:
        with pytest.raises(ValueError, match=f"{name} has 8 bits a colour, not 10: set bit_depth to 8"):
            VideoEncoder(encode_job(tmp_path / "clip", (64, 64), 8.0, row, bits=10))
    if row.smallest > 1:
        with pytest.raises(ValueError, match=f"{name} takes frames from {row.smallest}x{row.smallest} pixels on and"):
            VideoEncoder(encode_job(tmp_path / "clip", (64, row.smallest - 1), 8.0, row))
    assert list(tmp_path.iterdir()) == []


def test_transparent_frames_of_webp_replace_each_other(tmp_path):
    """A window that moves over nothing must not leave a trail."""
    frames = np.zeros((3, 16, 48, 4), np.uint8)
    for number in range(3):
        frames[number, :, number * 16 : number * 16 + 16] = 255
    found = read_by_pillow(encode(tmp_path, "webp", frames, quality=100))
    assert np.array_equal(found[..., 3], frames[..., 3])


@pytest.mark.parametrize("name", ["h264-mp4", "vp9-webm", "prores-mov", "ffv1-mkv"])
@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_sound_is_as_long_as_the_clip_and_keeps_its_channels(tmp_path, name, channels):
    from zoetrope.video.audio_track import AudioTrack

    tone = np.sin(np.arange(17 * 6000) / 20)[:, None].repeat(channels, axis=1).astype(np.float32) * 0.3
    path = encode(tmp_path, name, chart(17), audio=AudioTrack(tone, 48000))
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    seconds = sum(frame.samples for frame in frames) / frames[0].sample_rate
    assert abs(seconds - 17 / 8) <= 1 / 8
    assert frames[0].layout.nb_channels == (2 if channels == 3 else channels)


@pytest.mark.parametrize("name", ["vp9-webm", "ffv1-mkv", "prores-mov", "h265-mp4", "av1-mp4"])
def test_workflow_is_in_the_tags(tmp_path, name):
    with av.open(str(encode(tmp_path, name, chart(2), metadata={"prompt": '{"a": "=;#"}'}))) as container:
        tags = {key.lower(): value for key, value in container.metadata.items()}
    assert tags["prompt"] == '{"a": "=;#"}'


@pytest.mark.parametrize("name", ["h265-mp4", "av1-mp4", "vp9-webm", "prores-mov"])
def test_other_films_say_bt709_too(tmp_path, name):
    with av.open(str(encode(tmp_path, name, chart(2)))) as container:
        context = container.streams.video[0].codec_context
        next(container.decode(video=0))
        assert [int(tag) for tag in (context.colorspace, context.color_range)] == [1, 1]
        assert context.codec_tag != "hev1"  # Apple's players want hvc1


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(WRITTEN),
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.floats(0.5, 50.0),
    st.integers(1, 5),
    st.booleans(),
)
def test_any_size_rate_and_length_comes_back(tmp_path_factory, name, size, rate, length, alpha):
    if FORMATS[name].encoders[0].name == "libaom-av1":  # in place of SVT-AV1 it knows no frame longer than a second
        rate = max(rate, 1.0)
    alpha = alpha and FORMATS[name].pixels_for(8, alpha=True).alpha
    size = tuple(max(side, FORMATS[name].smallest) for side in size)
    frames = chart(length, size[1], size[0])
    sent = with_alpha(frames) if alpha else frames
    path = encode(tmp_path_factory.mktemp("clip"), name, sent, rate=rate)
    found, times = decode(path)
    room = FORMATS[name].pixels_for(8, alpha).padded_size(*size)
    assert found.shape == (length, room[1], room[0], 3)
    if times and length > 1 and name != "gif":  # whose times are hundredths
        assert abs(float(times[-1]) - (length - 1) / rate) <= 0.002 * length
