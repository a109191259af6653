"""FreeInit: start again from noise whose low frequencies remember the clip that came out.

A model is trained on noisy clips whose lowest frequencies still show the clip, but is asked to sample from noise that
shows nothing, so frames start out unrelated. FreeInit samples, makes the result noisy again, keeps its low frequencies
over time and picture, refreshes the high ones, and samples again (Wu et al. 2023, arXiv 2312.07537).

Shapes: N = frames of the clip, C = latent channels, H, W = latent size, R = W // 2 + 1 frequencies of a real transform.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from ..inputs.quoting import quoted

# torch declares no types for its transforms
_forward = cast("Callable[..., Tensor]", torch.fft.rfftn)  # pyright: ignore[reportUnknownMemberType]
_back = cast("Callable[..., Tensor]", torch.fft.irfftn)  # pyright: ignore[reportUnknownMemberType]
CLIP = (0, 2, 3)  # the axes of a clip that are transformed: frames, height, width

# filters by the squared distance from the zero frequency, in units of the cutoffs
_RADIAL: dict[str, Callable[[Tensor, int], Tensor]] = {
    "butterworth": lambda distance, order: 1 / (1 + distance**order),
    "gaussian": lambda distance, order: torch.exp(-distance / 2),
    "ideal": lambda distance, order: (distance <= 1).to(distance),
}
FILTERS = (*_RADIAL, "box")


@dataclass(frozen=True, kw_only=True)
class FreeInitSettings:
    """How often to start again and what to keep.

    Attributes:
        iterations: how often the clip is sampled; 1 is without FreeInit.
        kind: filter, one of FILTERS.
        spatial_cutoff: up to which frequency of the picture the result is kept; 1 is the finest detail.
        temporal_cutoff: the same over time.
        order: steepness of the Butterworth filter.
        fast: the first iterations take fewer steps.
    """

    iterations: int = 3
    kind: str = "butterworth"
    spatial_cutoff: float = 0.25
    temporal_cutoff: float = 0.25
    order: int = 4
    fast: bool = False

    def validate(self) -> None:
        """Check the settings.

        Raises:
            ValueError: a number out of range or an unknown filter.
        """
        if self.kind not in FILTERS:
            raise ValueError(f"Unknown filter {quoted(self.kind)}; choose one of {', '.join(FILTERS)}.")
        for name, count in (("iterations", self.iterations), ("order", self.order)):
            if count < 1:
                raise ValueError(f"{name} {count} must be at least 1.")
        for name, cutoff in (("spatial_cutoff", self.spatial_cutoff), ("temporal_cutoff", self.temporal_cutoff)):
            if not 0 <= cutoff <= 1:
                raise ValueError(f"{name} {cutoff} must lie between 0 and 1.")

    def levels(self, steps: int) -> list[list[int]]:
        """Which of ``steps`` + 1 noise levels each iteration visits, evenly chosen; the last iteration visits all.

        Source:
            Coarse-to-fine sampling of the paper: iteration k of K, from 1, takes k / K of the steps.
        """
        counts = [steps] * self.iterations
        if self.fast and steps:
            counts = [max(1, steps * number // self.iterations) for number in range(1, self.iterations + 1)]
        return [[(2 * i * steps + count) // (2 * count or 1) for i in range(count + 1)] for count in counts]


def low_pass(settings: FreeInitSettings, frames: int, height: int, width: int) -> Tensor:
    """How much of each frequency is kept.

    Returns:
        (N, 1, H, R) factors from 0 to 1, in the order of ``torch.fft.rfftn``.

    Source:
        The paper's filters, over d^2 = ((spatial / temporal) t)^2 + h^2 + w^2 with t, h and w the frequencies divided
        by their largest: Butterworth 1 / (1 + (d^2 / spatial^2)^order), Gaussian exp(-d^2 / (2 spatial^2)), ideal
        d <= spatial; ``box`` cuts each axis by itself. A cutoff of 0 keeps nothing.
    """
    spatial, temporal = settings.spatial_cutoff, settings.temporal_cutoff
    t = _frequencies(frames).view(-1, 1, 1, 1)
    h = _frequencies(height).view(-1, 1)
    w = _frequencies(width)[: width // 2 + 1]
    if spatial == 0 or temporal == 0:
        kept = torch.zeros(frames, 1, height, width // 2 + 1)
    elif settings.kind == "box":
        kept = (t.abs() <= temporal) & (h.abs() <= spatial) & (w.abs() <= spatial)
    else:
        kept = _RADIAL[settings.kind]((t / temporal) ** 2 + (h / spatial) ** 2 + (w / spatial) ** 2, settings.order)
    return kept.float()


def _frequencies(length: int) -> Tensor:
    """Frequencies of a transform of ``length`` values in its order, divided by the largest there is: -1 to 1."""
    half = length // 2
    return ((torch.arange(length, dtype=torch.float64) + half) % length - half) * 2 / length


def mix_frequencies(low: Tensor, high: Tensor, kept: Tensor) -> Tensor:
    """The low frequencies of one clip with the high ones of another.

    Args:
        low: (N, C, H, W) clip whose low frequencies are kept.
        high: (N, C, H, W) clip that the others come from.
        kept: (N, 1, H, R) factors of ``low``'s frequencies, from `low_pass`; ``high`` has what is missing to 1.

    Returns:
        (N, C, H, W), of the type of ``high``.
    """
    spectrum = _forward((low - high).float(), dim=CLIP)
    return high + _back(spectrum * kept, s=[low.shape[axis] for axis in CLIP], dim=CLIP).to(high)
