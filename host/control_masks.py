"""Effect masks: where in the picture a control acts, frame by frame.

Shapes: F = frames of a call, M = masks, B = images in the call (chunks of F frames), C = channels, h, w = size of a
residual.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import interpolate

from .values import as_mask


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

    def at(self, frames: Sequence[int], size: tuple[int, int], like: Tensor) -> Tensor:
        """(F or 1, 1, h, w) masks of some frames at the size of a residual, averaged where they shrink, bilinear where they grow.

        Args:
            frames: F frame numbers.
            size: (h, w).
            like: tensor whose device and dtype the result takes.
        """
        rows = sorted({self._row(frame) for frame in frames})
        masks = self.masks[rows].to(like.device).float().unsqueeze(1)
        shrinks = size[0] <= masks.shape[-2] and size[1] <= masks.shape[-1]
        masks = interpolate(masks, size=size, mode="area" if shrinks else "bilinear").to(like.dtype)
        return masks if len(rows) == 1 else masks[[rows.index(self._row(frame)) for frame in frames]]

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
    """The product of masks for the frames of one UNet call; each size is made once.

    Args:
        masks: at least one.
        frames: F frame numbers.
        chunks: how often the frames are stacked.
    """

    def __init__(self, masks: Sequence[EffectMask], frames: Sequence[int], chunks: int):
        self._masks, self._frames, self._chunks = masks, frames, chunks
        self._sizes: dict[tuple[int, int], Tensor] = {}

    def at(self, residual: Tensor) -> Tensor:
        """(B or 1, 1, h, w) factors of a residual.

        Raises:
            ValueError: the residual has no height and width.
        """
        if residual.ndim != 4:
            raise ValueError(
                "mask works with ControlNets of UNets only, not with those of transformers; disconnect it."
            )
        size = (residual.shape[-2], residual.shape[-1])
        if size not in self._sizes:
            first, *others = (mask.at(self._frames, size, residual) for mask in self._masks)
            for other in others:
                first = first * other
            self._sizes[size] = first if len(first) == 1 else first.repeat(self._chunks, 1, 1, 1)
        return self._sizes[size]
