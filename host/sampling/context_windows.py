"""Run the UNet on windows of a clip whose frames lie on the batch axis, and blend the results.

Shapes: N = frames of the clip, F = frames of a window, K = windows stacked in a UNet call, C = latent channels,
H, W = latent size.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from comfy.context_windows import ContextHandlerABC, IndexListContextWindow
from comfy.model_base import BaseModel
from comfy.model_management import throw_exception_if_processing_interrupted
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ...temporal.windows.blending import blend_shares
from ...temporal.windows.schedules import windows_for_step
from ...temporal.windows.settings import WindowSettings
from ...temporal.windows.stages import WindowStage, acting_stages, with_stage
from ..call import keys
from ..call.conditioning_rows import conds_of_window, rows_of_window
from ..call.evolved import refuse_its_motion, refuse_its_windows
from ..call.frames import published_frames
from ..call.sampling_range import sampling_step
from ..call.schedule_place import window_step
from ..call.wrappers import bound, put_on, require_image_latents
from ..motion import memory
from ..motion.clip_run import prepare_clip_runs
from ..progress.window_progress import WindowProgress
from .easy_cache import cached_step
from .neighbours import refuse_in_windows

BlendedWindow = tuple[list[int], list[float]]  # frames of a window and their shares of the blend


def apply_windows(
    model: ModelPatcher, settings: WindowSettings, windows_per_batch: int = 0, start: float = 0.0, end: float = 1.0
) -> ModelPatcher:
    """A clone of ``model`` that samples long clips in windows.

    Args:
        model: any image model. Windows of ours that it has go on where these do not act; a context handler of core's
            or another pack's is replaced.
        settings: how to cut and blend.
        windows_per_batch: windows of equal length in one UNet call; 0 for as many as memory allows.
        start: position in the training noise schedule from which these windows act; 0 is the start of sampling.
        end: position up to which they act; 1 is the end.

    Raises:
        ValueError: the settings contradict each other.
    """
    stage = WindowStage(settings=settings, windows_per_batch=windows_per_batch, start=start, end=end)
    stage.validate()
    model = model.clone()
    options: dict[str, Any] = model.model_options
    earlier = options.get("context_handler")
    stages = earlier.stages if isinstance(earlier, WindowHandler) else ()
    options["context_handler"] = WindowHandler(with_stage(stages, stage))
    put_on(model, keys.CONTEXT_WINDOWS, {WrappersMP.OUTER_SAMPLE: _check_latent})
    prepare_clip_runs(model)
    return model


def _check_latent(executor, *args, **kwargs):
    """OUTER_SAMPLE wrapper: refuse latents whose frames are not on the batch axis, before anything is loaded.

    Raises:
        ValueError: the latent is a video model's, or a node on the MODEL cannot work in windows.
    """
    if isinstance(executor.class_obj.model_options.get("context_handler"), WindowHandler):
        noise = bound(WrappersMP.OUTER_SAMPLE, args, kwargs).arguments["noise"]
        require_image_latents(
            "Zoetrope's Context Windows", noise, "for video models use ComfyUI's own Context Windows node"
        )
        handler, frames = executor.class_obj.model_options["context_handler"], noise.shape[0]
        refuse_its_motion(executor.class_obj.model_patcher, frames, handler.frames_at_once(frames))
        if handler.frames_at_once(frames) < frames:
            refuse_in_windows(executor.class_obj.model_options)
    return executor(*args, **kwargs)


class WindowHandler(ContextHandlerABC):
    """Core's hook for context windows, for frames on the batch axis. Keeps nothing between calls.

    Args:
        stages: which windows run when; where several act the last one wins, where none does the clip is sampled whole.
    """

    dim = 0  # core's own wrappers read these three and context_length, whoever's handler is set
    freenoise = False

    def __init__(self, stages: tuple[WindowStage, ...]):
        super().__init__()
        self.stages = stages
        self.context_length = max(stage.settings.length for stage in stages)
        self.context_overlap = stages[-1].settings.overlap

    def stage_at(self, base: BaseModel, sigma: Tensor | float) -> WindowStage | None:
        """The stage at work at a noise level, or None where the clip is sampled whole."""
        last = self.stages[-1]
        if last.always:
            return last  # the usual case costs no device synchronisation
        to_sigma, sigma = base.model_sampling.percent_to_sigma, float(sigma)
        acting = (stage for stage in reversed(self.stages) if to_sigma(stage.end) <= sigma <= to_sigma(stage.start))
        return next(acting, None)

    def frames_at_once(self, frames: int) -> int:
        """Frames of the longest window; the whole clip if any step samples it whole."""
        acting = acting_stages(self.stages)
        return max(frames if stage is None else min(frames, stage.settings.length) for stage in acting)

    def frames_per_call(self, frames: int) -> int:
        """The most frames of one conditioning in one UNet call; counts one window where memory decides."""
        acting = acting_stages(self.stages)
        return max(frames if stage is None else stage.frames_per_call(frames) for stage in acting)

    def should_use_context(self, model, conds, x_in: Tensor, timestep: Tensor, model_options: dict) -> bool:
        """Whether windows change anything at this step."""
        stage = self.stage_at(model, timestep[0])
        return stage is not None and stage.settings.acts_on(x_in.shape[0])

    def get_resized_cond(self, cond_in, x_in: Tensor, window: IndexListContextWindow, device=None):
        """Conditioning of a window; see ``conds_of_window``."""
        return conds_of_window(cond_in, window.index_list, x_in.shape[0])

    def execute(self, calc_cond_batch, model, conds, x_in: Tensor, timestep: Tensor, model_options: dict):
        """Noise prediction of the whole clip.

        Args:
            calc_cond_batch: core's function that runs conditionings on latents.
            model: BaseModel of the run.
            conds: lists of conditionings; an entry is None where the guider needs no result.
            x_in: (N, C, H, W) latents.
            timestep: (N,) sigmas.
            model_options: options of the run; holds the window under way in its transformer_options.

        Returns:
            One (N, C, H, W) tensor per entry of ``conds``.
        """
        refuse_its_windows(model_options["transformer_options"])

        def windows(options: dict) -> list[Tensor]:
            return self._blended(calc_cond_batch, model, conds, x_in, timestep, options)

        return cached_step(model, conds, x_in, timestep, model_options, windows)

    def _blended(self, calc_cond_batch, model, conds, x_in: Tensor, timestep: Tensor, model_options: dict):
        """As `execute`, every window computed."""
        options, total = model_options["transformer_options"], x_in.shape[0]
        stage = self.stage_at(model, timestep[0]) or self.stages[-1]  # core asks should_use_context before
        step, steps = sampling_step(options, timestep)
        windows = windows_for_step(stage.settings, total, window_step(model.model_sampling, options, timestep))
        pieces = list(zip(windows, blend_shares(stage.settings, windows, total), strict=True))
        together = stage.windows_per_batch or _windows_that_fit(model, conds, windows, x_in)
        progress = WindowProgress(step, steps, len(windows), total)
        blended = [torch.zeros_like(x_in, dtype=torch.float32) for _ in conds]
        done = 0
        for batch in _batches(pieces, together):
            throw_exception_if_processing_interrupted()
            progress.start_window(done)
            frames = [frame for window, _ in batch for frame in window]
            with _published(options, frames, len(batch), stage.settings.length, total):
                sigmas = rows_of_window(timestep, frames, total, repeats=False)
                parts = [self.get_resized_cond(cond, x_in, options["context_window"]) for cond in conds]
                results = calc_cond_batch(model, parts, x_in[frames], sigmas, model_options)
            _add(blended, batch, results)
            done += len(batch)
        return [whole.to(x_in.dtype) for whole in blended]


def _windows_that_fit(base: BaseModel, conds: list, windows: list[list[int]], x_in: Tensor) -> int:
    """How many windows to run together with all conditionings, as core decides it for conditionings."""
    if len(windows) == 1:
        return 1
    images = max(map(len, windows)) * sum(len(cond) for cond in conds if cond is not None)
    return memory.windows_that_fit(base, [images, *x_in.shape[1:]], x_in.device)


def _batches(pieces: list[BlendedWindow], together: int) -> Iterator[list[BlendedWindow]]:
    """Up to ``together`` windows at a time, all of one length: a UNet call has one number of frames per window."""
    by_length: dict[int, list[BlendedWindow]] = {}
    for piece in pieces:
        by_length.setdefault(len(piece[0]), []).append(piece)
    for equal in by_length.values():
        for first in range(0, len(equal), together):
            yield equal[first : first + together]


def _add(blended: list[Tensor], batch: list[BlendedWindow], results: list[Tensor]) -> None:
    """Add the results of a UNet call, (K * F, C, H, W) per conditioning, to the clip's, (N, C, H, W), in place.

    Window by window, because two windows may hold the same frame.
    """
    device = blended[0].device
    placed = [
        (torch.tensor(window, device=device), torch.tensor(share, device=device).view(-1, 1, 1, 1))
        for window, share in batch
    ]
    for whole, result in zip(blended, results, strict=True):
        for (window, share), part in zip(placed, result.chunk(len(batch)), strict=True):
            whole[window] += part.float() * share


@contextmanager
def _published(options: dict[str, Any], frames: list[int], windows: int, length: int, total: int) -> Iterator[None]:
    """Publish the frames of a call, see ``published_frames``, then put back what was there."""
    ours = published_frames(frames, total, length, windows)
    before = {key: options[key] for key in ours if key in options}
    options.update(ours)
    try:
        yield
    finally:
        for key in ours:
            options.pop(key, None)
        options.update(before)
