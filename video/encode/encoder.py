"""Write a clip frame by frame: one file that is whole, or none.

Shapes: F = frames, H = height, W = width, C = channels (3 RGB, 4 RGB + alpha).
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from ..audio_track import Sound
from ..ffmpeg import FfmpegProcess, VideoError
from ..file_names import part_path, remove
from ..formats.video_format import VideoFormat
from ..frame_rate import exact_rate
from ..metadata.embed import embed
from ..metadata.webp import overwrite_frames
from ..metadata.workflow_text import write_ffmetadata
from .ffmpeg_arguments import FRAME_NAME, METADATA, SOUND, Clip, first_pass, second_pass
from .frame_arrays import pad_to
from .pixel_conversion import raw_frames
from .writer_thread import Pump


def _nothing() -> None:
    pass


class VideoEncoder:
    """A context manager around the ffmpeg process of one clip.

    Memory does not grow with the clip: a thread feeds ffmpeg through a pipe, and ``write`` waits while that thread is
    two pieces behind. The file is written beside its place as ``<name>.part`` and renamed when whole; after an error or
    an interrupt the process is gone and so is everything it wrote.

    Args:
        path: finished file, or folder where the format is one file a frame.
        size: (width, height) of the frames, pixels.
        frame_rate: frames a second.
        format: row of the format table; its first encoder is used.
        quality: the format's number, -1 for its default.
        loop_count: loop field of the container, 0 for ever, where it has one.
        metadata: keys and JSON texts to embed.
        sound: already as long as the clip; left out where the format has no sound.
        work_dir: existing folder for temporary files, the system's by default.
        check: called while waiting for ffmpeg; it may raise to abandon the clip.
        bits: of each colour, wanted.
        alpha: whether the frames have transparency, which is kept where the format can.
        proxy: H.264 file of the same clip to write too, which a browser can play.
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
        bits: int = 8,
        alpha: bool = False,
        proxy: Path | None = None,
    ):
        """Describe the clip; nothing is started or created before ``with``.

        Raises:
            ValueError: the format cannot do what is asked.
        """
        format.require_rate(exact_rate(frame_rate))
        format.require_bits(bits)
        format.require_size(*size)
        self.path, self.width, self.height = path, *size
        self.format, self.pixels = format, format.pixels_for(bits, alpha)
        self.frames = 0
        # part -> finished, for everything ffmpeg writes
        self._files = {part_path(written): written for written in (path, proxy) if written is not None}
        self._rate, self._quality = exact_rate(frame_rate), format.quality_or_default(quality)
        self._loop_count, self._metadata = loop_count, dict(metadata or {})
        self._sound = sound if format.audio else None
        self._work_dir, self._check = work_dir, check

    @property
    def stored_size(self) -> tuple[int, int]:
        """(width, height) in the file: odd sizes grow by one pixel where the format needs even ones."""
        return self.pixels.room(self.width, self.height)

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            for part in self._files:
                undo.callback(remove, part)
            with self._one_sentence():
                work = tempfile.TemporaryDirectory(prefix="zoetrope-", dir=self._work_dir, ignore_cleanup_errors=True)
                self._clip = self._prepare(Path(undo.enter_context(work)))
            self._process = FfmpegProcess(first_pass(self._clip), self.path.name, piped=True)
            undo.callback(lambda: self._process.kill())
            self._pump = Pump(self._process.write, self._check)
            undo.callback(self._stop_feeding)
            self._undo = undo.pop_all()
        return self

    def write(self, frames: NDArray[Any]) -> None:
        """Append frames; they must not be changed afterwards.

        Args:
            frames: (F, H, W, C) as ``frames.to_pixels`` gives them for ``self.pixels``.

        Raises:
            ValueError: another size or type than the clip's.
            VideoError: ffmpeg has failed.
        """
        kind = np.uint8 if self.pixels.bits == 8 else np.uint16
        if frames.shape[1:] != (self.height, self.width, 4 if self.pixels.alpha else 3) or frames.dtype != kind:
            raise ValueError(
                f"A frame of shape {frames.shape[1:]} and type {frames.dtype} does not fit a clip of "
                f"{self.width}x{self.height} {np.dtype(kind).name} RGB{'A' * self.pixels.alpha}: give all frames the "
                "same size and channels."
            )
        raw = raw_frames(pad_to(frames, *self.stored_size), self.pixels)
        self._pump.put(memoryview(np.ascontiguousarray(raw)).cast("B"))
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
        target, *proxy = (part.resolve() for part in self._files)
        if self.format.is_folder:
            target.mkdir(exist_ok=True)
        width, height = self.stored_size
        return Clip(
            target=target,
            work=work.resolve(),
            width=width,
            height=height,
            frame_rate=self._rate,
            format=self.format,
            pixels=self.pixels,
            quality=self._quality,
            loop_count=self._loop_count,
            has_metadata=(work / METADATA).exists(),
            sound=self._sound,
            proxy=proxy[0] if proxy else None,
        )

    def _stop_feeding(self) -> None:
        """End ffmpeg first, so that the thread does not wait for a full pipe."""
        self._process.kill()
        self._pump.abandon()

    @contextmanager
    def _one_sentence(self) -> Iterator[None]:
        """A full disk, a missing folder or a file that another program holds, while we write and not ffmpeg."""
        try:
            yield
        except OSError as error:
            raise VideoError(
                f"{self.path.name} could not be written ({error.strerror or error}): free some space, or see whether its "
                "folder exists and lets ComfyUI write."
            ) from error

    def _finish(self) -> None:
        if self.frames == 0:
            raise VideoError(f"{self.path.name} was not written because it would have no frames: give at least one.")
        self._pump.finish()
        self._process.finish(self._check)
        if arguments := second_pass(self._clip, self.frames):
            self._process = FfmpegProcess(arguments, self.path.name, piped=False)
            self._process.finish(self._check)
        with self._one_sentence():
            self._take_its_place()

    def _take_its_place(self) -> None:
        part = part_path(self.path)
        if self.format.codec == "webp" and self.pixels.alpha:
            overwrite_frames(part)
        if self._metadata and self.format.workflow != "tags":
            first = part / f"{FRAME_NAME % 1}.{self.format.extension}" if self.format.is_folder else part
            embed(first, self.format.workflow, self._metadata, self.stored_size)
        for part, finished in self._files.items():
            os.replace(part, finished)
