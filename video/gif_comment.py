"""Give a finished GIF file comments that hold the workflow.

Source: GIF89a Specification (CompuServe), 24 "Comment Extension", 15 "Data Sub-blocks" and 27 "Trailer".
"""

import os
from collections.abc import Mapping
from pathlib import Path

from .ffmpeg import VideoError

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
    with path.open("r+b") as file:
        header = file.read(len(SIGNATURE))
        last = file.seek(0, os.SEEK_END) - len(TRAILER)
        file.seek(max(last, 0))
        if header != SIGNATURE or file.read() != TRAILER:
            raise VideoError(
                f"{path.name} is not a whole GIF file, so the workflow could not be embedded: turn save_workflow off."
            )
        file.seek(last)
        file.writelines(comment_block(key, text) for key, text in pairs.items())
        file.write(TRAILER)
