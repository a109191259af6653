"""Lines in the log about combinations that work but look unintended; never an error."""

import logging
from typing import Any

from torch import Tensor

from . import betas
from .frames import frames_at_once
from .settings import MotionSettings, settings_of

log = logging.getLogger("zoetrope")

FAR = 2.0  # a clip of less than half or more than twice the advised frames is far from what was trained


def warn(guider: Any, frames: int, latent_image: Tensor, sampler: Any, *_args, **_kwargs) -> None:
    """Say what looks odd about a run that is about to start.

    Args:
        guider: core's guider, with its MODEL and options.
        frames: length of the clip.
        latent_image: latent the run starts from.
        sampler: core's sampler object.
    """
    model = guider.model_patcher
    active = [settings for settings in settings_of(model) if not settings.effect.off]
    if frames == 1 or not active:
        return
    together, _ = frames_at_once(guider.model_options.get("context_handler"), frames)
    sampler_name = getattr(getattr(sampler, "sampler_function", None), "__name__", "").removeprefix("sample_")
    for settings in active:
        for line in (_length(settings, together), _sampler(settings, sampler_name)):
            if line:
                log.warning("Motion model '%s': %s", settings.name, line)
    if line := betas.overridden(model):
        log.warning("%s", line)


def _length(settings: MotionSettings, together: int) -> str:
    family = settings.spec.family
    if family.advised_frames / FAR <= together <= max(family.advised_frames * FAR, settings.spec.max_frames):
        return ""
    return (
        f"{together} frames are sampled together and it was trained on {family.advised_frames}; expect little or odd "
        f"motion, and use about {family.advised_frames} frames, in Context Windows for longer clips."
    )


def _sampler(settings: MotionSettings, sampler: str) -> str:
    family = settings.spec.family
    if family.lcm and sampler and sampler != "lcm":
        return f"it was distilled for the sampler lcm and this run uses {sampler}; choose lcm, {family.advised_steps} steps."
    return ""
