"""View windows: windows inside the motion modules only, while the rest of the UNet sees all frames of a call.

Shapes: R = rows of the UNet call.
"""

from dataclasses import replace

from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...motion_models.networks.views import ViewGroup, view_groups
from ...temporal.windows.blending import blend_shares
from ...temporal.windows.schedules import windows_for_step
from ...temporal.windows.settings import WindowSettings
from ..call import keys
from ..call.schedule_place import window_step

# Schedules that run on from the last frame into the first, and what they are where those are no neighbours.
OPEN = {"looped_uniform": "standard_uniform"}


def apply_views(model: ModelPatcher, settings: WindowSettings) -> ModelPatcher:
    """A clone of ``model`` whose motion modules, present and later ones, attend in views; it replaces earlier views.

    Args:
        model: any MODEL.
        settings: how to cut and blend.

    Raises:
        ValueError: the settings contradict each other.
    """
    settings.validate("view")
    viewed = model.clone()
    viewed.set_attachments(keys.VIEW_WINDOWS, settings)
    return viewed


def views_of(model: ModelPatcher) -> WindowSettings | None:
    """View windows of a MODEL."""
    return model.get_attachment(keys.VIEW_WINDOWS)


def views_at(model: ModelPatcher, frames: int, total: int, timestep: Tensor, options: dict) -> tuple[ViewGroup, ...]:
    """The views of a UNet call; none where its frames attend all at once.

    Args:
        model: MODEL of the run.
        frames: of a clip, or of a window of it. Only a whole clip can be a loop.
        total: frames of the clip.
        timestep: (R,) sigmas of the call, on its device.
        options: transformer_options of the call.
    """
    settings = views_of(model)
    settings = None if settings is None else settings_within(settings, frames, total)
    if settings is None:
        return ()
    step = window_step(model.get_model_object("model_sampling"), options, timestep)
    windows = windows_for_step(settings, frames, step)
    return view_groups(windows, blend_shares(settings, windows, frames), timestep.device)


def settings_within(settings: WindowSettings, frames: int, total: int) -> WindowSettings | None:
    """How ``frames`` of the ``total`` frames of a clip are cut, or None where they attend all at once."""
    if frames < total:
        settings = replace(settings, closed_loop=False, schedule=OPEN.get(settings.schedule, settings.schedule))
    return settings if settings.acts_on(frames) else None


def frames_in_view(model: ModelPatcher, frames: int) -> int:
    """How many of the frames of a UNet call attend to each other."""
    settings = views_of(model)
    return frames if settings is None else min(frames, settings.length)
