"""A core VIDEO as frames: from its file where it has one, by the time map that Load Video uses.

Shapes: H, W = size in pixels, C = channels (3 RGB, 4 RGB and alpha).
"""

from collections.abc import Generator
from fractions import Fraction

import numpy as np
import torch
from comfy import model_management
from comfy_api.latest import Input, InputImpl
from numpy.typing import NDArray

from ...video.decode.frame_times import Timeline, TimeMap, TimeSelection
from ...video.decode.reader import VideoReader, open_video
from ...video.encode.frame_arrays import to_uint8
from ...video.frame_size import PIXELS_PER_LATENT, PixelArray, fitted, wanted_size


class VideoInput:
    """A video whose frames are read when they are asked for.

    A video with a varying frame rate is brought to its average rate by the times of its frames.
    """

    def __init__(self, video: Input.Video, max_frames: int = 0, frame_rate: float = 0.0):
        """Look through the file, or count the frames in memory.

        Args:
            video: of core or of another pack.
            max_frames: frames that are used, 0 for all.
            frame_rate: that it is brought to by leaving frames out or showing them twice, 0 for its own.

        Raises:
            ValueError: there are none, or the rate makes no sense.
        """
        self.video, self.reader = video, None
        if isinstance(video, InputImpl.VideoFromFile):
            check = model_management.throw_exception_if_processing_interrupted
            self.reader = open_video(video.get_stream_source(), check)
            start, seconds = _part_of(video, self.reader)
            timeline, self._own = self.reader.timeline, self.reader.size
        else:
            images, start, seconds = video.get_components().images, 0.0, 0.0
            if not len(images):
                raise ValueError("The video has no frames; load another, or trim less of it.")
            rate = Fraction(video.get_frame_rate())
            if rate <= 0:
                raise ValueError(
                    f"The video states {float(rate):g} frames a second; load another, or give it a rate above 0."
                )
            timeline = Timeline(range(len(images)), len(images), 1 / rate, rate)
            self._own = images.shape[2], images.shape[1]
        chosen = TimeSelection(frame_rate=frame_rate, start=start, seconds=seconds, max_frames=max_frames)
        self.plan = TimeMap(timeline, chosen)
        self.count = self.plan.count

    def frames(self, size: tuple[int, int], fit: str) -> Generator[PixelArray, None, None]:
        """The frames in order, (H, W, C) of a size (width, height), 8 or 16 bits."""
        if self.reader is not None:
            yield from self.reader.frames(self.plan, size, fit)
            return
        images = self.video.get_components().images
        for number in self.plan:
            yield fitted(to_uint8(images[number, None])[0], size, fit)

    def rate(self) -> Fraction:
        """Frames a second."""
        return self.plan.rate

    def audio(self, seconds: float) -> Input.Audio | None:
        """AUDIO of so many seconds, or None; longer where the video is in memory anyway."""
        if self.reader is None:
            return self.video.get_components().audio
        return as_audio(self.reader.audio(self.plan.start, Fraction(seconds)))

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) that frames are given; see ``wanted_size``."""
        return wanted_size(self._own, width, height, PIXELS_PER_LATENT)


def _part_of(video: Input.Video, reader: VideoReader) -> tuple[float, float]:
    """Start and length in seconds of the part that the VIDEO is trimmed to. ComfyUI before 0.27 keeps it to itself."""
    if hasattr(video, "get_active_trim_window"):
        start, seconds = video.get_active_trim_window()
    else:
        start, seconds = (getattr(video, f"_VideoFromFile__{name}", 0.0) for name in ("start_time", "duration"))
        start = start if start >= 0 else max(0.0, float(reader.timeline.seconds) + start)
    return float(start), float(seconds)


def as_audio(samples: tuple[NDArray[np.float32], int] | None) -> Input.Audio | None:
    """AUDIO of ((channels, samples), samples a second), None for a silent video."""
    return None if samples is None else {"waveform": torch.from_numpy(samples[0])[None], "sample_rate": samples[1]}
