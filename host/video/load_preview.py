"""The frames that a loading node used, as a small film in the node.

Shapes: H, W = size in pixels, C = channels (3 RGB, 4 RGB and alpha).
"""

import logging
import os
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import folder_paths
import numpy as np
from comfy import model_management
from numpy.typing import NDArray
from typing_extensions import Self

from ...video.audio_track import Sound
from ...video.encode.encoder import VideoEncoder
from ...video.ffmpeg import VideoError
from ...video.file_names import reserve
from ...video.formats.table import PREVIEW
from ...video.frame_size import Pixels, preview_size

log = logging.getLogger("zoetrope")

QUALITY = 23


class LoadPreview:
    """A temporary mp4, written while the frames are read; a context manager.

    Without ffmpeg there is no preview and loading goes on.
    """

    def __init__(
        self, size: tuple[int, int], frame_rate: Fraction, sound: tuple[NDArray[np.float32], int] | None = None
    ):
        """Describe the film.

        Args:
            size: (width, height) of the frames.
            frame_rate: frames a second.
            sound: ((channels, samples), samples a second), as long as the film.
        """
        self._size = preview_size(size)
        self._rate, self._sound = frame_rate, None if sound is None else Sound(sound[0].T, sound[1])
        self._encoder: VideoEncoder | None = None
        self._name: str | None = None

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            try:
                self._encoder = undo.enter_context(self._started())
            except (VideoError, ValueError, OSError) as error:
                log.warning("No preview of the loaded frames: %s", error)
            self._undo = undo.pop_all()
        return self

    def write(self, picture: Pixels) -> None:
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
        if self._encoder is None:
            return {}
        return {"images": [{"filename": self._encoder.path.name, "subfolder": "", "type": "temp"}], "animated": [True]}

    def _started(self) -> VideoEncoder:
        folder = folder_paths.get_temp_directory()
        os.makedirs(folder, exist_ok=True)
        return VideoEncoder(
            reserve(Path(folder), "zoetrope_loaded", 1, PREVIEW.extension),
            self._size,
            self._rate,
            PREVIEW,
            quality=QUALITY,
            sound=self._sound,
            work_dir=Path(folder),
            check=model_management.throw_exception_if_processing_interrupted,
        )

    def _give_up(self, error: Exception) -> None:
        log.warning("No preview of the loaded frames: %s", error)
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            self._undo.__exit__(VideoError, VideoError(str(error)), None)
