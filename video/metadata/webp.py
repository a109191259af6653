"""Give a finished WebP file an EXIF chunk that holds the workflow.

Source: WebP Container Specification (Google), "Extended File Format" and "Metadata"; WebP Lossless Bitstream
Specification (Google), 3 "RIFF Header"; TIFF 6.0 section 2.
"""

import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from ...inputs.quoting import plain
from ..ffmpeg import VideoError

FIRST_TAG = 0x010F  # "Make", where ComfyUI's own savers put the workflow; further keys take the tags below it
PROMPT_TAG = 0x0110  # "Model", where they put the prompt
ASCII = 2
EXIF_FLAG = 0x08
ALPHA_FLAG = 0x10  # of the extended header, and of the last byte of a lossless image's own header
HEADER_BYTES = 12
FRAME_FLAGS = 15  # of an ANMF chunk, after its place, size and duration
DO_NOT_BLEND = 0x02
LOSSLESS_FLAGS = 12  # chunk type and size, a signature byte, then 14 bits of width, 14 of height and the alpha bit


def exif_block(pairs: Mapping[str, str]) -> bytes:
    """Return a TIFF block with one "key:value" string a pair, which is how ComfyUI stores them.

    Args:
        pairs: metadata keys ("prompt", "workflow", ...) and JSON texts.
    """
    others = [key for key in pairs if key != "prompt"]
    tags = {FIRST_TAG - number: key for number, key in enumerate(others)}
    if "prompt" in pairs:
        tags[PROMPT_TAG] = "prompt"
    entries, strings = b"", b""
    strings_start = 8 + 2 + 12 * len(tags) + 4
    for tag, key in sorted(tags.items()):
        text = f"{key}:{pairs[key]}".encode("utf-8", "replace").replace(b"\0", b"") + b"\0"
        entries += struct.pack("<HHII", tag, ASCII, len(text), strings_start + len(strings))
        strings += text
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0) + strings


def add_exif(path: Path, pairs: Mapping[str, str], width: int, height: int) -> None:
    """Append the EXIF chunk in place; an animation of any size is not read into memory.

    Args:
        path: a WebP file written by ffmpeg.
        pairs: as for ``exif_block``.
        width: of the canvas, pixels.
        height: of the canvas, pixels.

    Raises:
        VideoError: the file is not a WebP file.
    """
    with path.open("r+b") as file:
        header = file.read(HEADER_BYTES)
        if len(header) < HEADER_BYTES or header[:4] != b"RIFF" or header[8:] != b"WEBP":
            raise VideoError(
                f"{plain(path.name)} is not a WebP file, so the workflow could not be embedded: turn save_workflow off."
            )
        if file.read(4) == b"VP8X":
            _set_flag(file, HEADER_BYTES + 8, EXIF_FLAG)
        else:
            _extend_still_image(file, width, height)
        file.seek(0, os.SEEK_END)
        block = exif_block(pairs)
        file.write(b"EXIF" + struct.pack("<I", len(block)) + block + b"\0" * (len(block) % 2))
        size = file.tell()
        file.seek(4)
        file.write(struct.pack("<I", size - 8))


def overwrite_frames(path: Path) -> None:
    """Let each frame replace the one before, in place: ffmpeg's would show through where a frame is transparent.

    Args:
        path: a WebP file written by ffmpeg; a still picture is left as it is.
    """
    with path.open("r+b") as file:
        position, end = HEADER_BYTES, os.fstat(file.fileno()).st_size
        while position + 8 <= end:
            file.seek(position)
            kind, size = struct.unpack("<4sI", file.read(8))
            if kind == b"ANMF":
                _set_flag(file, position + 8 + FRAME_FLAGS, DO_NOT_BLEND)
            position += 8 + size + size % 2


def _set_flag(file: BinaryIO, position: int, flag: int) -> None:
    file.seek(position)
    flags = file.read(1)[0]
    file.seek(position)
    file.write(bytes([flags | flag]))


def _extend_still_image(file: BinaryIO, width: int, height: int) -> None:
    """A clip of one frame can be a plain WebP image; put the extended header before it."""
    file.seek(HEADER_BYTES)
    image = file.read()
    flags = EXIF_FLAG
    if image[:4] == b"VP8L":
        flags |= image[LOSSLESS_FLAGS] & ALPHA_FLAG
    sizes = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    file.seek(HEADER_BYTES)
    file.write(b"VP8X" + struct.pack("<IB3x", 10, flags) + sizes + image)
