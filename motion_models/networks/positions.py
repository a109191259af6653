"""Positions of frames: the sinusoidal table, and the rule that no frame may be without one.

Shapes: F = frames, C = channels.
"""

import math

import torch
from torch import Tensor


def sinusoidal_positions(frames: int, channels: int) -> Tensor:
    """The table that motion modules are trained with; a file's own table wins over it.

    Args:
        frames: F, length of the table.
        channels: C, an even number.

    Returns:
        (1, F, C) float32; ``[0, p, 2i] = sin(p * 10000^(-2i/C))`` and ``[0, p, 2i + 1]`` the cosine of the same.

    Source:
        Vaswani et al. 2017, section 3.5; guoyww/AnimateDiff ``motion_module.py``, ``PositionalEncoding``.
    """
    steps = torch.exp(torch.arange(0, channels, 2) * (-math.log(10000.0) / channels))
    angles = torch.arange(frames).unsqueeze(1) * steps
    return torch.stack((angles.sin(), angles.cos()), dim=-1).reshape(1, frames, channels)


def require_positions(what: str, limit: int, together: int, cure: str) -> None:
    """Refuse more frames at once than there are positions.

    Args:
        what: has the positions; begins the sentence.
        limit: positions.
        together: frames that attend to each other.
        cure: ends the sentence.

    Raises:
        ValueError: ``together`` is above ``limit``.
    """
    if together > limit:
        raise ValueError(f"{what} has positions for {limit} frames, but {together} would be sampled together; {cure}.")
