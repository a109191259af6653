"""Put the workflow into a finished file, where its container keeps text.

PNG and APNG have text chunks before their end, GIF has comments before its trailer; for WebP see ``webp.py``.

Source: PNG Specification (Third Edition, W3C), 5.3 "Chunk layout" and 11.3.3 "Textual information"; GIF89a Specification
(CompuServe), 24 "Comment Extension", 15 "Data Sub-blocks" and 27 "Trailer".
"""

import os
import struct
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from ...inputs.quoting import plain
from ..ffmpeg import VideoError
from .webp import add_exif

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
LONGEST_PNG_KEY = 79  # bytes
GIF_SIGNATURE = b"GIF89a"
GIF_TRAILER = b";"
GIF_COMMENT = b"!\xfe"
GIF_BLOCK_BYTES = 255


def embed(
    path: Path, kind: Literal["exif", "text", "comment"], pairs: Mapping[str, str], size: tuple[int, int]
) -> None:
    """Add metadata to a file that ffmpeg has finished; the containers that ffmpeg writes tags to need none of this.

    Args:
        path: the file, changed in place and never read whole.
        kind: "exif" for WebP, "text" for PNG and APNG, "comment" for GIF.
        pairs: metadata keys ("prompt", "workflow", ...) and JSON texts; with none the file stays as it is.
        size: (width, height) of the picture, pixels.

    Raises:
        VideoError: the file is not of that kind; it is left as it was.
    """
    if not pairs:
        return
    if kind == "exif":
        add_exif(path, pairs, *size)
    elif kind == "text":
        _add_png_text(path, pairs)
    else:
        _add_gif_comments(path, pairs)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PNG_END = _chunk(b"IEND", b"")


def png_text_chunk(key: str, text: str) -> bytes:
    """Return one chunk: tEXt for ASCII, which JSON texts are, else iTXt; ComfyUI's canvas reads both as UTF-8.

    Args:
        key: shortened to 79 bytes; signs that are not Latin-1 become question marks.
        text: of any length; NUL would end it early and is left out.
    """
    name = key.encode("latin-1", "replace").replace(b"\0", b"")[:LONGEST_PNG_KEY] + b"\0"
    text = text.replace("\0", "")
    if text.isascii():
        return _chunk(b"tEXt", name + text.encode("ascii"))
    uncompressed, no_language = b"\0\0", b"\0\0"
    return _chunk(b"iTXt", name + uncompressed + no_language + text.encode("utf-8", "replace"))


def _add_png_text(path: Path, pairs: Mapping[str, str]) -> None:
    """Write the chunks over the end chunk and a new one after them; an animation of any size is not read.

    Args:
        path: a PNG or APNG file written by ffmpeg.
        pairs: metadata keys ("prompt", "workflow", ...) and JSON texts.

    Raises:
        VideoError: the file is no whole PNG file; it is left as it was.
    """
    pieces = (png_text_chunk(key, text) for key, text in pairs.items())
    _insert_before_end(path, "PNG", PNG_SIGNATURE, PNG_END, pieces)


def gif_comment(key: str, text: str) -> bytes:
    """Return one comment "key:text" in UTF-8, cut into sub-blocks as the format asks.

    Args:
        key: metadata key.
        text: of any length.
    """
    data = f"{key}:{text}".encode("utf-8", "replace")
    blocks = (data[start : start + GIF_BLOCK_BYTES] for start in range(0, len(data), GIF_BLOCK_BYTES))
    return GIF_COMMENT + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def _add_gif_comments(path: Path, pairs: Mapping[str, str]) -> None:
    """Write the comments over the trailer and a new one after them; the frames are not read.

    Args:
        path: a GIF file written by ffmpeg.
        pairs: metadata keys ("prompt", "workflow", ...) and JSON texts.

    Raises:
        VideoError: the file is no whole GIF file; it is left as it was.
    """
    pieces = (gif_comment(key, text) for key, text in pairs.items())
    _insert_before_end(path, "GIF", GIF_SIGNATURE, GIF_TRAILER, pieces)


def _insert_before_end(path: Path, kind: str, signature: bytes, end: bytes, pieces: Iterable[bytes]) -> None:
    """Write pieces over the end of a file and the end anew after them; what lies before is not read.

    Args:
        path: a file written by ffmpeg.
        kind: of file, for the sentence.
        signature: bytes that it starts with.
        end: bytes that it closes with.
        pieces: bytes to insert.

    Raises:
        VideoError: the file is no whole one of its kind; it is left as it was.
    """
    with path.open("r+b") as file:
        header = file.read(len(signature))
        last = file.seek(0, os.SEEK_END) - len(end)
        file.seek(max(last, 0))
        if header != signature or file.read() != end:
            raise VideoError(
                f"{plain(path.name)} is not a whole {kind} file, so the workflow could not be embedded: turn save_workflow off."
            )
        file.seek(last)
        file.writelines(pieces)
        file.write(end)
