"""Give a finished GIF file comments that hold the workflow.

Source: GIF89a Specification (CompuServe), 24 "Comment Extension", 15 "Data Sub-blocks" and 27 "Trailer".
"""

from collections.abc import Mapping
from pathlib import Path

from .tail import insert_before_end

SIGNATURE = b"GIF89a"
TRAILER = b";"
COMMENT = b"!\xfe"
BLOCK_BYTES = 255


def comment_block(key: str, text: str) -> bytes:
    """Return one comment "key:text" in UTF-8, cut into sub-blocks as the format asks.

    Args:
        key: metadata key.
        text: of any length.
    """
    data = f"{key}:{text}".encode("utf-8", "replace")
    blocks = (data[start : start + BLOCK_BYTES] for start in range(0, len(data), BLOCK_BYTES))
    return COMMENT + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def add_comments(path: Path, pairs: Mapping[str, str]) -> None:
    """Write the comments over the trailer and a new one after them; the frames are not read.

    Args:
        path: a GIF file written by ffmpeg.
        pairs: metadata keys ("prompt", "workflow", ...) and JSON texts.

    Raises:
        VideoError: the file is no whole GIF file; it is left as it was.
    """
    pieces = (comment_block(key, text) for key, text in pairs.items())
    insert_before_end(path, "GIF", SIGNATURE, TRAILER, pieces)
