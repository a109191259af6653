"""Test clips, and readers that share no code with the pack: PyAV, Pillow and two small container walkers.

Shapes: F = frames, H = height, W = width.
"""

import functools
import os
import struct
import sys
from fractions import Fraction

import av
import av.filter
import numpy as np
import psutil
import pytest
from PIL import Image

from zoetrope.video.ffmpeg import find_ffmpeg
from zoetrope.video.formats.available import keep_writable
from zoetrope.video.formats.encoder_probe import probe_encoders
from zoetrope.video.formats.table import FORMATS


def chart(frames, height=48, width=64):
    """Smooth gradients that move and never repeat, (F, H, W, 3) 8-bit RGB."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    turns = np.linspace(0.0, 0.5, max(frames, 2))[:frames, None, None]
    waves = [0.5 + 0.4 * np.sin(2 * np.pi * (0.7 * x + 0.3 * y + turns + phase)) for phase in (0.0, 0.33, 0.66)]
    return (np.stack(waves, axis=-1) * 255 + 0.5).astype(np.uint8)


@functools.cache
def written_formats():
    """The formats that this ffmpeg writes without a GPU, each with the encoder that it opens."""
    rows = [row for name, row in FORMATS.items() if not name.startswith("nvenc-")]
    names = [encoder.name for row in rows for encoder in row.encoders]
    return dict(keep_writable(rows, probe_encoders(names, find_ffmpeg())).rows)


def stand_in_ffmpeg(folder, body):
    """The path of a program that stands in for ffmpeg: a few lines of Python."""
    if os.name == "nt":
        pytest.skip("the program that stands in for ffmpeg is a script with a #! line")
    program = folder / "fake_ffmpeg"
    program.write_text(f"#!{sys.executable}\nimport sys, time\n{body}\n")
    program.chmod(0o755)
    return str(program)


def send(encoder, frames):
    """Give 8-bit RGB or RGBA frames to an encoder, in the depth it wants."""
    encoder.write(frames if encoder.job.pixels.bits == 8 else frames.astype(np.uint16) * 257)


def clip_name(row):
    """File or folder name for a format."""
    return "clip" if row.is_folder else f"clip.{row.extension}"


def decode(path):
    """Return frames (F, H, W, 3) and their times in seconds as fractions; the matrix is BT.709 by an explicit filter."""
    if path.suffix == ".webp":
        return decode_with_pillow(path)
    if path.is_dir():
        files = sorted(path.iterdir())
        return np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files]), None
    frames, times = [], []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        graph = av.filter.Graph()
        is_yuv = stream.codec_context.pix_fmt.startswith("yuv")
        left = "in_h_chr_pos=0:in_v_chr_pos=128"  # where film codecs have the colour of a pair of pixels
        matrix = f"in_color_matrix=bt709:in_range=tv:{left}" if is_yuv else "in_range=auto"
        graph.link_nodes(
            graph.add_buffer(template=stream),
            graph.add("scale", f"{matrix}:flags=bicubic+accurate_rnd+full_chroma_int"),
            graph.add("format", "rgb24"),
            graph.add("buffersink"),
        ).configure()
        for frame in container.decode(stream):
            graph.push(frame)
            frames.append(graph.pull().to_ndarray(format="rgb24"))
            times.append(frame.pts * Fraction(frame.time_base))
    return np.stack(frames), times


def decode_with_pillow(path):
    """Frames and start times of a GIF or WebP, milliseconds in the file."""
    frames, times, now = [], [], Fraction(0)
    with Image.open(path) as image:
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            frames.append(np.asarray(image.convert("RGB")))
            times.append(now)
            now += Fraction(image.info.get("duration") or 0, 1000)
    return np.stack(frames), times


def boxes(data, start=0, end=None):
    """Yield (type, content start, content end) of the MP4 boxes of a level."""
    position, end = start, len(data) if end is None else end
    while position + 8 <= end:
        size = struct.unpack(">I", data[position : position + 4])[0]
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", data[position + 8 : position + 16])[0], 16
        yield data[position + 4 : position + 8].decode("latin-1"), position + head, position + size
        position += size


def mp4_tags(path):
    """Keys and texts of moov/udta/meta (keys, ilst): where ComfyUI's canvas looks."""
    data = path.read_bytes()
    start, end = 0, len(data)
    for name, skip in (("moov", 0), ("udta", 0), ("meta", 4)):
        start, end = next((a + skip, b) for kind, a, b in boxes(data, start, end) if kind == name)
    level = {kind: (a, b) for kind, a, b in boxes(data, start, end)}
    keys = [data[a:b].decode() for _, a, b in boxes(data, level["keys"][0] + 8, level["keys"][1])]
    tags = {}
    position, stop = level["ilst"]
    while position < stop:
        size, number = struct.unpack(">II", data[position : position + 8])
        (_, a, b), *_ = boxes(data, position + 8, position + size)
        tags[keys[number - 1]] = data[a + 8 : b].decode()
        position += size
    return tags


def webp_chunks(path):
    """List of (type, bytes) of a WebP file, after checking the sizes that the RIFF header promises."""
    data = path.read_bytes()
    assert data[:4] == b"RIFF"
    assert data[8:12] == b"WEBP"
    assert struct.unpack("<I", data[4:8])[0] == len(data) - 8
    chunks, position = [], 12
    while position < len(data):
        size = struct.unpack("<I", data[position + 4 : position + 8])[0]
        chunks.append((data[position : position + 4].decode(), data[position + 8 : position + 8 + size]))
        position += 8 + size + size % 2
    assert position == len(data)
    return chunks


def exif_texts(block):
    """Texts of the first IFD of a little-endian TIFF block, split at the first colon as ComfyUI's canvas does."""
    assert block[:4] == b"II*\0"
    first = struct.unpack("<I", block[4:8])[0]
    texts = {}
    for entry in range(struct.unpack("<H", block[first : first + 2])[0]):
        at = first + 2 + 12 * entry
        _, kind, count, offset = struct.unpack("<HHII", block[at : at + 12])
        assert kind == 2
        key, _, value = block[offset : offset + count - 1].decode().partition(":")
        texts[key] = value
    return texts


def running_children():
    """Processes that this one started and did not reap, zombies included."""
    return psutil.Process().children(recursive=True)


def left_behind(folder):
    """Names of everything under a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
