"""Noise that belongs to a frame number, so that a clip sampled piece by piece gets the same noise as in one go.

Shapes: F = frames, C = latent channels, H, W = latent size.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

MASK = 2**64 - 1


def frame_noise(seed: int, frames: Sequence[int], shape: Sequence[int], draw: int = 0) -> Tensor:
    """Unit Gaussian noise of some frames.

    Args:
        seed: seed of the run.
        frames: F frame numbers; negative ones are frames before the clip.
        shape: (C, H, W) of one frame.
        draw: which of the independent noises of these frames.

    Returns:
        (F, C, H, W) float32 on the CPU. A frame's rows depend on the seed, its number and the draw only.
    """
    rows = [
        torch.randn(tuple(shape), generator=torch.Generator().manual_seed(mixed(seed, frame, draw))) for frame in frames
    ]
    return torch.stack(rows)


def mixed(*numbers: int) -> int:
    """One 63-bit seed from several numbers, such that neighbouring numbers give unrelated seeds.

    Source: the finaliser of SplitMix64 (Steele, Lea, Flood 2014), applied once for each number.
    """
    state = 0
    for number in numbers:
        state = ((state ^ (number & MASK)) + 0x9E3779B97F4A7C15) & MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
        state ^= state >> 31
    return state >> 1
