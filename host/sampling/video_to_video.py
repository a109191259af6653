"""Video to video, segment by segment: read, encode, sample, hand on; memory does not grow with the video.

Shapes: F = frames of a segment, C = latent channels, h, w = latent size, H, W = size in pixels.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

import comfy.samplers
import numpy as np
import torch
from comfy import model_management
from torch import Tensor

from ...temporal.noise import derived_seed, frame_noise
from ...temporal.segments import Segment, check_segments, segments
from ...video.frame_size import PixelArray
from ..call import keys
from ..call.clip_part import part_options
from ..motion.checks import check_together, warn_without_effect, warn_without_motion
from ..video.frame_source import FrameSource
from ..video.video_input import VideoInput
from .latent_stream import FrameProgress, check_image_vae, streamed
from .sampler_inputs import SamplerInputs

LEAST_DENOISE = 0.001  # core makes steps / denoise noise levels and takes the last of them; a model has 1,000


@dataclass(frozen=True, kw_only=True)
class SegmentSettings:
    """The widgets of Sample Video To Video that say how its segments are sampled.

    Attributes:
        seed: of all noise.
        steps: of the sampler.
        sampler_name: one of core's.
        scheduler: one of core's.
        denoise: 0 gives the video back, 1 keeps nothing of it.
        window: frames of a segment.
        overlap: those of them that the segment before has finished.
        width: pixels; 0 for the video's, or in proportion to height.
        height: the same.
        fit: how the video fills another proportion, one of `FITS`.

    Raises:
        ValueError: a denoise that is nearly but not quite 0.
    """

    seed: int
    steps: int
    sampler_name: str
    scheduler: str
    denoise: float
    window: int
    overlap: int
    width: int
    height: int
    fit: str

    def __post_init__(self) -> None:
        if 0 < self.denoise < LEAST_DENOISE:
            raise ValueError(f"denoise is {self.denoise:g}; give 0, or a number from {LEAST_DENOISE:g} to 1.")


def sampled_video(inputs: SamplerInputs, video: VideoInput, settings: SegmentSettings, vae: Any) -> FrameSource:
    """A video sampled anew, whose frames are made while they are asked for.

    Args:
        inputs: model and conditioning.
        video: the video.
        settings: the widgets.
        vae: encodes and decodes the frames.

    Raises:
        ValueError: something does not fit; nothing has been sampled.
    """
    check_segments(settings.window, settings.overlap)
    check_together(inputs.model, settings.window)
    check_image_vae(vae, inputs.model)
    total = video.count
    size = video.size(settings.width, settings.height)
    warn_without_motion(inputs.model)
    warn_without_effect(inputs.model, {keys.CLIP_NOISE: "Clip Noise"})
    return streamed(total, _sampled(inputs, video, settings, vae, total, size), vae)


def _sampled(
    inputs: SamplerInputs, video: VideoInput, settings: SegmentSettings, vae: Any, total: int, size: tuple[int, int]
) -> Iterator[Tensor]:
    """Yield the new latents of each segment."""
    run = _Run(inputs, settings, total)
    before = torch.empty(0)
    with closing(video.frames(size, settings.fit)) as frames:
        for segment in segments(total, settings.window, settings.overlap):
            new = vae.encode(_floats(list(islice(frames, segment.frames - segment.held))))
            held = before[len(before) - segment.held :]
            before = run.sample(segment, torch.cat([held.to(new), new]) if segment.held else new)
            yield before[segment.held :]


def _floats(pictures: list[PixelArray]) -> Tensor:
    """(F, H, W, 3) floats 0-1; alpha is dropped."""
    stacked = np.stack(pictures)[..., :3]
    return torch.from_numpy(np.divide(stacked, np.float32(np.iinfo(stacked.dtype).max)))


class _Run:
    """Samples one segment after the other."""

    def __init__(self, inputs: SamplerInputs, settings: SegmentSettings, total: int):
        self.settings, self.total = settings, total
        self.guider = inputs.guider()
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
        self.guider.model_options = part_options(self.options, segment.numbers, self.total)
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
