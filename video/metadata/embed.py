"""Put the workflow into a finished file, where its container keeps text."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from .gif_comment import add_comments
from .png_text import add_text
from .webp import add_exif


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
        add_text(path, pairs)
    else:
        add_comments(path, pairs)
