"""Order, pixels, rates, names and sound before they reach ffmpeg."""

from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from support.clips import chart, send
from zoetrope.video.audio_track import fit_audio
from zoetrope.video.encode.encoder import VideoEncoder
from zoetrope.video.encode.frame_arrays import frame_order, pad_to, to_pixels, to_uint8
from zoetrope.video.encode.job import encode_job
from zoetrope.video.file_names import clean_prefix, part_path, reserve
from zoetrope.video.formats.table import FORMATS
from zoetrope.video.frame_rate import exact_rate


@pytest.mark.parametrize(("frames", "order"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2, 1]), (4, [0, 1, 2, 3, 2, 1])])
def test_pingpong_repeats_no_end(frames, order):
    assert frame_order(frames, pingpong=True) == order


@given(st.integers(1, 300))
def test_pingpong_loops_in_single_steps(frames):
    order = frame_order(frames, pingpong=True)
    around = zip(order, order[1:] + order[:1], strict=True)
    assert frames == 1 or all(abs(a - b) == 1 for a, b in around)
    assert set(order) == set(range(frames))
    assert len(order) == max(frames, 2 * frames - 2)
    assert frame_order(frames, pingpong=False) == list(range(frames))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_floats_are_rounded_to_the_nearest_byte(dtype):
    exact = torch.arange(256, dtype=torch.float64) / 255
    pixels = exact.to(dtype).reshape(1, 16, 16, 1).expand(-1, -1, -1, 3)
    worst = 1 if dtype == torch.bfloat16 else 0  # 8 bits of mantissa are not enough near white
    expected = np.arange(256).reshape(16, 16)
    assert np.abs(to_uint8(pixels)[0, :, :, 1].astype(int) - expected).max() <= worst


def test_floats_outside_the_range_are_clipped():
    values = torch.tensor([-1.0, 2.0, float("nan"), float("inf"), -float("inf"), 0.5]).reshape(1, 1, 6, 1)
    assert to_uint8(values)[0, 0, :, 0].tolist() == [0, 255, 0, 255, 0, 128]


def test_gray_becomes_rgb_and_alpha_is_dropped():
    rgba = torch.rand(2, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    assert np.array_equal(to_uint8(rgba), to_uint8(rgba[..., :3]))
    gray = to_uint8(rgba[..., :1])
    assert gray.shape == (2, 4, 4, 3)
    assert np.array_equal(gray[..., 0], gray[..., 2])
    assert np.array_equal(to_uint8(rgba[..., :2]), gray)
    with pytest.raises(ValueError, match="Images with 5 channels cannot be written as video"):
        to_uint8(torch.zeros(1, 4, 4, 5))


def test_input_is_not_changed():
    frames = torch.rand(1, 4, 4, 3)
    before = frames.clone()
    to_uint8(frames)
    assert torch.equal(frames, before)


def test_sixteen_bits_keep_what_eight_would_round():
    values = torch.tensor([0.0, 0.5001, 1.0, 2.0, float("nan")])[None, None, :, None]
    assert to_pixels(values, 10, alpha=False)[0, 0, :, 2].tolist() == [0, round(0.5001 * 65535), 65535, 65535, 0]


def test_transparency_is_kept_and_opaque_where_there_was_none():
    clear = torch.full((1, 2, 2, 2), 0.2)
    assert to_pixels(clear, 8, alpha=True)[0, 0, 0].tolist() == [51] * 4
    assert to_pixels(clear[..., :1], 8, alpha=True)[0, 0, 0].tolist() == [51, 51, 51, 255]


def test_padding_repeats_the_edge():
    frames = chart(2, 5, 7)
    padded = pad_to(frames, 8, 6)
    assert padded.shape == (2, 6, 8, 3)
    assert np.array_equal(padded[:, :5, :7], frames)
    assert np.array_equal(padded[:, 5, :7], frames[:, 4])
    assert np.array_equal(padded[:, :, 7], padded[:, :, 6])
    even = chart(2, 6, 8)
    assert pad_to(even, 8, 6) is even


# Broadcast rates are defined as multiples of 1000/1001 (SMPTE ST 12-1).
@pytest.mark.parametrize(
    ("number", "rate"),
    [
        (8.0, Fraction(8)),
        (12.5, Fraction(25, 2)),
        (23.976, Fraction(24000, 1001)),
        (23.98, Fraction(24000, 1001)),
        (29.97, Fraction(30000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (24.0, Fraction(24)),
        (30, Fraction(30)),
        (0.01, Fraction(1, 100)),
        (Fraction(30000, 1001), Fraction(30000, 1001)),
    ],
)
def test_rates_are_exact(number, rate):
    assert exact_rate(number) == rate


@pytest.mark.parametrize("number", [0, -1.0, float("nan"), float("inf"), 1001])
def test_impossible_rates_are_refused(number):
    with pytest.raises(ValueError, match="give a number above 0 and at most 1000"):
        exact_rate(number)


@given(st.floats(0.001, 1000))
def test_any_rate_is_kept_within_a_tick(number):
    assert exact_rate(number) == pytest.approx(number, abs=0.005)


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        ".",
        "/",
        "folder/",
        "../x",
        "a/../../x",
        "a\\..\\x",
        "/etc/x",
        "C:\\x",
        "C:x",
        "\\\\server\\share\\x",
        "a/..",
    ],
)
def test_prefixes_outside_the_folder_are_refused(prefix):
    with pytest.raises(ValueError, match="is no name inside the output folder"):
        clean_prefix(prefix)


def test_prefixes_are_made_portable():
    assert clean_prefix("zoetrope/animation") == "zoetrope/animation"
    assert clean_prefix("a\\b") == "a/b"
    assert clean_prefix('t%year%:<>"|?*\n') == "t%year%________"
    assert clean_prefix("clip v1.2") == "clip v1.2"


def test_a_name_is_given_once(tmp_path):
    first = reserve(tmp_path, "clip", 1, "mp4")
    second = reserve(tmp_path, "clip", 1, "mp4")
    part_path(first).rename(first)
    third = reserve(tmp_path, "clip", 1, "mp4")
    assert [path.name for path in (first, second, third)] == [
        "clip_00001_.mp4",
        "clip_00002_.mp4",
        "clip_00003_.mp4",
    ]
    assert not part_path(first).exists()


@pytest.mark.parametrize("have", [0.5, 1.0, 3.0])
def test_sound_is_as_long_as_the_clip(have):
    waveform = torch.ones(1, 2, int(44100 * have))
    sound = fit_audio(waveform, 44100, Fraction(17, 8))
    heard = min(int(44100 * have), round(44100 * 17 / 8))
    assert sound.samples.shape == (heard, 2)
    assert (sound.samples == 1).all()
    assert heard + sound.silence == round(44100 * 17 / 8)


def test_no_sound_and_wrong_sound():
    assert fit_audio(torch.zeros(1, 2, 0), 44100, Fraction(1)) is None
    assert fit_audio(torch.zeros(1, 2, 10), 100, Fraction(1, 240)) is None  # less than a sample
    with pytest.raises(ValueError, match=r"Audio of shape \(2, 100\) at 44100 Hz cannot be used"):
        fit_audio(torch.zeros(2, 100), 44100, Fraction(1))


@pytest.mark.parametrize(("channels", "stored"), [(1, 1), (2, 2), (3, 2), (6, 6)])
@pytest.mark.parametrize("sample_rate", [44100, 16000, 192000])
def test_sound_reaches_the_file(tmp_path, channels, stored, sample_rate):
    """A 440 Hz tone comes back with its pitch, loudness and length, in the same file."""
    seconds = Fraction(17, 8)
    time = torch.arange(int(sample_rate * 3)) / sample_rate
    tone = (0.5 * torch.sin(2 * torch.pi * 440 * time)).expand(1, channels, -1)
    with VideoEncoder(
        encode_job(tmp_path / "clip.mp4", (64, 48), 8, FORMATS["h264-mp4"], audio=fit_audio(tone, sample_rate, seconds))
    ) as encoder:
        encoder.write(chart(17))
    with av.open(str(encoder.job.path)) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.name == "aac"
        assert stream.channels == stored
        assert abs(stream.duration * stream.time_base - seconds) < Fraction(1, 8)
        rate = stream.rate
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(stream)])
    middle = heard[rate // 2 : rate // 2 + rate]
    spectrum = np.abs(np.fft.rfft(middle))
    assert spectrum.argmax() == 440
    assert np.sqrt((middle**2).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.05) or channels > 2
    assert left_files(tmp_path) == ["clip.mp4"]


@pytest.mark.parametrize("name", ["h264-mp4", "vp9-webm", "prores-mov", "ffv1-mkv"])
def test_silence_that_follows_is_in_the_file_and_never_in_memory(tmp_path, name):
    """Half a second of tone under four seconds of pictures."""
    sound = fit_audio(torch.full((1, 2, 24000), 0.5), 48000, Fraction(4))
    assert sound.samples.nbytes == 24000 * 2 * 4
    with VideoEncoder(encode_job(tmp_path / "clip", (64, 48), 8, FORMATS[name], audio=sound)) as encoder:
        send(encoder, chart(32))
    with av.open(str(encoder.job.path)) as container:
        heard = np.concatenate([frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)])
        layout = container.streams.audio[0]
        seconds = sum(1 for _ in heard) / layout.channels / layout.rate
    assert abs(seconds - 4) <= 1 / 8
    assert np.abs(heard[-1000:].astype(float)).max() < 1e-3


def left_files(folder):
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("name", ["gif", "webp"])
def test_formats_without_sound_ignore_it(tmp_path, name):
    row = FORMATS[name]
    sound = fit_audio(torch.zeros(1, 1, 100), 100, Fraction(1))
    with VideoEncoder(encode_job(tmp_path / "clip", (64, 48), 8, row, audio=sound)) as encoder:
        encoder.write(chart(8))
    assert left_files(tmp_path) == ["clip"]
