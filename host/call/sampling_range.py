"""When something acts during sampling: the step of a UNet call, a percent range, and factors at points of it.

Shapes: R = rows of the UNet call.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from comfy.hooks import HookKeyframeGroup
from comfy.model_base import BaseModel
from torch import Tensor

from ...inputs.numbers import require_finite


def sampling_step(options: Mapping[str, Any], timestep: Tensor) -> tuple[int, int]:
    """Number of the sampling step of a UNet call from 0, and how many steps the sampler makes.

    A sampler that looks at noise levels between two steps is in the step that encloses them.

    Args:
        options: transformer_options with ``sample_sigmas``, the noise levels of all steps and the last one's result.
        timestep: (R,) sigmas of the call.
    """
    sigmas = options.get("sample_sigmas")
    if sigmas is None:
        return 0, 1
    current = timestep[0].to(sigmas)
    exact = torch.isclose(sigmas, current, rtol=1e-4).nonzero()
    step = int(exact[0]) if len(exact) else int((sigmas > current).sum()) - 1
    steps = max(len(sigmas) - 1, 1)
    return min(max(step, 0), steps - 1), steps


@dataclass(frozen=True)
class SamplingRange:
    """A factor over the sampling steps.

    Attributes:
        start: position in the training noise schedule from which it is not 0; 0 is the start of sampling.
        end: position up to which it is not 0; 1 is the end.
        keyframes: (position, factor), each holding until the next; before the first the factor is 1.
        by_step: positions are shares of the sampler's steps instead: at 0.5 half of the steps are done.
    """

    start: float = 0.0
    end: float = 1.0
    keyframes: tuple[tuple[float, float], ...] = ()
    by_step: bool = False

    @property
    def always(self) -> bool:
        """Whether it is 1 at every step."""
        return (self.start, self.end) == (0.0, 1.0) and all(factor == 1.0 for _, factor in self.keyframes)

    def at(self, base: BaseModel, transformer_options: dict) -> float:
        """The factor at the step of a UNet call."""
        if self.always:
            return 1.0  # the usual case costs no device synchronisation
        if self.by_step:
            return self._at_step(*sampling_step(transformer_options, transformer_options["sigmas"]))
        sigma = float(transformer_options["sigmas"][0])
        to_sigma = base.model_sampling.percent_to_sigma
        if not to_sigma(self.end) <= sigma <= to_sigma(self.start):
            return 0.0
        due = [factor for percent, factor in self.keyframes if to_sigma(percent) >= sigma]
        return due[-1] if due else 1.0

    def _at_step(self, step: int, steps: int) -> float:
        if not self.start * steps <= step <= self.end * steps:
            return 0.0
        due = [factor for position, factor in self.keyframes if position * steps <= step + 1e-6]
        return due[-1] if due else 1.0


def sampling_range(
    start: float, end: float, keyframes: HookKeyframeGroup | None = None, by_step: bool = False
) -> SamplingRange:
    """A range from the inputs of a node; ``keyframes`` are read as data, their guaranteed steps are not used.

    Raises:
        ValueError: the range ends before it starts, or a number is none.
    """
    require_finite("start_percent", [start])
    require_finite("end_percent", [end])
    if end < start:
        raise ValueError(f"end_percent {end} lies before start_percent {start}; swap them.")
    points = () if keyframes is None else tuple((key.start_percent, key.strength) for key in keyframes.keyframes)
    require_finite("keyframes", [number for point in points for number in point])
    return SamplingRange(start, end, points, by_step)
