"""Memory for the frames that are really in one UNet call: what the host should keep free, and what fits."""

import math

import comfy.model_management
import torch
from comfy.model_base import BaseModel
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP

from ..call import keys
from ..call.context_handler import frames_per_call
from ..call.wrappers import bound, put_on
from .settings import settings_of

SPARE = 1.5  # core's own factor when it decides how many conditionings run together (comfy/samplers.py)
MOST_WINDOWS = 4  # a GPU gains next to nothing from more, and only between UNet calls can a run be interrupted


def count_frames_of_call(model: ModelPatcher) -> None:
    """Let the memory of runs of ``model`` (a clone owned by the caller) be that of one UNet call.

    Called for motion models and for windows; a second call changes nothing.
    """
    put_on(model, keys.MEMORY, {WrappersMP.PREPARE_SAMPLING: _count_frames})


def _count_frames(executor, *args, **kwargs):
    """PREPARE_SAMPLING wrapper: estimate one UNet call, with the motion modules' activations counted.

    Core turns a latent shape into bytes in proportion to frames * height * width. The frames are those
    of one call when windows run; the height is stretched by what motion modules need on top.
    """
    call = bound(WrappersMP.PREPARE_SAMPLING, args, kwargs)
    model, (frames, channels, height, *rest) = call.arguments["model"], call.arguments["noise_shape"]
    frames = frames_per_call((call.arguments.get("model_options") or {}).get("context_handler"), frames)
    plain = model.model.memory_required([frames, channels, height, *rest])
    share = motion_bytes(model, frames * height * math.prod(rest)) / plain if plain else 0.0
    call.arguments["noise_shape"] = [frames, channels, math.ceil(height * (1 + share)), *rest]
    return executor(*call.args, **call.kwargs)


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


def windows_that_fit(base: BaseModel, shape: list[int], device: torch.device) -> int:
    """How many windows run in one UNet call: 1 on a CPU, which gains nothing, else as free memory allows.

    Args:
        base: the model, loaded.
        shape: (images, C, H, W) of one window with all its conditionings.
        device: where the UNet runs.
    """
    model = base.current_patcher
    if device.type == "cpu" or model is None:
        return 1
    images, _, *size = shape
    needed = base.memory_required(shape) + motion_bytes(model, images * math.prod(size))
    fitting = int(model.get_free_memory(device) / (SPARE * needed))
    return min(max(fitting, 1), MOST_WINDOWS)
