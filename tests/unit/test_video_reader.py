"""Frames and sound read back from files that PyAV or the pack's own encoder made.

Shapes: F = frames, H, W = size in pixels.
"""

import subprocess
from fractions import Fraction
from io import BytesIO

import av
import numpy as np
import pytest

from clips import chart
from footage_files import film, flat, turned, webp, written
from zoetrope.video import reader
from zoetrope.video.container import VideoFile
from zoetrope.video.encoder import VideoEncoder
from zoetrope.video.ffmpeg import find_ffmpeg
from zoetrope.video.fitting import Fitter
from zoetrope.video.format_table import FORMATS
from zoetrope.video.reader import look_through, open_frames
from zoetrope.video.sizes import FITS, fitted, placed, scaled_size, wanted_size
from zoetrope.video.timemap import Selection, TimeMap


def looked(file):
    return look_through(VideoFile(file))


def read(frames, size=(64, 48), fit="stretch", untagged="auto", **selection):
    plan = TimeMap(frames.timeline, Selection(**selection))
    return np.stack(list(frames.pictures(plan, size, fit, untagged)))


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
    assert TimeMap(frames.timeline, Selection()).rate == 24
    assert shown(read(frames, start=0.5, skip_frames=1, every_nth=3, max_frames=3)) == [13, 16, 19]
    assert shown(read(frames, frame_rate=12)) == list(range(0, 23, 2))


def test_a_gif_plays_by_the_delays_of_its_frames():
    """At 24 a second a GIF has delays of 0.04 and 0.05 s."""
    frames = looked(film(flat(12, 18), 24, "gif", "gif", "gray", options={}))
    assert shown(read(frames), 18) == list(range(12))
    assert shown(read(frames, frame_rate=6), 18) == [0, 4, 8]


def test_a_varying_rate_goes_by_timestamps():
    """Frames at 0, 8, 16 and 17 of 24ths."""
    frames = looked(film(flat(4, 40), times=[0, 8, 16, 17], options={"bf": "0"}))
    assert shown(read(frames, frame_rate=24), 40)[:18] == [0] * 8 + [1] * 8 + [2, 3]


def test_twice_the_rate_shows_each_frame_twice():
    assert shown(read(looked(film(flat(4, 40))), frame_rate=48), 40) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_reading_starts_at_the_key_frame_before(monkeypatch):
    """120 frames with a key frame every 10: few are decoded to reach the 100th."""
    decoded, seen = reader.decoded, []

    def watched(*args):
        for frame in decoded(*args):
            seen.append(frame.pts)
            yield frame

    frames = looked(film(flat(120, 1), options={"g": "10", "bf": "0", "sc_threshold": "0"}))
    monkeypatch.setattr(reader, "decoded", watched)
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
    frames = open_frames(path)
    assert len(frames.timeline.times) == len(read(frames)) == 60
    assert TimeMap(frames.timeline, Selection()).rate == 24


def test_a_damaged_frame_holds_the_one_before():
    """Frame 3 of 6 is overwritten; in ProRes each stands for itself."""
    file = film(flat(6), kind="mov", codec="prores_ks", pixels="yuv422p10le", options={})
    with av.open(BytesIO(file.getvalue())) as container:
        packet = [bytes(packet) for packet in container.demux(video=0)][3]
    data = bytearray(file.getvalue())
    place = data.index(packet)
    data[place : place + len(packet)] = bytes(len(packet))
    assert shown(read(looked(BytesIO(bytes(data))))) == [0, 1, 2, 2, 4, 5]


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
    with VideoEncoder(tmp_path / "clip.mp4", (64, 64), 8, FORMATS["h264-mp4"], quality=1) as encoder:
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


@pytest.mark.parametrize("tag", [{"color_trc": 9}, {"color_trc": 16}, {"color_primaries": 9}])
def test_transfer_and_primaries_do_not_matter(tag):
    """Logarithmic transfer is one that ffmpeg's scaler refuses to convert from."""
    frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="rgb24").reformat(format="yuv420p")
    frame.pts = 0
    for name, value in tag.items():
        if not hasattr(frame, name):
            pytest.skip("PyAV before 17 cannot set it")
        setattr(frame, name, value)
    assert np.abs(Fitter((64, 48), "crop")(frame).astype(int) - 90).max() <= 1


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


def test_more_than_eight_bits_are_kept():
    """A ramp of 64 steps between two neighbours of 8 bits: in 10 bits three values lie between them."""
    frames = looked(film(flat(1), codec="libx264", pixels="yuv444p10le"))
    assert frames.deep
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


def test_webp_by_its_content(tmp_path):
    """Its name says mp4; delays 100, 300 and 200 ms and one that browsers make 100 ms of."""
    path = webp(tmp_path / "x.mp4", flat(4, 40, (63, 47)), (100, 300, 200, 5))
    frames = open_frames(path)
    assert (frames.size, frames.alpha, frames.deep) == ((63, 47), False, False)
    assert (list(frames.timeline.times), frames.timeline.end) == ([0, 100, 400, 600], 700)
    assert shown(read(frames, (64, 48), frame_rate=10), 40) == [0, 1, 1, 1, 2, 2, 3]
    assert shown(read(frames, (64, 48), frame_rate=10, skip_frames=5), 40) == [2, 3]
    assert frames.sound(Fraction(0), Fraction(1)) is None


def test_transparent_and_still_webp(tmp_path):
    pictures = np.concatenate([flat(2, 40), np.full((2, 48, 64, 1), 130, np.uint8)], axis=3)
    frames = open_frames(webp(tmp_path / "a.webp", pictures, (100, 100), "RGBA"))
    assert frames.alpha
    assert (read(frames)[..., 3] == 130).all()
    still = open_frames(webp(tmp_path / "b.webp", flat(1), (0,)))
    assert read(still).shape == (1, 48, 64, 3)


def test_files_in_memory_and_on_disk_are_the_same(tmp_path):
    file = film(flat(3))
    assert np.array_equal(read(looked(file)), read(open_frames(written(tmp_path / "clip.bin", file))))
