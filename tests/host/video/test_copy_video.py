"""Combine Video with a finished film: its packets are the source's, byte for byte, under another sound.

Shapes: F = frames, H, W = size in pixels.
"""

import subprocess
from io import BytesIO

import av
import numpy as np
import pytest
import torch
from comfy_api.latest import InputImpl, Types

from support.clips import left_behind, mp4_tags, stand_in_ffmpeg
from support.combine import combine, images, saved_file
from support.files.footage import film, flat, written
from zoetrope.video.ffmpeg import find_ffmpeg

pytestmark = pytest.mark.usefixtures("folders")


def sound(seconds, hertz=440):
    """A tone, stereo."""
    wave = 0.5 * torch.sin(2 * torch.pi * hertz * torch.arange(round(seconds * 48000)) / 48000)
    return {"waveform": wave.expand(1, 2, -1), "sample_rate": 48000}


def packets(path):
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def pitch(path):
    """The loudest frequency of a file's sound, and its seconds."""
    with av.open(str(path)) as container:
        blocks = [frame.to_ndarray() for frame in container.decode(audio=0)]
        rate = container.streams.audio[0].rate
    samples = np.concatenate([block.reshape(-1) if block.shape[0] == 1 else block[0] for block in blocks])
    step = 2 if blocks[0].shape[0] == 1 else 1  # interleaved stereo
    samples = samples[::step].astype(float)
    return np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples), len(samples) / rate


KINDS = {
    "mp4": ("libx264", "yuv420p", "mp4"),
    "webm": ("libvpx-vp9", "yuv420p", "webm"),
    "mov": ("prores_ks", "yuv422p10le", "mov"),
    "matroska": ("libx264", "yuv420p", "mkv"),
    "avi": ("mpeg4", "yuv420p", "mkv"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_are_copied_and_the_sound_is_the_new_one(folders, kind):
    codec, pixels, extension = KINDS[kind]
    options = {"crf": "20"} if codec == "libx264" else {}
    source = written(folders / f"clip.{kind}", film(flat(24), 24, kind, codec, pixels, options=options))
    output, ui = combine(video=InputImpl.VideoFromFile(source), audio=sound(3))
    path = saved_file(folders, ui)
    assert path.suffix == f".{extension}"
    assert packets(path) == packets(source)
    found, seconds = pitch(path)
    assert abs(found - 440) < 5 and abs(seconds - 1) < 0.05
    facts = ui["video"][0]
    assert (facts["frames"], facts["fps"], facts["width"], facts["height"]) == (24, 24.0, 64, 48)
    assert output.get_components().images.shape == (24, 48, 64, 3)
    assert ".part" not in " ".join(left_behind(folders))


def test_an_av1_film_of_ours_stays_an_mp4_that_browsers_play(folders):
    """Its decoder is called libdav1d, and no container knows a codec of that name."""
    first, _ = combine(images=torch.rand(6, 64, 64, 3), format="av1-mp4")
    _, ui = combine(video=first, audio=sound(1))
    path = saved_file(folders, ui)
    assert path.suffix == ".mp4"
    assert ui["video"][0]["codec"] == "av1"
    assert ui["images"]
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.codec.canonical_name == "av1"


def test_the_old_sound_and_workflow_go_and_the_new_workflow_comes(folders):
    source = written(folders / "a.mp4", film(flat(24), sound=1.0))
    _, ui = combine(video=InputImpl.VideoFromFile(source), audio=sound(1, 900))
    path = saved_file(folders, ui)
    with av.open(str(path)) as container:
        assert len(container.streams.audio) == 1
    assert abs(pitch(path)[0] - 900) < 5
    assert "workflow" in mp4_tags(path)
    _, ui = combine(video=InputImpl.VideoFromFile(str(path)), audio=sound(1), save_workflow=False)
    with av.open(str(saved_file(folders, ui))) as container:
        assert "workflow" not in container.metadata


@pytest.mark.parametrize(("length", "seconds", "frames"), [
    ("frames", 0.5, 24), ("cut to sound", 0.5, 12), ("cut to sound", 5, 24), ("loop to sound", 2.25, 54),
])  # fmt: skip
@pytest.mark.parametrize("b_frames", ["0", "2"])
def test_the_copy_is_as_long_as_is_wanted(folders, length, seconds, frames, b_frames):
    source = written(folders / "a.mp4", film(flat(24), options={"crf": "1", "bf": b_frames}))
    _, ui = combine(video=InputImpl.VideoFromFile(source), audio=sound(seconds), length=length)
    with av.open(str(saved_file(folders, ui))) as container:
        grays = [frame.to_ndarray(format="gray")[24, 32] for frame in container.decode(video=0)]
    shown = [round((int(gray) - 20) / 9) for gray in grays]
    assert shown[:frames] == [number % 24 for number in range(frames)]
    extra = int(b_frames) if frames % 24 else 0  # what a frame refers to comes along
    assert ui["video"][0]["frames"] == len(shown) and len(shown) - frames <= extra


def test_a_film_in_memory_is_a_file_too(folders):
    _, ui = combine(video=InputImpl.VideoFromFile(BytesIO(film(flat(6)).getvalue())), audio=sound(1))
    assert ui["video"][0]["frames"] == 6
    assert left_behind(folders / "temp") == []


def test_what_cannot_be_copied_is_refused_in_words(folders, monkeypatch):
    source = InputImpl.VideoFromFile(written(folders / "a.mp4", film(flat(6))))
    parts = Types.VideoComponents(images=images(3), audio=None, frame_rate=8)
    still = InputImpl.VideoFromFile(written(folders / "a.gif", film(flat(3), 10, "gif", "gif", "gray", options={})))
    for sentence, inputs in (
        ("no sound to put under it: connect audio", {"video": source}),
        ("no whole file .* connect the images", {"video": InputImpl.VideoFromComponents(parts), "audio": sound(1)}),
        ("no whole file", {"video": source.as_trimmed(0.1, 0.1), "audio": sound(1)}),
        ("A gif file holds no sound", {"video": still, "audio": sound(1)}),
        ("turn pingpong off", {"video": source, "audio": sound(1), "pingpong": True}),
        ("connect exactly one of images, samples and video", {"video": source, "images": images(2)}),
    ):
        with pytest.raises(ValueError, match=sentence):
            combine(**inputs)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", stand_in_ffmpeg(folders, "sys.stderr.write('no'); sys.exit(3)"))
    with pytest.raises(ValueError, match="ffmpeg stopped with code 3"):
        combine(video=source, audio=sound(1))
    assert left_behind(folders / "output") in ([], ["zoetrope"]) and left_behind(folders / "temp") == []


LATE = {"sound": 2.0, "times": range(12, 36)}  # pictures from 0.5 s on, sound from 0 on


def begins(path):
    """Seconds at which the first picture is shown, and the gray levels of all as numbers of `flat`."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        begin = frames[0].time - container.start_time / av.time_base
    return begin, [round((int(frame.to_ndarray(format="gray")[24, 32]) - 20) / 9) for frame in frames]


@pytest.mark.parametrize(("length", "seconds", "frames"), [("frames", 1, 24), ("cut to sound", 0.5, 12)])
def test_a_first_picture_that_came_late_comes_at_once(folders, length, seconds, frames):
    source = written(folders / "a.mp4", film(flat(24), options={"crf": "1", "bf": "0"}, **LATE))
    assert begins(source)[0] == pytest.approx(0.5, abs=0.05)
    _, ui = combine(video=InputImpl.VideoFromFile(source), audio=sound(seconds), length=length)
    begin, shown = begins(saved_file(folders, ui))
    assert begin == pytest.approx(0, abs=0.03)
    assert shown == list(range(frames)) and ui["video"][0]["frames"] == frames


def trimmed(folders):
    """A film of which players do not show the first pictures: a copy from the middle of a group of pictures on."""
    source, target = written(folders / "whole.mp4", film(flat(24))), folders / "part.mp4"
    cut = ["-ss", "0.25", "-i", source, "-c", "copy", str(target)]
    subprocess.run([find_ffmpeg(), "-v", "error", "-y", *cut], check=True)
    return str(target)


def test_what_cannot_be_repeated_is_refused_in_words(folders):
    b_frames = {"crf": "1", "bf": "2"}
    sources = [
        trimmed(folders),
        written(folders / "late.mp4", film(flat(24), **LATE)),
        written(folders / "a.ts", film(flat(24), 24, "mpegts", options=b_frames)),
    ]
    for source in sources:
        with pytest.raises(ValueError, match="cannot be repeated without decoding .*connect the images"):
            combine(video=InputImpl.VideoFromFile(source), audio=sound(3), length="loop to sound")
        _, ui = combine(video=InputImpl.VideoFromFile(source), audio=sound(1))
        assert begins(saved_file(folders, ui))[1] == begins(source)[1]
    assert not [name for name in left_behind(folders) if ".part" in name]


def test_what_ffmpeg_does_not_copy_is_one_sentence_with_a_cure(folders):
    source = written(folders / "a.avi", film(flat(24), 24, "avi", "mpeg4", options={"bf": "2"}))
    with pytest.raises(ValueError, match=r"^The pictures of this film cannot be copied \(.*\): connect the images"):
        combine(video=InputImpl.VideoFromFile(source), audio=sound(1))
    assert left_behind(folders / "output") in ([], ["zoetrope"]) and left_behind(folders / "temp") == []
