"""The number of a sampling step, from its place in the model's noise schedule.

A run does not know the run that it is a part of: a second stage, the lower half of split sigmas and a second pass start
at their own first step. What two such runs have in common is the noise level of a step and that of the next one.

Shapes: R = rows of the UNet call, S = steps of the run, L = levels of the model's noise schedule.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .sampling_range import sampling_step

WHOLE = 0.001  # levels; a place that is so near to one of the table is it
ON_GRID = 0.2  # steps whose number would be this far from a whole one are not evenly spaced


def window_step(model_sampling: nn.Module, options: Mapping[str, Any], timestep: Tensor) -> int:
    """The step number by which the windows of a UNet call are placed; equal in a whole run and in its parts.

    Args:
        model_sampling: of the model.
        options: transformer_options with ``sample_sigmas``.
        timestep: (R,) sigmas of the call.
    """
    sigmas = options.get("sample_sigmas")
    step = sampling_step(options, timestep)[0]
    return step if sigmas is None else step_at(model_sampling, sigmas, step)


def step_at(model_sampling: nn.Module, sigmas: Tensor, step: int) -> int:
    """The number of a step among steps of its size from the start of the noise schedule on.

    For schedulers whose steps are equally far apart in training time (normal, sgm_uniform, and simple and ddim_uniform,
    which take whole levels) it is the number in the whole run. The steps of the others differ in size; there the number of
    training steps before it serves, which changes from step to step as well. The step that removes the last noise follows
    the one before it. Two things a part of a run cannot know: that it is nothing but this last step; and, where a sampler
    (heun) asks for the noise level at which the part ends, the size of the step that begins there.

    Args:
        model_sampling: of the model.
        sigmas: (S + 1,) noise levels of all steps of the run and the last one's result.
        step: number in this run.
    """
    if step + 1 >= len(sigmas) or getattr(model_sampling, "sigmas", None) is None:
        return step
    levels = sigmas[max(step - 1, 0) : step + 2].tolist()  # one wait for the device
    last = bool(step) and levels[-1] == 0
    table = model_sampling.get_buffer("sigmas").detach().to("cpu", torch.float64).log()
    here, following = (_place(table, level) for level in (levels[:2] if last else levels[-2:]))
    size = following - here
    if size <= 0:
        return round(here) + last
    whole = _number_of_levels(here, following, len(table))
    if whole is not None:
        return whole + last
    number = here / size
    return (round(number) if abs(number - round(number)) <= ON_GRID else round(here)) + last


def _number_of_levels(here: float, following: float, levels: int) -> int | None:
    """The number of a step from one whole level to another, None where neither scheduler takes these two.

    Two levels can belong to runs of several lengths. Up to 38 steps, and for numbers that divide the levels, the one that is
    found is the run's; else it may be that of a run of nearly as many steps, the same in all parts.

    Source:
        comfy/samplers.py, ``simple_scheduler`` (level int(n * L / steps) from the noisiest on) and ``ddim_scheduler`` (every
        size-th level from the second cleanest up), ComfyUI 0.30.0.
    """
    first, second = round(here), round(following)
    size = second - first
    if size < 1 or max(abs(here - first), abs(following - second)) > WHOLE:
        return None
    by_size = first // size if first % size in (0, (levels - 2) % size) else None
    if by_size is not None and levels % size == 0:
        return by_size
    for steps in range(math.ceil(levels / (size + 1)), min(levels, math.floor(levels / max(size - 1, 1))) + 1):
        spacing = levels / steps
        for number in (math.floor(first / spacing), math.ceil(first / spacing)):
            if (int(number * spacing), int((number + 1) * spacing)) == (first, second):
                return number
    return by_size


def _place(table: Tensor, sigma: float) -> float:
    """How many training steps lie before a noise level; the number of all for no noise.

    Args:
        table: (L,) logarithms of the model's noise levels, ascending.
        sigma: the noise level; one between two of the table lies where its logarithm does.
    """
    levels = len(table)
    if sigma <= 0:
        return float(levels)
    level = torch.tensor(sigma, dtype=torch.float64).log()
    above = min(max(int(torch.searchsorted(table, level)), 1), levels - 1)
    low, high = float(table[above - 1]), float(table[above])
    share = min(max((float(level) - low) / (high - low), 0.0), 1.0) if high > low else 1.0
    return levels - 1 - (above - 1 + share)
