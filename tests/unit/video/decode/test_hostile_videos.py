"""Files that somebody sent: each is read or refused in one sentence, and nothing large is allocated."""

import struct
import tracemalloc
import zlib
from io import BytesIO

import av
import numpy as np
import psutil
import pytest
from PIL import Image

from support.files.footage import film, flat, webp, written
from zoetrope.video.decode.frame_times import TimeMap, TimeSelection
from zoetrope.video.decode.reader import open_video

UNREADABLE = "cannot be read as a video .*; load another file"


def opened(tmp_path, data, name="clip.mp4"):
    (tmp_path / name).write_bytes(data)
    return open_video(str(tmp_path / name))


def count(frames):
    return len(list(frames.frames(TimeMap(frames.timeline, TimeSelection()), (64, 48), "crop")))


def gif(width, height):
    """One black frame, 39 bytes whatever the size."""
    palette = b"\0\0\0\xff\xff\xff"
    header = b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF0, 0, 0) + palette
    return header + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02L\x01\0;"


def apng(width, height):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    control = chunk(b"acTL", struct.pack(">II", 2, 0))
    frame = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, width, height, 0, 0, 1, 10, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + header + control + frame + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


def webp_header(width, height):
    canvas = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    body = b"WEBPVP8X" + struct.pack("<I4x", 10) + canvas
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_still(width, height):
    """Without the header that animations have; its bits are zeros."""
    picture = b"\x2f" + struct.pack("<I", width - 1 | height - 1 << 14) + bytes(27)
    return b"RIFF" + struct.pack("<I", 12 + len(picture)) + b"WEBPVP8L" + struct.pack("<I", len(picture)) + picture


def song():
    file = BytesIO()
    with av.open(file, "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        block = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        block.sample_rate = 8000
        container.mux(stream.encode(block))
    return file.getvalue()


REFUSED = {
    "empty": (b"", UNREADABLE),
    "zeros": (bytes(5000), UNREADABLE),
    "text": (b"no video at all\n" * 50, UNREADABLE),
    "cut before its index": (film(flat(12)).getvalue()[:1500], UNREADABLE),
    "no frames": (film(flat(0).reshape(0, 48, 64, 3)).getvalue(), "cannot be read|no video stream|no frame"),
    "sound only": (song(), "has no video stream; load one that has"),
    "huge gif": (gif(65535, 65535), "states no size|states frames of 65535x65535|cannot be read|no frame"),
    "large gif": (gif(16000, 16000), "states no size|states frames of 16000x16000 pixels, and at most 64 million"),
    "huge apng": (apng(65535, 65535), "states no size|states frames of|cannot be read|no frame"),
    "huge webp": (webp_header(65535, 65535), "states frames of 65535x65535 pixels, and at most 64 million"),
    "huge still webp": (webp_still(16383, 16383), "cannot be read as WebP|states frames of 16383x16383 pixels"),
    "large still webp": (webp_still(9000, 9000), "states frames of 9000x9000 pixels, and at most 64 million"),
    "empty webp": (webp_header(64, 48), "cannot be read as WebP"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_in_one_sentence(tmp_path, kind):
    data, sentence = REFUSED[kind]
    before = psutil.Process().memory_info().rss
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=sentence) as caught:
            count(opened(tmp_path, data))
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert psutil.Process().memory_info().rss - before < 100e6


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile {}\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8", "list.sdp"])
def test_files_that_name_other_files_are_not_followed(tmp_path, kind, name):
    """They could read any file of the machine, or ask any host."""
    film_path = written(tmp_path / "secret.ts", film(flat(4), kind="mpegts"))
    assert count(open_video(film_path)) == 4
    for target in (film_path, "secret.ts", f"file://{film_path}"):
        with pytest.raises(ValueError, match=UNREADABLE):
            opened(tmp_path, PLAYLISTS[kind].format(target).encode(), name)


def test_a_file_that_ends_too_early_gives_what_it_has(tmp_path):
    for kind, codec, pixels in (("matroska", "ffv1", "bgr0"), ("gif", "gif", "gray"), ("apng", "apng", "rgb24")):
        whole = film(flat(40, 5), 24, kind, codec, pixels, options={}).getvalue()
        assert 1 <= count(opened(tmp_path, whole[: len(whole) // 2])) < 40


def test_a_webp_that_ends_too_early(tmp_path):
    whole = (tmp_path / "whole.webp").read_bytes() if webp(tmp_path / "whole.webp", flat(9), [40] * 9) else b""
    with pytest.raises(ValueError, match="cannot be read as WebP"):
        opened(tmp_path, whole[: len(whole) // 2])


def test_the_name_does_not_matter(tmp_path):
    for kind, codec, pixels in (("gif", "gif", "gray"), ("matroska", "ffv1", "bgr0")):
        data = film(flat(3), 24, kind, codec, pixels, options={}).getvalue()
        assert count(opened(tmp_path, data, "clip.mp4")) == 3


def test_a_cover_picture_is_no_video(tmp_path):
    """Music files carry their cover as a video stream of one picture."""
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w", format="mp3") as container:
        sound = container.add_stream("libmp3lame", rate=8000, layout="mono")
        cover = container.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "rgb24"
        try:
            cover.disposition = av.stream.Disposition.attached_pic
        except TypeError:
            pytest.skip("this PyAV cannot write one")
        container.mux(cover.encode(av.VideoFrame.from_ndarray(flat(1)[0], format="rgb24")))
        block = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        block.sample_rate = 8000
        container.mux(sound.encode(block))
        container.mux(sound.encode())
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1
    with pytest.raises(ValueError, match="has no video stream"):
        open_video(str(path))


@pytest.mark.parametrize("kind", ["mp4", "matroska", "gif", "webp"])
def test_any_bytes_changed_give_frames_or_a_sentence(tmp_path, kind):
    codec, pixels = {"gif": ("gif", "gray")}.get(kind, ("libx264", "yuv420p"))
    if kind == "webp":
        webp(tmp_path / "whole.webp", flat(6), [40] * 6)
        whole = (tmp_path / "whole.webp").read_bytes()
    else:
        sound = {"mp4": 0.2, "matroska": 0.2}.get(kind, 0)
        whole = film(flat(6), 24, kind, codec, pixels, sound, {}).getvalue()
    generator = np.random.default_rng(0)
    for _ in range(40):
        data = bytearray(whole)
        for place in generator.integers(0, len(data), 6):
            data[place] = generator.integers(0, 256)
        try:
            frames = opened(tmp_path, bytes(data))
            plan = TimeMap(frames.timeline, TimeSelection(max_frames=9))
            assert len(list(frames.frames(plan, (64, 48), "crop"))) == plan.count
            frames.audio(plan.start, min(plan.seconds, 1))
        except ValueError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF"])
def test_a_still_picture_is_told_where_it_belongs(tmp_path, kind):
    file = BytesIO()
    Image.new("RGB", (64, 48)).save(file, kind)
    with pytest.raises(ValueError, match="^'a.mp4' is a still picture, not a video: use Load Image, or Load Frames"):
        opened(tmp_path, file.getvalue(), "a.mp4")


def test_messages_show_no_folders(tmp_path):
    """A WebP whose chunk claims 4 GB; Pillow's own words name the whole path."""
    broken = webp_header(64, 48) + b"ANMF" + b"\xff" * 40
    with pytest.raises(ValueError) as refused:
        count(opened(tmp_path, broken, "a.webp"))
    assert str(tmp_path) not in str(refused.value)
