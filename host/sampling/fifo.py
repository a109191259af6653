"""FIFO sampling inside the host: the queue is kept between runs of core's sampling, each of which finishes some frames.

Shapes: F = frames of a window, C = latent channels, h, w = latent size.
"""

import logging
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import count
from typing import Any

import comfy.samplers
import torch
from comfy import model_management
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...inputs.quoting import plain
from ...temporal.fifo import Fifo, FifoSettings, Predict
from ..call import keys
from ..call.clip_part import part_options
from ..motion.checks import active_settings, check_together, warn_without_effect, warn_without_motion
from ..motion.settings import MotionSettings
from ..video.frame_source import FrameSource
from .latent_stream import FrameProgress, check_image_vae, streamed
from .sampler_inputs import SamplerInputs

log = logging.getLogger("zoetrope")


def endless_frames(
    inputs: SamplerInputs,
    settings: FifoSettings,
    scheduler: str,
    size: tuple[int, int],
    vae: Any,
    start_clip: Mapping[str, Any] | None = None,
) -> FrameSource:
    """A clip of any length whose frames are sampled while they are asked for.

    Args:
        inputs: model and conditioning.
        settings: of the queue.
        scheduler: core's name of a noise schedule.
        size: (width, height) in pixels; a start clip's own size wins.
        vae: decodes the frames.
        start_clip: LATENT whose last F frames the queue starts from, in place of a clip sampled first.

    Raises:
        ValueError: something does not fit; nothing has been sampled.
    """
    settings.validate()
    check_together(inputs.model, settings.window)
    check_image_vae(vae, inputs.model)
    sigmas = inputs.sigmas(scheduler, settings.levels)
    start = None if start_clip is None else _start(start_clip["samples"], settings.window, inputs.model)
    advise_fifo(inputs.model, settings)
    return streamed(settings.frames, _finished(inputs, settings, sigmas, size, start, settings.window), vae)


def _start(latents: Tensor, window: int, model: ModelPatcher) -> Tensor:
    """The last F latents as the model has them; a shorter clip begins with more of its first frame."""
    channels = model.model.latent_format.latent_channels
    if latents.is_nested or latents.ndim != 4 or latents.shape[1] != channels or not len(latents):
        raise ValueError(
            f"start_clip has latents of shape {tuple(latents.shape)}; connect latents of frames, (frames, {plain(channels)}, "
            "height, width)."
        )
    short = window - len(latents)
    clip = latents[-window:] if short <= 0 else torch.cat([latents[:1].expand(short, -1, -1, -1), latents])
    return model.model.process_latent_in(clip.to(torch.float32))


def _finished(
    inputs: SamplerInputs,
    settings: FifoSettings,
    sigmas: Tensor,
    size: tuple[int, int],
    start: Tensor | None,
    piece: int,
) -> Iterator[Tensor]:
    """Yield finished latents, ``piece`` frames at a time; they do not depend on how many."""
    guider = inputs.guider()
    model = guider.model_patcher
    channels, ratio = model.model.latent_format.latent_channels, model.model.latent_format.spacial_downscale_ratio
    empty = torch.zeros((settings.window, channels, size[1] // ratio, size[0] // ratio)) if start is None else start
    sampler = FifoSampler(settings, start)
    progress = FrameProgress(model, settings.iterations + sampler.start_cost)
    options = guider.model_options
    for first in range(0, settings.frames, piece):
        window = settings.inside(range(first, first + settings.window))
        guider.model_options = part_options(options, window, settings.frames)
        sampler.count = min(piece, settings.frames - first)
        latents = guider.sample(
            torch.zeros_like(empty),
            torch.zeros_like(empty),
            sampler,
            sigmas,
            callback=lambda done, x0, x, total: progress.show(done, x0),
            disable_pbar=True,
            seed=settings.seed,
        )
        yield latents.to(model_management.intermediate_device())


class FifoSampler(comfy.samplers.Sampler):
    """Core's sampler object for one clip; holds the queue between the runs of core's sampling.

    Args:
        settings: of the queue.
        start: (F, C, h, w) clip the queue starts from as the model has it; sampled first if None.
    """

    def __init__(self, settings: FifoSettings, start: Tensor | None):
        self.settings, self.start = settings, start
        self.fifo: Fifo | None = None
        self.count = 0  # frames the next run finishes
        self.shown: Tensor | None = None  # (F, C, h, w) expected of an iteration's first window, where a frame leaves

    @property
    def start_cost(self) -> int:
        """How many iterations the clip that the queue starts from takes as long as."""
        return 0 if self.start is not None else -(-self.settings.levels // len(self.settings.blocks(0)))

    def sample(
        self,
        model_wrap,
        sigmas: Tensor,
        extra_args: dict,
        callback,
        noise: Tensor,
        latent_image=None,
        denoise_mask=None,
        disable_pbar=False,
    ) -> Tensor:
        """Finish ``count`` frames: (count, C, h, w), clean."""
        predict = partial(self._predict, model_wrap, extra_args)
        total = self.start_cost + self.settings.iterations
        if self.fifo is None:
            self.fifo = Fifo(self.settings, sigmas, model_wrap.inner_model.model_sampling.noise_scaling)
            start = self._first_clip(self.fifo, predict, noise, callback, total) if self.start is None else self.start
            self.fifo.fill(start.to(noise))
        finished: list[Tensor] = []
        while len(finished) < self.count:
            self.shown = None
            frame = self.fifo.iterate(predict)
            if self.fifo.iteration > self.settings.warm_up:
                finished.append(frame)
            assert self.shown is not None
            callback(self.start_cost + self.fifo.iteration, self.shown[self.settings.lead :], frame, total)
        return torch.cat(finished)

    def _predict(self, model_wrap, extra_args: dict, x: Tensor, levels: Tensor, frames: list[int]) -> Tensor:
        """The clean latents that the model expects, (F, C, h, w); see ``temporal.fifo.Predict``."""
        model_management.throw_exception_if_processing_interrupted()
        options = part_options(extra_args["model_options"], frames, self.settings.frames)
        denoised = model_wrap(x, levels, model_options=options, seed=extra_args.get("seed"))
        self.shown = denoised if self.shown is None else self.shown
        return denoised

    def _first_clip(self, fifo: Fifo, predict: Predict, like: Tensor, callback, total: int) -> Tensor:
        """The clip that the queue starts from, (F, C, h, w), telling the progress in iterations of the queue."""
        steps, windows = count(1), len(self.settings.blocks(0))

        def step(x: Tensor, levels: Tensor, frames: list[int]) -> Tensor:
            denoised = predict(x, levels, frames)
            callback(next(steps) // windows, denoised, x, total)
            return denoised

        return fifo.first_clip(step, like)


def advise_fifo(model: ModelPatcher, settings: FifoSettings) -> None:
    """Lines in the log about what was made for something else."""
    warn_without_motion(model)
    warn_without_effect(model, {keys.CLIP_NOISE: "Clip Noise", keys.FREE_INIT: "FreeInit"})
    for motion in active_settings(model):
        if line := _unsuited(motion, settings):
            log.warning("Motion model '%s': %s", plain(motion.name), plain(line, 600))


def _unsuited(motion: MotionSettings, settings: FifoSettings) -> str:
    family = motion.spec.family
    if family.lcm and settings.sampler != "lcm":
        return f"it was distilled for the sampler lcm and this run uses {settings.sampler}; choose lcm."
    if not family.lcm and family.advised_steps < settings.window:
        return (
            f"it was distilled for {family.advised_steps} steps, but each frame takes {settings.levels} here; expect "
            "coarse frames, and use a model that was not distilled."
        )
    return ""
