"""Which stream of several: files that ffmpeg wrote, with levels of sound that tell the track."""

import logging
import subprocess
from fractions import Fraction

import numpy as np
import pytest

from zoetrope.video.decode.read_settings import ReadSettings
from zoetrope.video.decode.reader import open_video
from zoetrope.video.ffmpeg import find_ffmpeg

MOVES = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=24:duration=1"]
STILL = ["-f", "lavfi", "-i", "color=red:size=64x48:rate=24:duration=0.04"]
SONG = ["-map", "0:v", "-c:v", "libx264", "-pix_fmt", "yuv420p"]


def ffmpeg(path, *words):
    subprocess.run([find_ffmpeg(), "-y", "-loglevel", "error", *words, str(path)], check=True, timeout=100)
    return str(path)


def level(value):
    """A second of one value, mono."""
    return ["-f", "lavfi", "-i", f"aevalsrc={value}:s=8000:d=1"]


def heard(path, track=0):
    """The value of the sound in the middle of the first half second."""
    reader = open_video(path, settings=ReadSettings(audio_track=track))
    samples, _ = reader.audio(Fraction(0), Fraction(1, 2))
    return round(float(samples[:, 1000:3000].mean()), 1)


def two_sounds(path, default):
    """A film with sounds of 0.2 and 0.6; the one numbered ``default`` is marked, None marks none."""
    marks = [f"{'+default' if number == default else '0'}" for number in range(2)]
    sounds = ["-map", "1:a", "-map", "2:a", "-c:a", "pcm_s16le"]
    words = ["-disposition:a:0", marks[0], "-disposition:a:1", marks[1], "-default_mode", "passthrough"]
    return ffmpeg(path, *MOVES, *level(0.2), *level(0.6), *SONG, *sounds, *words)


@pytest.mark.parametrize(("default", "expected"), [(0, 0.2), (1, 0.6), (None, 0.2)])
def test_the_sound_that_is_marked_default_is_taken(tmp_path, default, expected):
    assert heard(two_sounds(tmp_path / "a.mkv", default)) == expected


def test_a_sound_track_can_be_chosen(tmp_path, caplog):
    path = two_sounds(tmp_path / "a.mkv", 0)
    assert [heard(path, track) for track in (1, 2)] == [0.2, 0.6]
    with caplog.at_level(logging.INFO, "zoetrope"):
        heard(path, 2)
    assert caplog.messages == ["The video has several streams; read are sound track 2 of 2."]
    with pytest.raises(ValueError, match="audio_track is 3, and the file's sound tracks are 1 to 2: give one of them"):
        open_video(path, settings=ReadSettings(audio_track=3))
    silent = ffmpeg(tmp_path / "b.mkv", *MOVES, *SONG)
    with pytest.raises(ValueError, match="audio_track is 1, and the file's sound tracks are none"):
        open_video(silent, settings=ReadSettings(audio_track=1))
    with pytest.raises(ValueError, match="audio_track is -1"):
        open_video(silent, settings=ReadSettings(audio_track=-1))


PICTURES = ["-map", "0:v", "-map", "1:v", "-c:v", "libx264", "-pix_fmt", "yuv420p"]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
def test_a_still_before_the_film_is_not_the_film(tmp_path, name):
    """As motion photos of phones and films with a cover for a first track."""
    marks = ["-disposition:v:0", "0", "-disposition:v:1", "+default"]
    path = ffmpeg(tmp_path / name, *STILL, *MOVES, *PICTURES, *marks)
    assert len(open_video(path).timeline.times) == 24


def test_a_still_that_is_marked_default_is_not_the_film_either(tmp_path):
    marks = ["-disposition:v:0", "+default", "-disposition:v:1", "0"]
    path = ffmpeg(tmp_path / "a.mp4", *STILL, *MOVES, *PICTURES, *marks)
    assert len(open_video(path).timeline.times) == 24


def test_a_file_of_one_still_is_read(tmp_path):
    path = ffmpeg(tmp_path / "a.mp4", *STILL, "-map", "0:v", "-c:v", "libx264", "-frames:v", "1")
    assert len(open_video(path).timeline.times) == 1


def test_what_is_only_a_cover_is_no_video(tmp_path):
    cover = ["-map", "1:a", "-map", "0:v", "-c:v", "mjpeg", "-frames:v", "1", "-disposition:v:0", "attached_pic"]
    path = ffmpeg(tmp_path / "a.m4a", *STILL, *level(0.2), *cover)
    with pytest.raises(ValueError, match="no video stream"):
        open_video(path)


LAYOUTS = {"7.1": 8, "6.1": 7, "hexadecagonal": 16}


@pytest.mark.parametrize(("kind", "codec", "layout"), [
    ("mkv", "flac", "7.1"), ("mp4", "aac", "7.1"), ("mov", "pcm_s16le", "7.1"), ("webm", "libopus", "7.1"),
    ("mkv", "flac", "6.1"), ("mkv", "pcm_s16le", "hexadecagonal"),
])  # fmt: skip
def test_sound_of_many_channels_keeps_each(tmp_path, kind, codec, layout):
    """Channel n sounds at 200 + 100 n Hz; that is where its spectrum has the top."""
    count = LAYOUTS[layout]
    tones = "|".join(f"0.4*sin(2*PI*{200 + 100 * n}*t)" for n in range(count))
    sound = ["-f", "lavfi", "-i", f"aevalsrc={tones}:s=48000:d=1:c={layout}"]
    video = "libvpx" if kind == "webm" else "libx264"
    path = ffmpeg(tmp_path / f"a.{kind}", *MOVES, *sound, "-c:v", video, "-c:a", codec)
    samples, rate = many_channels(path)
    assert (rate, samples.shape) == (48000, (count, 24000))
    tops = np.argmax(np.abs(np.fft.rfft(samples[:, 4800:14400])), axis=1) * 5  # bins of 5 Hz
    low = [n for n in range(count) if not (codec in ("aac", "libopus") and n == 3)]  # the LFE is filtered there
    assert tops[low].tolist() == [200 + 100 * n for n in low]


def many_channels(path):
    """Half a second of sound."""
    reader = open_video(path)
    assert reader.audio_bytes(Fraction(1, 2)) == reader.audio(Fraction(0), Fraction(1, 2))[0].nbytes
    return reader.audio(Fraction(0), Fraction(1, 2))
