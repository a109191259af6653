"""Frames read back from files that PyAV or the pack's own encoder made.

Shapes: F = frames, H, W = size in pixels.
"""

from fractions import Fraction
from io import BytesIO

import av
import numpy as np
import pytest

from clips import chart
from zoetrope.video.encoder import VideoEncoder
from zoetrope.video.formats import find_format
from zoetrope.video.frames import to_uint8
from zoetrope.video.reader import FITS, VideoFile, count_frames, fitter, upright_size


def mp4(pictures, rate=24, sound=0.0, kind="mp4", codec="aac"):
    """A file in memory, with a rising ramp of ``sound`` seconds at 8000 Hz as its sound."""
    file = BytesIO()
    with av.open(file, "w", format=kind) as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "1"})
        stream.height, stream.width, stream.pix_fmt = *pictures.shape[1:3], "yuv420p"
        audio = container.add_stream(codec, rate=8000, layout="mono") if sound else None
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
        if audio:
            ramp = np.linspace(-0.5, 0.5, round(8000 * sound), dtype=np.float32)[None]
            for first in range(0, ramp.shape[1], 1000):
                frame = av.AudioFrame.from_ndarray(ramp[:, first : first + 1000], format="fltp", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = 8000, first, Fraction(1, 8000)
                container.mux(audio.encode(frame))
            container.mux(audio.encode())
    return file


def read(video, width, height, fit="stretch"):
    fitted = fitter(width, height, fit)
    return np.stack([fitted(frame) for frame in video.frames()])


def test_every_frame_once_and_in_order():
    pictures = chart(11)
    video = VideoFile(mp4(pictures))
    assert count_frames(video.frames()) == 11
    assert video.rate() == 24
    frames = read(video, 64, 48)
    nearest = [np.abs(pictures.astype(float) - frame).mean(axis=(1, 2, 3)).argmin() for frame in frames]
    assert nearest == list(range(11))


def test_a_part_of_the_file():
    part = VideoFile(mp4(chart(12)), start=3 / 24, duration=4 / 24)
    frames = read(part, 64, 48)
    assert len(frames) == count_frames(part.frames()) == 4
    assert np.abs(chart(12)[3:7].astype(float) - frames).mean() < 4


def test_fits_keep_or_change_proportions():
    """A picture 128x64, white in its middle 64x64: each fit shows that square in a way of its own."""
    picture = np.zeros((1, 64, 128, 3), np.uint8)
    picture[:, :, 32:96] = 255
    white = {fit: read(VideoFile(mp4(picture)), 32, 32, fit)[0, :, :, 0] > 127 for fit in FITS}
    assert white["crop"].all()
    assert white["stretch"].sum(axis=1).tolist() == [16] * 32
    assert white["pad"].sum(axis=1).tolist() == [0] * 8 + [16] * 16 + [0] * 8
    with pytest.raises(ValueError, match="Unknown fit 'squash'; choose one of crop, pad, stretch"):
        fitter(32, 32, "squash")


def test_colours_follow_the_files_own_matrix(tmp_path):
    """The pack writes BT.709 and says so; PyAV's default is BT.601, untagged. Both read back as they were."""
    picture = np.full((2, 64, 64, 3), (200, 60, 30), np.uint8)
    with VideoEncoder(tmp_path / "clip.mp4", (64, 64), 8, find_format("h264-mp4"), quality=1) as encoder:
        encoder.write(picture)
    for file in (str(tmp_path / "clip.mp4"), mp4(picture)):
        assert np.abs(read(VideoFile(file), 64, 64).astype(int) - picture).max() <= 3


def test_frames_are_turned_upright():
    class Turned:
        """What a phone's file gives: a frame on its side, and the degrees to turn it by."""

        def __init__(self, picture, rotation):
            self.frame, self.rotation = av.VideoFrame.from_ndarray(picture, format="rgb24"), rotation

        def __getattr__(self, name):
            return getattr(self.frame, name)

    picture = chart(1)[0]
    for degrees in (90, 180, -90):
        turned = Turned(picture, degrees)
        expected = np.rot90(picture, degrees // 90)
        assert upright_size(turned) == expected.shape[1::-1]
        got = fitter_of(turned, *upright_size(turned))
        assert np.array_equal(got, expected)


def fitter_of(turned, width, height):
    """One frame through the graph; PyAV pushes only its own frames."""
    from zoetrope.video import reader

    steps = [*reader.TURNS[round(turned.rotation) % 360], *reader._scaling(width, height, "stretch")]
    graph = reader._graph(turned.frame, steps)
    graph.push(turned.frame)
    return graph.pull().to_ndarray(format="rgb24")


def test_sound_is_read_up_to_a_length():
    file = mp4(chart(24), sound=1.0)
    samples, rate = VideoFile(file).sound(0.5)
    assert (samples.shape[1], rate) == (4000, 8000)
    later, _ = VideoFile(file, start=0.25).sound(9.0)
    assert abs(later.shape[1] - 6000) <= 1100  # AAC works in blocks of 1024 samples
    assert abs(float(later[0, :200].mean()) - float(samples[0, 2000:2200].mean())) < 0.05
    assert VideoFile(mp4(chart(2))).sound(1.0) is None


def test_sound_of_a_part_begins_where_the_part_does():
    """In Matroska time is counted in milliseconds, while a converted block's is in samples."""
    part, _ = VideoFile(mp4(chart(24), sound=1.0, kind="matroska", codec="pcm_s16le"), start=0.3).sound(9.0)
    assert part.shape[1] == 5600
    assert abs(float(part[0, 0]) + 0.2) < 1e-3  # three tenths of the ramp from -0.5 to 0.5


def test_sound_that_ffmpeg_cannot_decode_is_left_out():
    """As the spatial sound of phones; decoding it ends the process."""
    known = mp4(chart(4), sound=0.2).getvalue()
    unknown = BytesIO(known.replace(b"mp4a", b"zzzz").replace(b"esds", b"zzzz"))
    assert VideoFile(BytesIO(known)).sound(1.0) is not None
    assert VideoFile(unknown).sound(1.0) is None


def test_what_cannot_be_read_is_said_in_words(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(ValueError, match=r"cannot be read .*load another file"):
        VideoFile(str(tmp_path / "text.mp4")).rate()


def test_frames_in_memory_pass_unchanged():
    import torch

    picture = chart(1)[0]
    frame = av.VideoFrame.from_ndarray(to_uint8(torch.from_numpy(picture)[None] / 255)[0], format="rgb24")
    assert np.array_equal(fitter(64, 48, "crop")(frame), picture)
    assert isinstance(VideoFile(mp4(chart(2), rate=Fraction(30000, 1001))).rate(), Fraction)
