"""Run the UNet on windows of a clip whose frames lie on the batch axis, and blend the results.

Shapes: N = frames of the clip, F = frames of a window, C = latent channels, H, W = latent size.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from comfy.conds import CONDConstant
from comfy.context_windows import ContextHandlerABC, IndexListContextWindow
from comfy.model_management import throw_exception_if_processing_interrupted
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ..temporal.fuse import blend_shares
from ..temporal.windows import WindowSettings, windows_for_step
from . import control
from .progress import WindowProgress

KEY = "zoetrope_windows"


def apply_windows(model: ModelPatcher, settings: WindowSettings) -> ModelPatcher:
    """A clone of ``model`` that samples long clips in windows.

    Args:
        model: any image model; a context handler that another node has set is replaced.
        settings: how to cut and blend.

    Raises:
        ValueError: the settings contradict each other.
    """
    settings.validate()
    model = model.clone()
    options: dict[str, Any] = model.model_options
    options["context_handler"] = WindowHandler(settings)
    model.remove_wrappers_with_key(WrappersMP.PREPARE_SAMPLING, KEY)
    model.add_wrapper_with_key(WrappersMP.PREPARE_SAMPLING, KEY, _prepare_one_window)
    control.install(model)
    return model


def _prepare_one_window(executor, model: ModelPatcher, noise_shape, conds, *args, **kwargs):
    """PREPARE_SAMPLING wrapper: let core reserve memory for one window instead of the whole clip.

    Raises:
        ValueError: the latent is a video model's, whose frames are not on the batch axis.
    """
    handler = (kwargs.get("model_options") or {}).get("context_handler")
    if isinstance(handler, WindowHandler):
        if len(noise_shape) != 4:
            raise ValueError(
                f"Zoetrope's context windows need image latents with four axes, frames first, but this model samples "
                f"a latent of shape {tuple(noise_shape)}; for video models use ComfyUI's own Context Windows node."
            )
        noise_shape = [min(noise_shape[0], handler.context_length), *noise_shape[1:]]
    return executor(model, noise_shape, conds, *args, **kwargs)


class WindowHandler(ContextHandlerABC):
    """Core's hook for context windows, for frames on the batch axis. Keeps nothing between calls."""

    dim = 0  # core's own wrappers read these three and context_length, whoever's handler is set
    freenoise = False

    def __init__(self, settings: WindowSettings):
        super().__init__()
        self.settings = settings
        self.context_length = settings.length
        self.context_overlap = settings.overlap

    def should_use_context(self, model, conds, x_in: Tensor, timestep: Tensor, model_options: dict) -> bool:
        """Whether the clip is longer than a window."""
        return x_in.shape[0] > self.settings.length

    def get_resized_cond(self, cond_in, x_in: Tensor, window: IndexListContextWindow, device=None):
        """Conditioning of a window; see ``conds_of_window``."""
        return conds_of_window(cond_in, window.index_list, x_in.shape[0])

    def execute(self, calc_cond_batch, model, conds, x_in: Tensor, timestep: Tensor, model_options: dict):
        """Noise prediction of the whole clip.

        Args:
            calc_cond_batch: core's function for one batch, wrappers included.
            model: BaseModel of the run.
            conds: one list of conditionings, or None, per output.
            x_in: (N, C, H, W) latents.
            timestep: (N,) sigmas.
            model_options: options of the run; holds the window under way in its transformer_options.

        Returns:
            One (N, C, H, W) tensor per entry of ``conds``.
        """
        options = model_options["transformer_options"]
        total = x_in.shape[0]
        step, steps = sampling_step(options, timestep)
        windows = windows_for_step(self.settings, total, step)
        shares = blend_shares(self.settings, windows, total)
        progress = WindowProgress(step, steps, len(windows), total)
        blended = [torch.zeros_like(x_in, dtype=torch.float32) for _ in conds]
        for number, (window, share) in enumerate(zip(windows, shares, strict=True)):
            throw_exception_if_processing_interrupted()
            progress.start_window(number)
            with self._announced(options, window, total):
                sigmas = _rows(timestep, window, total, repeats=False)
                parts = [self.get_resized_cond(cond, x_in, options["context_window"]) for cond in conds]
                results = calc_cond_batch(model, parts, x_in[window], sigmas, model_options)
            column = torch.tensor(share, device=x_in.device).view(-1, 1, 1, 1)
            for whole, part in zip(blended, results, strict=True):
                whole[window] += part.float() * column
        return [whole.to(x_in.dtype) for whole in blended]

    @contextmanager
    def _announced(self, options: dict[str, Any], window: list[int], total: int) -> Iterator[None]:
        """Publish the window the way core does and the way AnimateDiff-Evolved does, then put back what was there.

        IPAdapter packs and ComfyUI-Advanced-ControlNet read ``ad_params``.
        """
        ours = {
            "context_window": IndexListContextWindow(window, dim=0, total_frames=total),
            "ad_params": {"full_length": total, "context_length": self.context_length, "sub_idxs": window},
        }
        before = {key: options[key] for key in ours if key in options}
        options.update(ours)
        try:
            yield
        finally:
            for key in ours:
                options.pop(key, None)
            options.update(before)


def sampling_step(options: dict, timestep: Tensor) -> tuple[int, int]:
    """Number of the sampling step from 0, and how many steps the sampler makes.

    A sampler that looks at noise levels between two steps is in the step that encloses them.

    Args:
        options: transformer_options with ``sample_sigmas``, the noise levels of all steps and the last one's result.
        timestep: (N,) sigmas of the call.
    """
    sigmas = options.get("sample_sigmas")
    if sigmas is None:
        return 0, 1
    current = timestep[0].to(sigmas)
    exact = torch.isclose(sigmas, current, rtol=1e-4).nonzero()
    step = int(exact[0]) if len(exact) else int((sigmas > current).sum()) - 1
    steps = max(len(sigmas) - 1, 1)
    return min(max(step, 0), steps - 1), steps


def conds_of_window(conds: list[dict] | None, window: list[int], total: int) -> list[dict] | None:
    """Cut what belongs to single frames out of conditionings.

    Args:
        conds: conditionings of a run, or None where the guider needs no result.
        window: F frame numbers.
        total: frames of the clip.

    Returns:
        Copies in which every tensor with one row per frame has the window's rows. Batches of another length than
        the clip are cut where core would repeat them over the clip, so that a frame gets the same row in any window.

    Source:
        Same fields as ComfyUI ``comfy/context_windows.py``, ``IndexListContextHandler.get_resized_cond`` for dim 0.
    """
    if conds is None:
        return None
    return [{key: _field_of_window(key, value, window, total) for key, value in cond.items()} for cond in conds]


def _field_of_window(key: str, value: Any, window: list[int], total: int) -> Any:
    if isinstance(value, Tensor):
        return _rows(value, window, total, repeats=key == "mask")
    if hasattr(value, "_copy_with"):  # COND objects, other packs' included
        return value._copy_with(_rows(value.cond, window, total, repeats=not isinstance(value, CONDConstant)))
    if isinstance(value, dict):
        return {name: _field_of_window(name, item, window, total) for name, item in value.items()}
    return value


def _rows(value: Any, window: list[int], total: int, repeats: bool) -> Any:
    rows = value.shape[0] if isinstance(value, Tensor) and value.ndim else 1
    return value[[frame % rows for frame in window]] if rows == total or (repeats and rows > 1) else value
