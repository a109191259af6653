"""ComfyUI's EasyCache in windows: one state for the clip, as without windows, instead of one for whatever window was last.

EasyCache measures from one UNet call to the next how much input and output change, and leaves the UNet out where the last
change of the output will do. In windows the next call is another window. So its function is handed the whole clip, with
all windows of a step as the one call that it may leave out.

Source:
    ComfyUI 0.20 to 0.30 ``comfy_extras/nodes_easycache.py``: ``easycache_forward_wrapper`` reads the holder, ``sigmas``
    and ``uuids`` of ``transformer_options`` and the input from its first argument.

Shapes: N = frames of the clip, C, H, W = of the latents.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from comfy.model_base import BaseModel
from comfy_extras.nodes_easycache import easycache_forward_wrapper
from torch import Tensor

EASY_CACHE = "easycache"  # where core keeps the state of EasyCache and of LazyCache
WindowedStep = Callable[[dict[str, Any]], list[Tensor]]


def cached_step(
    model: BaseModel,
    conds: Sequence[Any],
    x_in: Tensor,
    timestep: Tensor,
    model_options: dict[str, Any],
    run: WindowedStep,
) -> list[Tensor]:
    """The results of a step in windows, through EasyCache where the MODEL has it.

    Args:
        model: of the run.
        conds: conditionings of each result; None where it is not needed.
        x_in: (N, C, H, W) latents.
        timestep: (N,) sigmas.
        model_options: of the run.
        run: computes all windows with the model_options it is given; one (N, C, H, W) tensor for each entry of ``conds``.

    Returns:
        What ``run`` returns, or the same from the cache.
    """
    holder = model_options["transformer_options"].get(EASY_CACHE)
    if not hasattr(holder, "uuid_cache_diffs"):  # none, or LazyCache, which sees whole steps anyway
        return run(model_options)

    def windows() -> list[Tensor]:
        quiet = holder.clone()
        quiet.end_t = float("inf")  # past its end: the calls of the windows go through
        options = {**model_options["transformer_options"], EASY_CACHE: quiet}
        return run({**model_options, "transformer_options": options})

    return _through(holder, model, conds, x_in, timestep, windows)


def _through(
    holder: Any, model: BaseModel, conds: Sequence[Any], x_in: Tensor, timestep: Tensor, run: Callable[[], list[Tensor]]
) -> list[Tensor]:
    """As `cached_step`, with EasyCache's state."""
    base, slope = _guided(model, x_in, timestep)
    wanted = [number for number, cond in enumerate(conds) if cond is not None]
    made: list[list[Tensor]] = []

    def unet(_x: Tensor, _options: dict[str, Any]) -> Tensor:
        made.append(run())
        return torch.cat([(made[0][number] - base) / slope for number in wanted])

    holder.skip_current_step = False  # core resets it where it calls the UNet, which is inside of windows
    x = torch.cat([model.model_sampling.calculate_input(timestep, x_in)] * len(wanted))
    outputs = easycache_forward_wrapper(unet, x, {EASY_CACHE: holder, "sigmas": timestep, "uuids": wanted})
    if made:
        return made[0]
    parts = dict(zip(wanted, outputs.chunk(len(wanted)), strict=True))
    return [base + slope * parts[number] if number in parts else torch.zeros_like(x_in) for number in range(len(conds))]


def _guided(model: BaseModel, x_in: Tensor, timestep: Tensor) -> tuple[Tensor, Tensor]:
    """What the guider gets is linear in the UNet's output, whatever that predicts: base + slope * output."""
    denoised = model.model_sampling.calculate_denoised
    base = denoised(timestep, torch.zeros_like(x_in), x_in)
    return base, denoised(timestep, torch.ones_like(x_in), x_in) - base
