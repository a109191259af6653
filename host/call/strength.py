"""Strengths that may change over frames and over the picture.

Shapes: F = frames of a chunk, M = frames of a mask, H, W = feature map, P = H * W,
h, w = size of a mask.
"""

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ...inputs.numbers import fits
from ...inputs.quoting import quoted
from ...motion_models.networks.module_call import Value
from ...temporal.values.frame_values import FrameValues, listed_values


@dataclass(frozen=True, eq=False)
class Strength:
    """A product of a number, values per frame and masks.

    Attributes:
        number: factor everywhere.
        factors: `FrameValues`, or masks of (M, h, w) with M = 1 for all frames; the last frame of a mask that is
            shorter than the clip is held.
    """

    number: float = 1.0
    factors: tuple[FrameValues | Tensor, ...] = ()

    @property
    def constant(self) -> bool:
        """Whether it is one number for every frame and pixel."""
        return not self.factors

    @property
    def spatial(self) -> bool:
        """Whether it differs from pixel to pixel, so from feature map to feature map."""
        return any(isinstance(factor, Tensor) for factor in self.factors)

    @property
    def off(self) -> bool:
        """Whether it is 0 everywhere without looking at frames."""
        return self.number == 0

    def times(self, other: "Strength") -> "Strength":
        """The product of two."""
        return Strength(self.number * other.number, self.factors + other.factors)

    def at(
        self,
        frames: Sequence[int],
        total: int,
        height: int,
        width: int,
        like: Tensor,
        memo: MutableMapping[Any, Any] | None = None,
    ) -> Value:
        """The product for the frames of one chunk at one feature map.

        Args:
            frames: global frame numbers of the chunk, F of them.
            total: frames of the clip.
            height: H.
            width: W.
            like: tensor whose device and dtype the result takes.
            memo: of the run, keeps the values of the whole clip: every UNet call asks, and a long clip's take time.

        Returns:
            A number, or (F, 1) without masks, or (F, P) with them. Masks are resized bilinearly, as
            ComfyUI-AnimateDiff-Evolved resizes its multival masks.
        """
        value: Value = self.number
        for factor in self.factors:
            value = value * _factor(factor, frames, total, (height, width), like, {} if memo is None else memo)
        return value


def _factor(
    factor: FrameValues | Tensor,
    frames: Sequence[int],
    total: int,
    size: tuple[int, int],
    like: Tensor,
    memo: MutableMapping[Any, Any],
) -> Tensor:
    if isinstance(factor, Tensor):
        rows = factor[[min(frame, factor.shape[0] - 1) for frame in frames]].to(torch.float32)
        resized = interpolate(rows.unsqueeze(1), size=size, mode="bilinear", align_corners=False)
        return resized.flatten(1).to(like)
    key = ("values", id(factor), total)
    if key not in memo:
        memo[key] = factor.at(total)
    return torch.tensor([[memo[key][frame]] for frame in frames]).to(like)


def strength_of(value: object, name: str) -> Strength:
    """A strength from what a socket or widget gave.

    Args:
        value: a number, FRAME_VALUES, a list of numbers (one per frame), or a MASK.
        name: of the input, for messages.

    Raises:
        ValueError: it is something else, or not finite.
    """
    if isinstance(value, Tensor):
        return Strength(factors=(as_mask(value, name),))
    if isinstance(value, FrameValues):
        return Strength(factors=(value,))
    if isinstance(value, list | tuple):
        return Strength(factors=(listed_values(value),))
    if isinstance(value, bool) or not isinstance(value, int | float) or not fits(value):
        raise ValueError(
            f"{name} is {quoted(value)}; it must be a finite number, FRAME_VALUES, a list of numbers or a MASK."
        )
    return Strength(float(value))


def as_mask(mask: Tensor, name: str) -> Tensor:
    """A mask as (M, h, w).

    Raises:
        ValueError: it has another number of axes, or no frame.
    """
    mask = mask.unsqueeze(0) if mask.ndim == 2 else mask
    if mask.ndim != 3 or not mask.shape[0]:
        raise ValueError(f"{name} has the shape {tuple(mask.shape)}; connect a MASK of (frames, height, width).")
    return mask
