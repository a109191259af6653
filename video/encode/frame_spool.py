"""Frames on disk that are written once and read again, so that a clip can be shown backward without being held.

Shapes: F = frames, H = height, W = width, C = channels.
"""

from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from ...inputs.quoting import plain, reason_of
from ..ffmpeg import VideoError


class FrameSpool:
    """A file of raw frames of one shape. A context manager; the file is gone at the end.

    Args:
        path: file to create; its folder exists.
    """

    def __init__(self, path: Path):
        self._path = path
        self._frames = 0
        self._frame: NDArray[Any] | None = None

    def __enter__(self) -> Self:
        self._file = self._path.open("w+b")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # bytes that found no room on a full disk; nobody wants them any more
            self._file.close()
        self._path.unlink(missing_ok=True)

    def append(self, frames: NDArray[Any]) -> None:
        """Add frames (F, H, W, C), each of the shape and type of the first.

        Raises:
            VideoError: the disk is full.
        """
        frame = self._frame = np.empty_like(frames[0])
        try:
            self._file.seek(self._frames * frame.nbytes)
            self._file.write(memoryview(np.ascontiguousarray(frames)).cast("B"))
            self._file.flush()  # a full disk is noticed here and not while reading
        except OSError as error:
            raise VideoError(
                f"{plain(self._frames + len(frames))} frames that are shown again could not be kept in the temporary folder "
                f"({reason_of(error)}): free some space, or turn pingpong off and set loop_count to 0."
            ) from error
        self._frames += len(frames)

    def read(self, numbers: list[int]) -> NDArray[Any]:
        """Frames (F, H, W, C) by number, in any order.

        Raises:
            ValueError: a frame that was not added.
            VideoError: the file is shorter than what was added.
        """
        frame = self._frame
        if frame is None or not all(0 <= number < self._frames for number in numbers):
            raise ValueError(f"Frames {numbers} are not among the {plain(self._frames)} that were kept.")
        found = np.empty((len(numbers), *frame.shape), frame.dtype)
        for row, number in zip(found, numbers, strict=True):
            self._file.seek(number * frame.nbytes)
            if self._file.readinto(memoryview(row).cast("B")) != row.nbytes:
                raise VideoError(f"Frame {plain(number)} was cut off in the temporary folder: run the clip again.")
        return found
