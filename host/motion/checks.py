"""Lines in the log about combinations that work but look unintended; never an error."""

import logging
from typing import Any

from torch import Tensor

from ..call.frames import frames_at_once
from . import noise_schedule as betas
from .settings import MotionSettings, settings_of
from .view_windows import frames_in_view

log = logging.getLogger("zoetrope")

FAR = 2.0  # a clip of less than half or more than twice the frames it was trained on is far from them


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
    handler = guider.model_options.get("context_handler")
    if frames == 1 or not active or getattr(handler, "goes_on", False):  # said when the clip began
        return
    sampled, _ = frames_at_once(handler, frames)
    together = frames_in_view(model, sampled)
    sampler_name = getattr(getattr(sampler, "sampler_function", None), "__name__", "").removeprefix("sample_")
    for settings in active:
        for line in (_length(settings, together), _sampler(settings, sampler_name)):
            if line:
                log.warning("Motion model '%s': %s", settings.name, line)
    if line := betas.overridden(model):
        log.warning("%s", line)


def _length(settings: MotionSettings, together: int) -> str:
    family = settings.spec.family
    if family.fewest_frames / FAR <= together <= family.advised_frames * FAR:
        return ""
    return (
        f"{together} frames are sampled together and it was trained on {family.trained_frames}; expect little or odd "
        f"motion, and use about {family.advised_frames} frames, in Context Windows for longer clips."
    )


def _sampler(settings: MotionSettings, sampler: str) -> str:
    family = settings.spec.family
    if not family.lcm or not sampler or sampler.startswith("lcm"):
        return ""
    # Not named: core runs ddim by euler's function, so the function's name may be none that the user chose.
    return f"it was distilled for the sampler lcm and this run uses another; choose lcm, {family.advised_steps} steps."
