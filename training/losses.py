"""What training makes small.

Shapes: B = clips in a UNet call, F = frames of a clip, C = channels, H, W = size of a latent.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

DEBIAS_SCALE = math.sqrt(2.0)  # factor of each frame, from which one frame of the clip is taken away


def noise_loss(predicted: Tensor, noise: Tensor) -> Tensor:
    """Mean squared error of the predicted noise of each clip.

    Args:
        predicted: (B, F, C, H, W) float32.
        noise: the same shape; what was really added.

    Returns:
        (B,).

    Source:
        Guo et al. 2023, "AnimateDiff", equation 4; guoyww/AnimateDiff ``train.py``.
    """
    return (predicted - noise).square().flatten(1).mean(dim=1)


def debiased_loss(predicted: Tensor, noise: Tensor, frames: Sequence[int]) -> Tensor:
    """`noise_loss` plus the same of what differs between frames, so that a clip's motion counts more than its look.

    L = mean (p - e)^2 + mean ((sqrt(2) p - p[r]) - (sqrt(2) e - e[r]))^2, where p is predicted, e the noise, and r one
    frame of the clip; both means are over all frames, r included.

    Args:
        predicted: (B, F, C, H, W) float32.
        noise: the same shape.
        frames: r of each clip.

    Returns:
        (B,).

    Source:
        Zhao et al. 2023, "MotionDirector", section 4.2; ExponentialML/AnimateDiff-MotionDirector ``train.py``.
    """
    rows = torch.arange(len(frames), device=noise.device)
    chosen = torch.tensor(list(frames), device=noise.device)
    own, target = (DEBIAS_SCALE * x - x[rows, chosen].unsqueeze(1) for x in (predicted, noise))
    return noise_loss(predicted, noise) + noise_loss(own, target)


def min_snr_weight(sigmas: Tensor, gamma: float) -> Tensor:
    """min(SNR, gamma) / SNR with SNR = 1 / sigma^2: less weight where hardly any noise is left to predict.

    Args:
        sigmas: (B,) noise levels.
        gamma: 5 in the paper; 0 is a weight of 1.

    Source:
        Hang et al. 2023, "Efficient Diffusion Training via Min-SNR Weighting Strategy", section 3.4, for predicted noise.
    """
    return torch.ones_like(sigmas) if not gamma else (gamma * sigmas.square()).clamp(max=1.0)
