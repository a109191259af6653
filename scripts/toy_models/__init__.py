"""Toy models: small networks with published key layouts, whose seeded weights draw drifting clouds of colour."""

from __future__ import annotations

from functools import partial

from .control import controlnet
from .motion import motion_lora, motion_module
from .text import text_encoder
from .unet import unet
from .vae import vae


def checkpoint() -> dict:
    """A whole SD1.5 checkpoint."""
    return {**unet(), **vae(), **text_encoder()}


# kind -> (folder below models, function that returns a state dict)
KINDS = {
    "checkpoint": ("checkpoints", checkpoint),
    "motion_v1": ("animatediff_models", partial(motion_module, length=24, middle=False)),
    "motion_v2": ("animatediff_models", motion_module),
    "motion_v3": ("animatediff_models", partial(motion_module, middle=False)),
    "motion_lora": ("animatediff_motion_lora", motion_lora),
    "controlnet": ("controlnet", controlnet),
}
