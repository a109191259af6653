"""Write a clip frame by frame: one file that is whole, or none.

Shapes: F = frames, H = height, W = width, C = channels (3 RGB, 4 RGB + alpha).
"""

import os
import tempfile
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from ...inputs.quoting import plain, reason_of
from ..ffmpeg import FfmpegProcess, VideoError
from ..file_names import part_path, remove
from ..metadata.embed import embed
from ..metadata.webp import overwrite_frames
from ..metadata.workflow_text import write_ffmetadata
from .ffmpeg_arguments import AUDIO_FILE, METADATA, first_pass, later_passes
from .frame_arrays import pad_to
from .job import FRAME_NAME, EncodeJob
from .pixel_conversion import raw_frames
from .writer_thread import WriterThread


def _nothing() -> None:
    pass


class VideoEncoder:
    """A context manager around the ffmpeg process of one clip.

    Memory does not grow with the clip: a thread feeds ffmpeg through a pipe, and ``write`` waits while that thread is
    two pieces behind. The file is written beside its place as ``<name>.part`` and renamed when whole; after an error or
    an interrupt the process is gone and so is everything it wrote.

    Args:
        job: what is written where; nothing is started or created before ``with``.
        check: called while waiting for ffmpeg; it may raise to abandon the clip.
    """

    def __init__(self, job: EncodeJob, check: Callable[[], None] = _nothing):
        self.job = job
        self.frames = 0
        self._check = check

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            for part in self.job.parts:
                undo.callback(remove, part)
            with self._one_sentence():
                folder = self.job.work_dir
                work = tempfile.TemporaryDirectory(prefix="zoetrope-", dir=folder, ignore_cleanup_errors=True)
                self._work = Path(undo.enter_context(work)).resolve()
                self._prepare()
            self._process = FfmpegProcess(first_pass(self.job, self._work), self.job.path.name, piped=True)
            undo.callback(lambda: self._process.kill())
            self._writer = WriterThread(self._process.write, self._check)
            undo.callback(self._stop_feeding)
            self._undo = undo.pop_all()
        return self

    def write(self, frames: NDArray[Any]) -> None:
        """Append frames; they must not be changed afterwards.

        Args:
            frames: (F, H, W, C) as ``frame_arrays.to_pixels`` gives them for the job's pixels.

        Raises:
            ValueError: another size or type than the clip's.
            VideoError: ffmpeg has failed.
        """
        (width, height), pixels = self.job.size, self.job.pixels
        kind = np.uint8 if pixels.bits == 8 else np.uint16
        if frames.shape[1:] != (height, width, 4 if pixels.alpha else 3) or frames.dtype != kind:
            raise ValueError(
                f"A frame of shape {frames.shape[1:]} and type {frames.dtype} does not fit a clip of "
                f"{width}x{height} {plain(np.dtype(kind).name)} RGB{'A' * pixels.alpha}: give all frames the same size and "
                "channels."
            )
        raw = raw_frames(pad_to(frames, *self.job.stored_size), pixels)
        self._writer.put(memoryview(np.ascontiguousarray(raw)).cast("B"))
        self.frames += len(frames)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._undo:
            if kind is None:
                self._finish()

    def _prepare(self) -> None:
        """Write what ffmpeg reads besides frames."""
        job = self.job
        if job.has_tags:
            write_ffmetadata(self._work / METADATA, job.metadata)
        if job.audio is not None:
            job.audio.write_raw(self._work / AUDIO_FILE)
        if job.format.is_folder:
            part_path(job.path).mkdir(exist_ok=True)

    def _stop_feeding(self) -> None:
        """End ffmpeg first, so that the thread does not wait for a full pipe."""
        self._process.kill()
        self._writer.abandon()

    @contextmanager
    def _one_sentence(self) -> Generator[None, None, None]:
        """A full disk, a missing folder or a file that another program holds, while we write and not ffmpeg."""
        try:
            yield
        except OSError as error:
            raise VideoError(
                f"{plain(self.job.path.name)} could not be written ({reason_of(error)}): free some space, or see whether "
                "its folder exists and lets ComfyUI write."
            ) from error

    def _finish(self) -> None:
        name = self.job.path.name
        if self.frames == 0:
            raise VideoError(f"{plain(name)} was not written because it would have no frames: give at least one.")
        self._writer.finish()
        self._process.finish(self._check)
        for arguments in later_passes(self.job, self._work, self.frames):
            self._process = FfmpegProcess(arguments, name, piped=False)
            self._process.finish(self._check)
        with self._one_sentence():
            self._rename()

    def _rename(self) -> None:
        """Complete the part file with what ffmpeg does not write, then give everything its name."""
        job, part = self.job, part_path(self.job.path)
        if job.format.codec == "webp" and job.pixels.alpha:
            overwrite_frames(part)
        if job.metadata and job.format.workflow != "tags":
            first = part / f"{FRAME_NAME % 1}.{job.format.extension}" if job.format.is_folder else part
            embed(first, job.format.workflow, job.metadata, job.stored_size)
        for part, finished in job.parts.items():
            os.replace(part, finished)
