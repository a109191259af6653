"""The workflow inside PNG, APNG, GIF and WebP: found where readers look, and the pictures stay whole."""

import json
import struct
import subprocess
import zlib

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from support.clips import exif_texts, webp_chunks
from zoetrope.video.ffmpeg import VideoError, find_ffmpeg
from zoetrope.video.metadata.embed import embed, gif_comment, png_text_chunk

SIZE = (32, 24)
KINDS = {"png": "text", "apng": "text", "gif": "comment", "webp": "exif"}
LONG = json.dumps({"text": "long; \\ \u65e5 " * 20_000})
PAIRS = {
    "prompt": '{"1": {"inputs": {"text": "a: b; c"}}}',
    "workflow": LONG,
    "note": "\u65e5\u672c \u00fc \U0001f3ac\n",
}


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """One small file of each kind, as ffmpeg writes them; png has one picture, the others three frames."""
    folder = tmp_path_factory.mktemp("originals")
    source = ["-f", "lavfi", "-i", f"testsrc=size={SIZE[0]}x{SIZE[1]}:rate=8"]
    outputs = []
    for name, frames, encoder, muxer in [
        ("png", 1, "png", "image2"),
        ("apng", 3, "apng", "apng"),
        ("gif", 3, "gif", "gif"),
        ("webp", 3, "libwebp", "webp"),
    ]:
        outputs += ["-map", "0:v", "-frames:v", str(frames), "-c:v", encoder, "-f", muxer, f"file:{folder / name}"]
    subprocess.run([find_ffmpeg(), "-loglevel", "error", "-nostdin", *source, *outputs], check=True)
    return {name: (folder / name).read_bytes() for name in KINDS}


@pytest.fixture
def made(originals, tmp_path):
    """A function that writes an original, embeds pairs and returns the path."""

    def make(name, pairs):
        path = tmp_path / f"clip.{'png' if name == 'apng' else name}"
        path.write_bytes(originals[name])
        embed(path, KINDS[name], pairs, SIZE)
        return path

    return make


def png_chunks(data):
    """(type, content) of every chunk, with the checksum of each one checked; the PNG specification, 5.3."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = [], 8
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0] == zlib.crc32(kind + content)
        chunks.append((kind.decode(), content))
        at += 12 + size
    return chunks


def png_texts(data):
    """What ComfyUI's canvas finds: it walks all chunks and takes every text for UTF-8, in tEXt too."""
    texts = {}
    for kind, content in png_chunks(data):
        if kind in ("tEXt", "iTXt"):
            key, _, rest = content.partition(b"\0")
            if kind == "iTXt":
                assert rest[0] == 0  # not compressed
                rest = rest[2:].split(b"\0", 2)[2]
            texts[key.decode("latin-1")] = rest.decode("utf-8")
    return texts


def gif_comments(data):
    """Comments of a GIF by walking its blocks; GIF89a specification, 15 to 27."""

    def sub_blocks(at):
        content = b""
        while data[at]:
            content += data[at + 1 : at + 1 + data[at]]
            at += 1 + data[at]
        return content, at + 1

    def table(flags):
        return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0

    assert data[:6] == b"GIF89a"
    comments, at = [], 13 + table(data[10])
    while data[at] != 0x3B:
        if data[at] == 0x21:
            label = data[at + 1]
            content, at = sub_blocks(at + 2)
            if label == 0xFE:
                comments.append(content.decode())
        else:
            assert data[at] == 0x2C
            _, at = sub_blocks(at + 10 + table(data[at + 9]) + 1)
    assert at == len(data) - 1
    return dict(comment.split(":", 1) for comment in comments)


def texts_of(path, name):
    if name == "webp":
        return exif_texts(dict(webp_chunks(path))["EXIF"])
    return (gif_comments if name == "gif" else png_texts)(path.read_bytes())


def frames_by_pillow(path):
    with Image.open(path) as image:
        frames = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            frames.append(np.asarray(image.convert("RGBA")))
    return np.stack(frames)


def frames_by_ffmpeg(path, name):
    with av.open(str(path), format={"apng": "apng", "png": "png_pipe"}.get(name)) as container:
        return np.stack([frame.to_ndarray(format="rgba") for frame in container.decode(video=0)])


@pytest.mark.parametrize("name", KINDS)
def test_texts_come_back_and_frames_stay(made, name):
    assert len(LONG) > 250_000
    plain = made(name, {})
    before = frames_by_pillow(plain), None if name == "webp" else frames_by_ffmpeg(plain, name)
    path = made(name, PAIRS)
    assert texts_of(path, name) == PAIRS
    assert np.array_equal(frames_by_pillow(path), before[0])
    assert len(before[0]) == (1 if name == "png" else 3)
    if name != "webp":  # older PyAV cannot read an animated one
        assert np.array_equal(frames_by_ffmpeg(path, name), before[1])


@pytest.mark.parametrize("name", KINDS)
def test_without_pairs_the_file_stays(made, originals, name):
    assert made(name, {}).read_bytes() == originals[name]


@pytest.mark.parametrize("color", ["red@0.5", "red"])
def test_a_still_webp_says_whether_it_is_transparent(tmp_path, color):
    path = tmp_path / "clip.webp"
    picture = ["-f", "lavfi", "-i", f"color={color}:size={SIZE[0]}x{SIZE[1]},format=bgra", "-frames:v", "1"]
    encoder = ["-c:v", "libwebp", "-lossless", "1", "-f", "webp", f"file:{path}"]
    subprocess.run([find_ffmpeg(), "-loglevel", "error", "-nostdin", *picture, *encoder], check=True)
    with Image.open(path) as image:
        before = image.mode, image.convert("RGBA").tobytes()
    embed(path, "exif", PAIRS, SIZE)
    (kind, header), (still, _), _ = webp_chunks(path)
    assert (kind, still) == ("VP8X", "VP8L")
    # WebP container specification: 0x10 is the L bit, 0x08 the E bit.
    assert header[0] == (0x18 if "@" in color else 0x08)
    with Image.open(path) as image:
        assert (image.mode, image.convert("RGBA").tobytes()) == before


@pytest.mark.parametrize("name", ["png", "apng"])
def test_png_has_its_end_once_and_last(made, name):
    kinds = [kind for kind, _ in png_chunks(made(name, PAIRS).read_bytes())]
    # JSON is ASCII and goes to tEXt, the text in other scripts to iTXt.
    assert kinds[-4:] == ["tEXt", "tEXt", "iTXt", "IEND"]
    assert kinds.count("IEND") == 1


def test_pillow_finds_the_workflow_of_a_png(made):
    with Image.open(made("png", PAIRS)) as image:
        image.load()
        assert image.text == PAIRS


def test_png_keys_fit_the_format():
    (chunk,) = png_chunks(b"\x89PNG\r\n\x1a\n" + png_text_chunk("k" * 100 + "\0", "a\0b"))
    assert chunk == ("tEXt", b"k" * 79 + b"\0ab")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=600))
def test_any_text_fits_into_comment_blocks(text):
    block = gif_comment("key", text)
    # An empty GIF: header, a 1x1 screen without colours, the comment, the trailer.
    assert gif_comments(b"GIF89a" + bytes([1, 0, 1, 0, 0, 0, 0]) + block + b";") == {"key": text}


@pytest.mark.parametrize("kind, other", [("text", "PNG"), ("comment", "GIF"), ("exif", "WebP")])
@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0AVI ", b"x" * 500])
def test_another_kind_of_file_is_refused_and_left_as_it_is(tmp_path, kind, other, data):
    path = tmp_path / "clip.bin"
    path.write_bytes(data)
    with pytest.raises(VideoError, match=rf"^clip\.bin is not a .*{other} file, so .*: turn save_workflow off\.$"):
        embed(path, kind, {"workflow": "{}"}, SIZE)
    assert path.read_bytes() == data


@pytest.mark.parametrize("name", ["png", "apng", "gif"])
def test_a_cut_file_is_refused_and_left_as_it_is(originals, tmp_path, name):
    path = tmp_path / "clip"
    path.write_bytes(originals[name][:-1])
    with pytest.raises(VideoError, match="not a whole"):
        embed(path, KINDS[name], {"workflow": "{}"}, SIZE)
    assert path.read_bytes() == originals[name][:-1]
