"""Changed copies of a motion model's positional encoding, and the gain of its attentions.

Shapes: F = frames of the positional encoding, C = channels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from .spec import MotionSpec


@dataclass(frozen=True, kw_only=True)
class Adjustment:
    """Changes of the positional encoding, made in this order; 0 leaves a step out.

    Attributes:
        stretch: interpolate the whole table to this many frames more (less when negative).
        offset: drop this many frames at the start.
        cap: keep this many frames.
        interpolate: interpolate what is left to this many frames.
        attention_gain: factor of what each temporal attention adds.

    Source:
        The order and the bilinear interpolation are those of ComfyUI-AnimateDiff-Evolved's Adjust PE nodes
        (``apply_mm_settings``, ``interpolate_pe_to_length``), so that numbers from its workflows mean the same.
    """

    stretch: int = 0
    offset: int = 0
    cap: int = 0
    interpolate: int = 0
    attention_gain: float = 1.0

    def positions(self, table: Tensor) -> Tensor:
        """The changed table.

        Args:
            table: (1, F, C); it is not changed.

        Raises:
            ValueError: nothing would be left of it.
        """
        frames = table.shape[1]
        if frames + self.stretch < 1:
            raise ValueError(
                f"pe_stretch {self.stretch} leaves nothing of {frames} positions; take more than {-frames}."
            )
        if self.stretch:
            table = _interpolated(table, frames + self.stretch)
        if self.offset >= table.shape[1]:
            raise ValueError(
                f"pe_offset {self.offset} leaves nothing of {table.shape[1]} positions; "
                f"take at most {table.shape[1] - 1}."
            )
        table = table[:, self.offset :]
        if self.cap:
            table = table[:, : self.cap]
        if self.interpolate:
            table = _interpolated(table, self.interpolate)
        return table


def adjust(
    spec: MotionSpec, weights: Mapping[str, Tensor], adjustments: Sequence[Adjustment]
) -> tuple[MotionSpec, dict[str, Tensor]]:
    """A motion model with adjustments made one after the other; no tensor is changed in place.

    Raises:
        ValueError: nothing would be left of the positional encoding.
    """
    changed = dict(weights)
    gain = spec.attention_gain
    for adjustment in adjustments:
        gain *= adjustment.attention_gain
        for name, tensor in changed.items():
            if name.endswith(".positions"):
                changed[name] = adjustment.positions(tensor)
    frames = next((t.shape[1] for name, t in changed.items() if name.endswith(".positions")), spec.max_frames)
    return replace(spec, max_frames=frames, attention_gain=gain), changed


def _interpolated(table: Tensor, frames: int) -> Tensor:
    dtype = table.dtype if table.dtype.itemsize > 1 else torch.float32
    size = (frames, table.shape[2])
    return interpolate(table.to(torch.float32).unsqueeze(0), size=size, mode="bilinear").squeeze(0).to(dtype)
