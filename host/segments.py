"""Video to video, segment by segment: read, encode, sample, hand on; memory does not grow with the video.

Shapes: F = frames of a segment, C = latent channels, h, w = latent size, H, W = size in pixels.
"""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import Any

import av
import comfy.samplers
import numpy as np
import torch
from comfy import model_management
from comfy_api.latest import Input, InputImpl
from torch import Tensor

from ..temporal.noise import derived_seed, frame_noise
from ..temporal.segments import Segment, check_segments, segments
from ..video.frames import to_uint8
from ..video.reader import VideoFile, count_frames, fitter, upright_size
from . import noise
from .guided import Guided
from .numbered import numbered
from .streams import FrameProgress, check_image_vae, check_together, streamed, warn_without_effect, warn_without_motion
from .video import FrameSource


@dataclass(frozen=True)
class SegmentSettings:
    """The widgets of Sample Video To Video; see the node for their meaning."""

    seed: int
    steps: int
    sampler_name: str
    scheduler: str
    denoise: float
    window: int = 16
    overlap: int = 4
    width: int = 0
    height: int = 0
    fit: str = "crop"


class Footage:
    """A core VIDEO, read from its file where it has one.

    Args:
        video: of core or of another pack.
        max_frames: frames that are used, 0 for all.
    """

    def __init__(self, video: Input.Video, max_frames: int = 0):
        self.video, self.most = video, max_frames
        self.file = _file_of(video) if isinstance(video, InputImpl.VideoFromFile) else None

    def frames(self) -> Generator[av.VideoFrame, None, None]:
        """The frames in order."""
        yield from islice(self._in_memory() if self.file is None else self.file.frames(), self.most or None)

    def _in_memory(self) -> Iterator[av.VideoFrame]:
        for picture in self.video.get_components().images:
            yield av.VideoFrame.from_ndarray(to_uint8(picture[None])[0], format="rgb24")

    def count(self) -> int:
        """How many frames there are; reads the file once.

        Raises:
            ValueError: there are none.
        """
        count = count_frames(self.frames())
        if not count:
            raise ValueError("The video has no frames; load another, or trim less of it.")
        return count

    def rate(self) -> Fraction:
        """Frames a second."""
        return self.video.get_frame_rate() if self.file is None else self.file.rate()

    def audio(self, seconds: float) -> Input.Audio | None:
        """AUDIO of at most so many seconds, or None; longer where the video is in memory anyway."""
        if self.file is None:
            return self.video.get_components().audio
        sound = self.file.sound(seconds)
        return None if sound is None else {"waveform": torch.from_numpy(sound[0])[None], "sample_rate": sound[1]}

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) that frames are given, multiples of 8.

        Args:
            width: wanted, 0 for the video's; where only one is 0 the proportions are kept.
            height: wanted.
        """
        own = upright_size(next(iter(self.frames())))
        if width and not height:
            wanted = (width, width * own[1] / own[0])
        elif height and not width:
            wanted = (height * own[0] / own[1], height)
        else:
            wanted = (width, height) if width else own
        return max(8, round(wanted[0] / 8) * 8), max(8, round(wanted[1] / 8) * 8)


def _file_of(video: Input.Video) -> VideoFile:
    """File and part of it. ComfyUI before 0.27 keeps the part to itself."""
    if hasattr(video, "get_active_trim_window"):
        start, duration = video.get_active_trim_window()
    else:
        start, duration = (getattr(video, f"_VideoFromFile__{name}", 0.0) for name in ("start_time", "duration"))
        start = start if start >= 0 else max(0.0, VideoFile(video.get_stream_source()).seconds() + start)
    return VideoFile(video.get_stream_source(), float(start), float(duration))


def video_frames(guided: Guided, footage: Footage, settings: SegmentSettings, vae: Any) -> FrameSource:
    """A video sampled anew, whose frames are made while they are asked for.

    Args:
        guided: model and conditioning.
        footage: the video.
        settings: the widgets.
        vae: encodes and decodes the frames.

    Raises:
        ValueError: something does not fit; nothing has been sampled.
    """
    check_segments(settings.window, settings.overlap)
    check_together(guided.model, settings.window)
    check_image_vae(vae, guided.model)
    total = footage.count()
    size = footage.size(settings.width, settings.height)
    warn_without_motion(guided.model)
    warn_without_effect(guided.model, {noise.KEY: "Clip Noise"})
    return streamed(total, _sampled(guided, footage, settings, vae, total, size), vae)


def _sampled(
    guided: Guided, footage: Footage, settings: SegmentSettings, vae: Any, total: int, size: tuple[int, int]
) -> Iterator[Tensor]:
    """Yield the new latents of each segment."""
    run = _Run(guided, settings, total)
    fitted = fitter(*size, settings.fit)
    before = torch.empty(0)
    with closing(footage.frames()) as frames:
        for segment in segments(total, settings.window, settings.overlap):
            pictures = [fitted(frame) for frame in islice(frames, segment.frames - segment.held)]
            new = vae.encode(torch.from_numpy(np.stack(pictures)).to(torch.float32) / 255)
            held = before[len(before) - segment.held :]
            before = run.sample(segment, torch.cat([held.to(new), new]) if segment.held else new)
            yield before[segment.held :]


class _Run:
    """Samples one segment after the other."""

    def __init__(self, guided: Guided, settings: SegmentSettings, total: int):
        self.settings, self.total = settings, total
        self.guider = guided.guider()
        model = self.guider.model_patcher
        self.sampler = comfy.samplers.sampler_object(settings.sampler_name)
        self.sigmas = comfy.samplers.KSampler(
            model, settings.steps, model.load_device, settings.sampler_name, settings.scheduler, settings.denoise
        ).sigmas
        self.progress = FrameProgress(model, total)
        self.options = self.guider.model_options

    def sample(self, segment: Segment, latents: Tensor) -> Tensor:
        """Sample the new frames of a segment.

        Samplers that add noise at each step draw it from their seed, so each segment has a seed of its own.

        Args:
            segment: which frames.
            latents: (F, C, h, w), finished for the frames that are held, else encoded frames of the video.

        Returns:
            (F, C, h, w); held frames are as they were.
        """
        self.guider.model_options = numbered(self.options, segment.numbers, self.total)
        done, new = segment.start + segment.held, segment.frames - segment.held
        mask = torch.ones((segment.frames, 1, *latents.shape[-2:]))
        mask[: segment.held] = 0
        seed = derived_seed(self.settings.seed, f"segment {segment.start}") if segment.start else self.settings.seed
        sampled = self.guider.sample(
            frame_noise(self.settings.seed, segment.numbers, latents.shape[1:]),
            latents,
            self.sampler,
            self.sigmas,
            denoise_mask=mask if segment.held else None,
            callback=lambda step, x0, x, steps: self.progress.show(done + new * (step + 1) / steps, x0[segment.held :]),
            disable_pbar=True,
            seed=seed,
        )
        return sampled.to(model_management.intermediate_device())
