"""Memory that the host should keep free for motion modules while it loads a run's models."""

import math

import comfy.model_management
from comfy.model_patcher import ModelPatcher

from .frames import frames_at_once
from .settings import settings_of


def count_motion(executor, model: ModelPatcher, noise_shape, *args, **kwargs):
    """PREPARE_SAMPLING wrapper: estimate one window, with the motion modules' activations counted.

    Core turns a latent shape into bytes in proportion to frames * height * width. The frames are those
    of one window when windows run; the height is stretched by what motion modules need on top.
    """
    frames, channels, height, *rest = noise_shape
    together, anchor = frames_at_once((kwargs.get("model_options") or {}).get("context_handler"), frames)
    frames = together - anchor
    area = frames * height * math.prod(rest)
    plain = model.model.memory_required([frames, channels, height, *rest])
    share = motion_bytes(model, area) / plain if plain else 0.0
    return executor(model, [frames, channels, math.ceil(height * (1 + share)), *rest], *args, **kwargs)


def motion_bytes(model: ModelPatcher, area: int) -> int:
    """Bytes a motion module holds beyond what the spatial transformer of the same place needs.

    Both have a feed-forward of eight times their width as their peak and never run at once. A motion
    module keeps its input for the residual and one copy of it in (sequence, frame, channel) order.

    Args:
        model: MODEL with motion models.
        area: frames * latent height * latent width of one chunk.
    """
    widths = [min(site.channels for site in settings.spec.sites) for settings in settings_of(model)]
    size = comfy.model_management.dtype_size(model.model.get_dtype_inference())
    return 2 * max(widths, default=0) * area * size
