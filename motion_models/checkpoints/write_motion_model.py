"""Our weights of a motion model as a file in the layout of the original release, the reverse of ``motion_model.py``.

Shapes: F = frames of the positional encoding, C = channels of a module.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from ..spec import BlockIndex, MotionSpec
from .weight_names import ORIGINAL, QKV, module_name


def published_motion_model(
    spec: MotionSpec, weights: Mapping[str, Tensor], dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """A motion model by the names that the original code, ComfyUI-AnimateDiff-Evolved and diffusers read.

    Args:
        spec: of the motion model.
        weights: our state dict.
        dtype: of the file; positional encodings, (1, F, C), are in it as well.

    Raises:
        MotionFileError: it is of a kind that animates a condition image.
    """
    spec.require_no_image()
    published: dict[str, Tensor] = {}
    for site in spec.sites:
        start = f"{module_name(*published_block((site.part, site.index)))}.temporal_transformer."
        own = {
            name.removeprefix(f"{site.key}."): value
            for name, value in weights.items()
            if name.startswith(f"{site.key}.")
        }
        published |= {start + theirs: own[mine].to(dtype) for theirs, mine, _ in ORIGINAL.module}
        for n in range(spec.attentions):
            parts = own[f"attentions.{n}.to_qkv.weight"].chunk(len(QKV))
            own |= {f"attentions.{n}.{part}.weight": rows for part, rows in zip(QKV, parts, strict=True)}
            for theirs, mine, _ in ORIGINAL.attention:
                published[start + theirs.format(n=n)] = own[mine.format(n=n)].to(dtype)
            published[start + ORIGINAL.positions.format(n=n)] = own[f"attentions.{n}.positions"].to(dtype)
    return published


def published_block(block: BlockIndex) -> tuple[str, int, int]:
    """(part, level, number) of a motion module's block in published files, the reverse of ``unet_block``."""
    part, index = block
    if part == "middle":
        return "mid_block", 0, 0
    if part == "input":
        return "down_blocks", (index - 1) // 3, (index - 1) % 3
    return "up_blocks", index // 3, index % 3
