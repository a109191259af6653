"""Effect masks: where in the picture a control acts, frame by frame.

Shapes: F = frames of a call, M = masks, R = rows of the call (chunks of F frames), h, w = size of a residual.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..call.strength import as_mask


@dataclass(frozen=True, eq=False)
class EffectMask:
    """Masks of a clip.

    Attributes:
        masks: (M, height, width), 1 for full strength, by reference; the last is held for later frames.
        lit: for each mask whether anything of it is not 0.
    """

    masks: Tensor
    lit: tuple[bool, ...]

    def is_lit(self, frame: int) -> bool:
        """Whether the control acts anywhere in a frame."""
        return self.lit[self._row(frame)]

    def of(self, frames: Sequence[int], device: torch.device) -> Tensor:
        """(F or 1, 1, height, width) masks of some frames on a device."""
        rows = [self._row(frame) for frame in frames]
        rows = rows[:1] if len(set(rows)) == 1 else rows
        return self.masks[rows].to(device).float().unsqueeze(1)

    def _row(self, frame: int) -> int:
        return min(frame, len(self.lit) - 1)


def effect_mask(mask: Tensor) -> EffectMask:
    """An effect mask from a MASK.

    Raises:
        ValueError: it has another number of axes, or no frame.
    """
    masks = as_mask(mask, "mask")
    return EffectMask(masks, tuple(bool(row.any()) for row in masks))


class FrameMasks:
    """The product of masks for the frames of one UNet call; the masks are fetched once and each size is made once.

    Args:
        masks: at least one.
        frames: F frame numbers.
        chunks: how often the frames are stacked.
    """

    def __init__(self, masks: Sequence[EffectMask], frames: Sequence[int], chunks: int):
        self._masks, self._frames, self._chunks = masks, frames, chunks
        self._whole: list[Tensor] = []  # (F or 1, 1, height, width), where the residuals are
        self._sizes: dict[tuple[int, int], Tensor] = {}

    def at(self, residual: Tensor) -> Tensor:
        """(R or 1, 1, h, w) factors of a residual.

        Raises:
            ValueError: the residual has no height and width.
        """
        if residual.ndim != 4:
            raise ValueError(
                "mask works with ControlNets of UNets only, not with those of transformers; disconnect it."
            )
        self._whole = self._whole or [mask.of(self._frames, residual.device) for mask in self._masks]
        size = (residual.shape[-2], residual.shape[-1])
        if size not in self._sizes:
            first, *others = (_resized(mask, size) for mask in self._whole)
            for other in others:
                first = first * other
            first = first.to(residual.dtype)
            self._sizes[size] = first if len(first) == 1 else first.repeat(self._chunks, 1, 1, 1)
        return self._sizes[size]


def _resized(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """(M, 1, h, w) masks, averaged where they shrink, bilinear where they grow."""
    shrinks = size[0] <= masks.shape[-2] and size[1] <= masks.shape[-1]
    return interpolate(masks, size=size, mode="area" if shrinks else "bilinear")
