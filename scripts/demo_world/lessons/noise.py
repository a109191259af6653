"""Noise levels of the image trainings."""

from __future__ import annotations

import torch
from torch import Tensor

STEPS = 1000
START, END = 0.00085, 0.012


def sigmas(straight: bool) -> Tensor:
    """Noise level of each training step, (1000,).

    Args:
        straight: betas in a straight line (motion models: ComfyUI's ``sqrt_linear``), else their roots (SD1.5's own).

    Source: comfy/model_sampling.py, ``ModelSamplingDiscrete``: sqrt((1 - a) / a).
    """
    ends = (START, END) if straight else (START**0.5, END**0.5)
    betas = torch.linspace(*ends, STEPS, dtype=torch.float64)
    kept = torch.cumprod(1 - (betas if straight else betas**2), 0)
    return ((1 - kept) / kept).sqrt().float()
