"""Frames and sound read back from files that PyAV or the pack's own encoder made.

Shapes: F = frames, H, W = size in pixels.
"""

import subprocess
from fractions import Fraction
from io import BytesIO

import av
import numpy as np
import pytest
from PIL import Image

from support.clips import chart
from support.files.footage import cut_at_the_start, film, flat, looked, read, webp, written
from zoetrope.video.decode.container import VideoFile
from zoetrope.video.decode.frame_times import TimeMap, TimeSelection
from zoetrope.video.decode.reader import open_video, scan
from zoetrope.video.ffmpeg import find_ffmpeg


def shown(pictures, step=9, first=20):
    """Numbers of the flat frames, by their gray."""
    most = np.iinfo(pictures.dtype).max / 255
    return np.rint((pictures[:, 24, 32, 0] / most - first) / step).astype(int).tolist()


KINDS = {  # container -> codec, pixels; Matroska rounds times to ms, TS begins at 1.4 s, AVI has wrong times, h264 none
    "mp4": ("libx264", "yuv420p"),
    "matroska": ("libx264", "yuv420p"),
    "mpegts": ("libx264", "yuv420p"),
    "avi": ("libx264", "yuv420p"),
    "h264": ("libx264", "yuv420p"),
    "flv": ("libx264", "yuv420p"),
    "webm": ("libvpx", "yuv420p"),
    "mov": ("prores_ks", "yuv422p10le"),
    "apng": ("apng", "rgb24"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_once_and_in_order_and_exactly_from_anywhere(kind):
    codec, pixels = KINDS[kind]
    options = {"g": "5", "bf": "2"} if codec == "libx264" else {}
    frames = looked(film(flat(23), 24, kind, codec, pixels, options=options))
    assert shown(read(frames)) == list(range(23))
    assert TimeMap(frames.timeline, TimeSelection()).rate == 24
    assert shown(read(frames, start=0.5, skip_frames=1, every_nth=3, max_frames=3)) == [13, 16, 19]
    assert shown(read(frames, frame_rate=12)) == list(range(0, 23, 2))


def test_a_gif_plays_by_the_delays_of_its_frames():
    """At 24 a second a GIF has delays of 0.04 and 0.05 s."""
    frames = looked(film(flat(12, 18), 24, "gif", "gif", "gray", options={}))
    assert shown(read(frames), 18) == list(range(12))
    assert shown(read(frames, frame_rate=6), 18) == [0, 4, 8]


def test_the_last_frame_of_a_gif_lasts_as_long_as_it_says(tmp_path):
    pictures = [Image.fromarray(picture) for picture in flat(3, 40)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=[100, 100, 500])
    assert shown(read(open_video(str(tmp_path / "a.gif")), frame_rate=10), 40) == [0, 1, 2, 2, 2, 2, 2]


def test_a_comment_behind_the_frames_of_a_gif_is_no_frame():
    """Where the pack puts the workflow; ffmpeg gives it as a packet (GIF89a, 24 and 27)."""
    data = film(flat(5, 18), 10, "gif", "gif", "gray", options={}).getvalue()
    assert data[-1:] == b";"
    frames = looked(BytesIO(data[:-1] + b"!\xfe\x05hello\0;"))
    assert (shown(read(frames), 18), len(frames.timeline.times)) == ([0, 1, 2, 3, 4], 5)


def test_frames_that_an_edit_list_leaves_out_are_no_frames():
    """24 a second are 512 ticks each; with B-frames the picture begins at tick 1024, and five more frames are left out."""
    frames = looked(cut_at_the_start(film(flat(12), options={"bf": "2"}), 7 * 512))
    assert shown(read(frames)) == [5, 6, 7, 8, 9, 10, 11]
    assert shown(read(frames, skip_frames=4)) == [9, 10, 11]


@pytest.mark.parametrize("kind", ["mpegts", "mp4"])
def test_reading_can_be_abandoned(kind):
    """Each look, at pictures or sound, asks at every packet; ten are fewer than the file has frames."""
    left = [None] * 10
    file = VideoFile(film(flat(23), kind=kind, sound=0.5 if kind == "mp4" else 0), left.pop)
    with pytest.raises(IndexError):
        scan(file)
    left[:] = [None] * 1000
    frames = scan(file)
    left.clear()
    with pytest.raises(IndexError):
        read(frames)
    if kind == "mp4":
        with pytest.raises(IndexError):
            frames.audio(Fraction(0), Fraction(1))


def test_a_varying_rate_goes_by_timestamps():
    """Frames at 0, 8, 16 and 17 of 24ths."""
    frames = looked(film(flat(4, 40), times=[0, 8, 16, 17], options={"bf": "0"}))
    assert shown(read(frames, frame_rate=24), 40)[:18] == [0] * 8 + [1] * 8 + [2, 3]


def test_twice_the_rate_shows_each_frame_twice():
    frames = looked(film(flat(4, 40)))
    pictures = list(frames.frames(TimeMap(frames.timeline, TimeSelection(frame_rate=48)), (64, 48), "crop"))
    assert shown(np.stack(pictures), 40) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert pictures[0] is pictures[1]  # converted once


def test_reading_starts_at_the_key_frame_before(monkeypatch):
    """120 frames with a key frame every 10: few are decoded to reach the 100th."""
    decoded, seen = VideoFile.decoded, []

    def watched(*args):
        for frame in decoded(*args):
            seen.append(frame.pts)
            yield frame

    frames = looked(film(flat(120, 1), options={"g": "10", "bf": "0", "sc_threshold": "0"}))
    monkeypatch.setattr(VideoFile, "decoded", watched)
    assert shown(read(frames, skip_frames=100, max_frames=3), 1) == [100, 101, 102]
    assert len(seen) < 30


@pytest.mark.parametrize(("kind", "pixels"), [("gif", "gray"), ("apng", "rgb24")])
def test_frames_that_are_drawn_over_the_ones_before(kind, pixels):
    """A square that moves over a still background; both encoders store the changed part only."""
    pictures = np.repeat(chart(1), 8, axis=0)[..., :1].repeat(3, axis=3)
    for number, picture in enumerate(pictures):
        picture[8:16, 6 * number : 6 * number + 8] = 250
    frames = looked(film(pictures, 10, kind, kind, pixels, options={}))
    assert np.array_equal(read(frames, skip_frames=5), read(frames)[5:])
    assert np.abs(read(frames)[..., :3].astype(int) - pictures).mean() < 1


def test_frames_that_nobody_sees_are_not_counted(tmp_path):
    """VP8 hides frames that later ones refer to, in packets of their own; the encoder makes them in two passes only."""
    source = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=24:duration=2.5"]
    coding = ["-c:v", "libvpx", "-auto-alt-ref", "1", "-lag-in-frames", "16", "-b:v", "100k", "-passlogfile", "log"]
    for number in ("1", "2"):
        command = [find_ffmpeg(), "-y", "-loglevel", "error", *source, *coding, "-pass", number, "clip.webm"]
        subprocess.run(command, cwd=tmp_path, check=True)
    path = str(tmp_path / "clip.webm")
    with av.open(path) as container:
        assert sum(packet.size > 0 for packet in container.demux(video=0)) > 60
    frames = open_video(path)
    assert len(frames.timeline.times) == len(read(frames)) == 60
    assert TimeMap(frames.timeline, TimeSelection()).rate == 24


def test_a_damaged_frame_holds_the_one_before():
    """Frame 3 of 6 is overwritten; in ProRes each stands for itself."""
    file = film(flat(6), kind="mov", codec="prores_ks", pixels="yuv422p10le", options={})
    with av.open(BytesIO(file.getvalue())) as container:
        packet = [bytes(packet) for packet in container.demux(video=0)][3]
    data = bytearray(file.getvalue())
    place = data.index(packet)
    data[place : place + len(packet)] = bytes(len(packet))
    assert shown(read(looked(BytesIO(bytes(data))))) == [0, 1, 2, 2, 4, 5]


ALPHA = [
    ("webm", "libvpx-vp9", "yuva420p"),
    ("webm", "libvpx", "yuva420p"),
    ("mov", "prores_ks", "yuva444p10le"),
    ("mov", "qtrle", "argb"),
    ("apng", "apng", "rgba"),
    ("matroska", "ffv1", "bgra"),
]


@pytest.mark.parametrize(("kind", "codec", "pixels"), ALPHA)
def test_transparency_is_kept(kind, codec, pixels):
    pictures = np.concatenate([flat(3, 40), np.full((3, 48, 64, 1), 130, np.uint8)], axis=3)
    pictures[:, :, 32:, 3] = 255
    options = {"auto-alt-ref": "0"} if "vpx" in codec else {}
    frames = looked(film(pictures, 24, kind, codec, pixels, options=options))
    assert frames.alpha
    got = read(frames)
    assert got.shape == (3, 48, 64, 4)
    alpha = got[:, 24, [8, 56], 3] / np.iinfo(got.dtype).max * 255
    assert np.abs(alpha - [130, 255]).max() <= 1
    assert shown(got, 40) == [0, 1, 2]


def test_webp_by_its_content(tmp_path):
    """Its name says mp4; delays 100, 300 and 200 ms and one that browsers make 100 ms of."""
    path = webp(tmp_path / "x.mp4", flat(4, 40, (63, 47)), (100, 300, 200, 5))
    frames = open_video(path)
    assert (frames.size, frames.alpha, frames.high_bit_depth) == ((63, 47), False, False)
    assert (list(frames.timeline.times), frames.timeline.end) == ([0, 100, 400, 600], 700)
    assert shown(read(frames, (64, 48), frame_rate=10), 40) == [0, 1, 1, 1, 2, 2, 3]
    assert shown(read(frames, (64, 48), frame_rate=10, skip_frames=5), 40) == [2, 3]
    assert frames.audio(Fraction(0), Fraction(1)) is None


def test_transparent_and_still_webp(tmp_path):
    pictures = np.concatenate([flat(2, 40), np.full((2, 48, 64, 1), 130, np.uint8)], axis=3)
    frames = open_video(webp(tmp_path / "a.webp", pictures, (100, 100), "RGBA"))
    assert frames.alpha
    assert (read(frames)[..., 3] == 130).all()
    still = open_video(webp(tmp_path / "b.webp", flat(1), (0,)))
    assert read(still).shape == (1, 48, 64, 3)


def test_files_in_memory_and_on_disk_are_the_same(tmp_path):
    file = film(flat(3))
    assert np.array_equal(read(looked(file)), read(open_video(written(tmp_path / "clip.bin", file))))
