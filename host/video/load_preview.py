"""The frames that a loading node used, as a small video in the node.

Shapes: H, W = size in pixels, C = channels (3 RGB, 4 RGB and alpha).
"""

import logging
from contextlib import ExitStack
from fractions import Fraction
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from comfy import model_management
from numpy.typing import NDArray
from typing_extensions import Self

from ...inputs.quoting import reason_of
from ...video.audio_track import AudioTrack
from ...video.encode.encoder import VideoEncoder
from ...video.encode.job import encode_job
from ...video.ffmpeg import VideoError
from ...video.formats.table import PREVIEW
from ...video.frame_size import PixelArray, preview_size
from .output_files import OutputFile, claimed_preview, shown, temporary_folder

log = logging.getLogger("zoetrope")

QUALITY = 23
STEM = "zoetrope_loaded"


class LoadPreview:
    """A temporary mp4, written while the frames are read; a context manager.

    Without ffmpeg there is no preview and loading goes on.
    """

    def __init__(
        self, size: tuple[int, int], frame_rate: Fraction, audio: tuple[NDArray[np.float32], int] | None = None
    ):
        """Describe the video.

        Args:
            size: (width, height) of the frames.
            frame_rate: frames a second.
            audio: ((channels, samples), samples a second), as long as the video.
        """
        self._size = preview_size(size)
        self._rate, self._audio = frame_rate, None if audio is None else AudioTrack(audio[0].T, audio[1])
        self._encoder: VideoEncoder | None = None
        self._file: OutputFile | None = None

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            try:
                self._start(undo)
            except (VideoError, ValueError, OSError) as error:
                log.warning("No preview of the loaded frames: %s", reason_of(error))
            self._undo = undo.pop_all()
        return self

    def write(self, picture: PixelArray) -> None:
        """Show a frame of (H, W, C), 8 or 16 bits."""
        if self._encoder is None:
            return
        rgb: Any = picture[..., :3]
        if rgb.shape[1::-1] != self._size:
            rgb = cv2.resize(rgb, self._size, interpolation=cv2.INTER_AREA)
        if rgb.dtype != np.uint8:
            rgb = (rgb >> 8).astype(np.uint8)
        try:
            self._encoder.write(np.ascontiguousarray(rgb)[None])
        except VideoError as error:
            self._give_up(error)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._undo.__exit__(kind, error, trace)
        except VideoError as failed:
            self._give_up(failed)

    def ui(self) -> dict[str, list[Any]]:
        """What the frontend gets; empty without a preview."""
        return {} if self._encoder is None or self._file is None else shown(self._file)

    def _start(self, undo: ExitStack) -> None:
        file = undo.enter_context(claimed_preview(STEM, self._size))
        job = encode_job(
            file.path,
            self._size,
            self._rate,
            PREVIEW,
            quality=QUALITY,
            audio=self._audio,
            work_dir=temporary_folder(),
        )
        encoder = VideoEncoder(job, model_management.throw_exception_if_processing_interrupted)
        self._encoder, self._file = undo.enter_context(encoder), file

    def _give_up(self, error: Exception) -> None:
        log.warning("No preview of the loaded frames: %s", reason_of(error))
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            self._undo.__exit__(VideoError, VideoError(str(error)), None)
