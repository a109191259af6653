"""Give a finished PNG or APNG file text chunks that hold the workflow.

Source: PNG Specification (Third Edition, W3C), 5.3 "Chunk layout" and 11.3.3 "Textual information".
"""

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

from .tail import insert_before_end

SIGNATURE = b"\x89PNG\r\n\x1a\n"
LONGEST_KEY = 79  # bytes


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


END = _chunk(b"IEND", b"")


def text_chunk(key: str, text: str) -> bytes:
    """Return one chunk: tEXt for ASCII, which JSON texts are, else iTXt; ComfyUI's canvas reads both as UTF-8.

    Args:
        key: shortened to 79 bytes; signs that are not Latin-1 become question marks.
        text: of any length; NUL would end it early and is left out.
    """
    name = key.encode("latin-1", "replace").replace(b"\0", b"")[:LONGEST_KEY] + b"\0"
    text = text.replace("\0", "")
    if text.isascii():
        return _chunk(b"tEXt", name + text.encode("ascii"))
    uncompressed, no_language = b"\0\0", b"\0\0"
    return _chunk(b"iTXt", name + uncompressed + no_language + text.encode("utf-8", "replace"))


def add_text(path: Path, pairs: Mapping[str, str]) -> None:
    """Write the chunks over the end chunk and a new one after them; an animation of any size is not read.

    Args:
        path: a PNG or APNG file written by ffmpeg.
        pairs: metadata keys ("prompt", "workflow", ...) and JSON texts.

    Raises:
        VideoError: the file is no whole PNG file; it is left as it was.
    """
    pieces = (text_chunk(key, text) for key, text in pairs.items())
    insert_before_end(path, "PNG", SIGNATURE, END, pieces)
