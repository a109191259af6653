"""Add to the end of a finished file that must close with certain bytes."""

import os
from collections.abc import Iterable
from pathlib import Path

from ..ffmpeg import VideoError


def insert_before_end(path: Path, kind: str, signature: bytes, end: bytes, pieces: Iterable[bytes]) -> None:
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
                f"{path.name} is not a whole {kind} file, so the workflow could not be embedded: turn save_workflow off."
            )
        file.seek(last)
        file.writelines(pieces)
        file.write(end)
