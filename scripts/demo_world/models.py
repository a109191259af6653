"""The demo's models in the published layouts: the narrow weights of the repository, widened. No ComfyUI is needed.

``weights.safetensors`` lies beside this file; its metadata names the commands, seeds and times that made it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor
from toy_models.text import text_encoder
from toy_models.vae import vae

from .widen import wide_controlnet, wide_motion, wide_motion_lora, wide_unet

WEIGHTS = Path(__file__).with_name("weights.safetensors")
MOTION, LORAS = "motion.", {"right": "lora_right.", "fall": "lora_fall."}  # what stands before published names there


def checkpoint() -> dict[str, Tensor]:
    """A whole SD1.5 checkpoint; its VAE is made and not trained, and its text encoder is random."""
    return {**wide_unet(load_file(WEIGHTS)), **vae(), **text_encoder()}


def motion_model() -> dict[str, Tensor]:
    """A v3 motion module."""
    return wide_motion(load_file(WEIGHTS), MOTION)


def motion_lora(move: str) -> dict[str, Tensor]:
    """A MotionLoRA.

    Args:
        move: a key of ``LORAS``.
    """
    return wide_motion_lora(load_file(WEIGHTS), LORAS[move])


def controlnet() -> dict[str, Tensor]:
    """An SD1.5 ControlNet for outlines."""
    return wide_controlnet(load_file(WEIGHTS))


# kind -> (folder below models, function that returns a state dict)
KINDS: dict[str, tuple[str, Callable[[], dict[str, Tensor]]]] = {
    "demo_checkpoint": ("checkpoints", checkpoint),
    "demo_motion": ("animatediff_models", motion_model),
    "demo_motion_lora": ("animatediff_motion_lora", partial(motion_lora, "right")),
    "demo_motion_lora_fall": ("animatediff_motion_lora", partial(motion_lora, "fall")),
    "demo_controlnet": ("controlnet", controlnet),
}
