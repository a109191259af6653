"""Write a clip frame by frame: one file that is whole, or none.

Shapes: F = frames, H = height, W = width.
"""

import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from .arguments import METADATA, SOUND, Clip, passes
from .audio import Sound
from .ffmpeg import FfmpegProcess, VideoError
from .formats import VideoFormat
from .frames import pad_to_even
from .metadata import write_ffmetadata
from .names import part_path
from .rates import exact_rate
from .webp import add_exif


def _nothing() -> None:
    pass


class VideoEncoder:
    """A context manager around the ffmpeg process of one clip.

    Memory does not grow with the clip: frames go through a pipe that blocks while ffmpeg is busy. The file is
    written beside its place as ``<name>.part`` and renamed when whole; after an error or an interrupt the process
    is gone and so is everything it wrote.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        frame_rate: float | Fraction,
        format: VideoFormat,
        quality: int = -1,
        loop_count: int = 0,
        metadata: Mapping[str, str] | None = None,
        sound: Sound | None = None,
        work_dir: Path | None = None,
        check: Callable[[], None] = _nothing,
    ):
        """Describe the clip; nothing is started or created before ``with``.

        Args:
            path: finished file.
            size: (width, height) of the frames, pixels.
            frame_rate: frames a second.
            format: row of the format table.
            quality: the format's number, -1 for its default.
            loop_count: loop field of the container, 0 for ever; ignored by h264-mp4.
            metadata: keys and JSON texts to embed; left out where the format cannot hold them.
            sound: already as long as the clip; left out where the format has no sound.
            work_dir: existing folder for temporary files, the system's by default.
            check: called while waiting for ffmpeg; it may raise to abandon the clip.

        Raises:
            ValueError: the format cannot do what is asked.
        """
        self.path, self.width, self.height = path, *size
        self.frame_rate = exact_rate(frame_rate)
        self.format = format
        self.frames = 0
        self._part = part_path(path)
        self._quality = format.quality_or_default(quality)
        self._loop_count = loop_count
        self._metadata = dict(metadata or {}) if format.workflow else {}
        self._sound = sound if format.audio_encoder else None
        self._work_dir = work_dir
        self._check = check
        format.require_rate(self.frame_rate)

    @property
    def stored_size(self) -> tuple[int, int]:
        """(width, height) in the file: odd sizes grow by one pixel where the format needs even ones."""
        if self.format.even_size:
            return self.width + self.width % 2, self.height + self.height % 2
        return self.width, self.height

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self._part.unlink, missing_ok=True)
            work = tempfile.TemporaryDirectory(prefix="zoetrope-", dir=self._work_dir, ignore_cleanup_errors=True)
            first, *self._later_passes = passes(self._prepare(Path(undo.enter_context(work))))
            self._process = FfmpegProcess(first, self.path.name, piped=True)
            undo.callback(lambda: self._process.kill())
            self._undo = undo.pop_all()
        return self

    def write(self, frames: NDArray[np.uint8]) -> None:
        """Append frames.

        Args:
            frames: (F, H, W, 3), 8-bit RGB.

        Raises:
            ValueError: another size than the clip's.
            VideoError: ffmpeg has failed.
        """
        if frames.shape[1:] != (self.height, self.width, 3) or frames.dtype != np.uint8:
            raise ValueError(
                f"A frame of shape {frames.shape[1:]} and type {frames.dtype} does not fit a clip of "
                f"{self.width}x{self.height} 8-bit RGB: give all frames the same size."
            )
        even = pad_to_even(frames) if self.format.even_size else frames
        self._process.write(memoryview(np.ascontiguousarray(even)).cast("B"))
        self.frames += len(frames)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._undo:
            if kind is None:
                self._finish()

    def _prepare(self, work: Path) -> Clip:
        if self._metadata and self.format.workflow == "tags":
            write_ffmetadata(work / METADATA, self._metadata)
        if self._sound is not None:
            self._sound.write_raw(work / SOUND)
        width, height = self.stored_size
        return Clip(
            target=self._part.resolve(),
            work=work.resolve(),
            width=width,
            height=height,
            frame_rate=self.frame_rate,
            format=self.format,
            quality=self._quality,
            loop_count=self._loop_count,
            has_metadata=(work / METADATA).exists(),
            sound=self._sound,
        )

    def _finish(self) -> None:
        if self.frames == 0:
            raise VideoError(f"{self.path.name} was not written because it would have no frames: give at least one.")
        self._process.finish(self._check)
        for arguments in self._later_passes:
            self._process = FfmpegProcess(arguments, self.path.name, piped=False)
            self._process.finish(self._check)
        if self._metadata and self.format.workflow == "exif":
            add_exif(self._part, self._metadata, *self.stored_size)
        os.replace(self._part, self.path)
