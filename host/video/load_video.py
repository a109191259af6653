"""From a video file to frames."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from comfy import model_management
from comfy_api.latest import Input
from comfy_execution.graph_utils import ExecutionBlocker
from torch import Tensor

from ...video.decode.frame_times import TimeMap, TimeSelection
from ...video.decode.read_settings import HDR_CHOICES, INTERLACED_CHOICES, ReadSettings
from ...video.decode.reader import VideoReader, open_video
from ...video.frame_size import check_fit, wanted_size
from .frame_stores import Images, Latents, fill, require_memory
from .load_preview import LoadPreview
from .video_input import as_audio


@dataclass(frozen=True, kw_only=True)
class LoadSettings:
    """The widgets of Load Video, as the user set them.

    Attributes:
        frame_rate: frames a second that the video is brought to, 0 for its own.
        start: seconds left out.
        skip_frames: frames left out after that.
        every_nth: 1 uses each frame, 2 every other.
        max_frames: at most so many, 0 for all.
        width: pixels, 0 for the video's or in proportion.
        height: the same.
        fit: one of `FITS`.
        multiple_of: both sizes are rounded to multiples of this.
        untagged_colors: matrix of files that do not name theirs, one of `COLORS`.
        by_time: frames are chosen by when they are shown; else each stored frame comes once.
        hdr: one of `HDR_CHOICES`.
        interlaced: one of `INTERLACED_CHOICES`.
        audio_track: 0 for the sound that players take, n for the n-th of the file.
    """

    frame_rate: float = 0.0
    start: float = 0.0
    skip_frames: int = 0
    every_nth: int = 1
    max_frames: int = 0
    width: int = 0
    height: int = 0
    fit: str = "crop"
    multiple_of: int = 8
    untagged_colors: str = "auto"
    by_time: bool = True
    hdr: str = HDR_CHOICES[0]
    interlaced: str = INTERLACED_CHOICES[0]
    audio_track: int = 0

    @property
    def reading(self) -> ReadSettings:
        """How the file is read."""
        return ReadSettings(hdr=self.hdr, interlaced=self.interlaced, audio_track=self.audio_track)

    @property
    def selection(self) -> TimeSelection:
        """Which frames."""
        return TimeSelection(
            frame_rate=self.frame_rate,
            start=self.start,
            skip_frames=self.skip_frames,
            every_nth=self.every_nth,
            max_frames=self.max_frames,
            by_time=self.by_time,
        )


@dataclass(frozen=True, eq=False)
class LoadedVideo:
    """What Load Video gives; images or latents is None."""

    images: Tensor | None
    latents: dict[str, Tensor] | None
    mask: Tensor
    audio: Input.Audio | None
    count: int
    rate: Fraction
    ui: dict[str, list[Any]]


def blocked(sentence: str) -> ExecutionBlocker:
    """An output that is not there; whoever uses it is told why."""
    return ExecutionBlocker(sentence)


def load_video(path: str, settings: LoadSettings, vae: Any = None) -> LoadedVideo:
    """Read the selected frames, and the sound of the same time.

    Args:
        path: of the file.
        settings: the widgets.
        vae: encodes the frames a few at a time, so that their pixels are never held together.

    Raises:
        ValueError: the file cannot be read, a setting makes no sense, or the frames do not fit into memory.
    """
    settings.selection.check()
    check_fit(settings.fit)
    settings.reading.check()
    reader = open_video(path, model_management.throw_exception_if_processing_interrupted, settings.reading)
    plan = TimeMap(reader.timeline, settings.selection)
    size = wanted_size(reader.size, settings.width, settings.height, settings.multiple_of)
    store = _store(reader, plan, size, vae)
    audio = reader.audio(plan.start, plan.seconds)
    frames = reader.frames(plan, size, settings.fit, settings.untagged_colors)
    preview = LoadPreview(size, plan.rate, audio)
    fill(store, frames, plan.count, preview)
    made, mask = store.result()
    return LoadedVideo(
        made if isinstance(made, Tensor) else None,
        None if isinstance(made, Tensor) else made,
        mask,
        as_audio(audio),
        plan.count,
        plan.rate,
        preview.ui(),
    )


def _store(reader: VideoReader, plan: TimeMap, size: tuple[int, int], vae: Any) -> Images | Latents:
    """Latents with a VAE, else images, once it is known that they fit."""
    audio = reader.audio_bytes(plan.seconds)
    if vae is None:
        each = Images.frame_bytes(size, reader.alpha)
        require_memory(
            plan.count, each, audio, size, "choose a smaller width and height, or connect vae to get latents"
        )
        return Images(plan.count, size, reader.alpha)
    latents = Latents(vae, plan.count, reader.alpha)
    require_memory(plan.count, latents.frame_bytes(size), audio, size, "choose a smaller width and height")
    return latents
