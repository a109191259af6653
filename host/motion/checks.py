"""What is looked at before a run of motion models starts: what cannot work is refused, what looks unintended is logged."""

import logging
from collections import UserDict
from collections.abc import Mapping
from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ...inputs.quoting import plain, quoted
from ...motion_models.networks.positions import require_positions
from ..call import keys
from ..call.context_handler import StagedHandler, frames_at_once
from ..call.run_report import begin_report
from ..call.wrappers import bound, require_image_latents
from . import noise_schedule
from .run_schedule import schedule_of_run
from .settings import MotionSettings, settings_of
from .view_windows import frames_in_view

log = logging.getLogger("zoetrope")

FAR = 2.0  # a clip of less than half or more than twice the frames it was trained on is far from them


def start_run(executor, *args, **kwargs):
    """OUTER_SAMPLE wrapper: check the clip against each motion model before anything is loaded.

    Raises:
        ValueError: not an image latent, or more frames at once than a motion model has positions for; afterwards, latents
            that are not finite.
    """
    guider, given = executor.class_obj, bound(WrappersMP.OUTER_SAMPLE, args, kwargs)
    call = given.arguments
    noise = call["noise"]
    require_image_latents(
        "A motion model",
        noise,
        "use Empty Latent Image with the clip's length as batch_size and an SD1.5 or SDXL model",
    )
    model, frames = guider.model_patcher, noise.shape[0]
    handler, report = guider.model_options.get("context_handler"), begin_report(guider)
    guider.model_options["transformer_options"].update({keys.CLIP_LENGTH: frames, keys.RUN_CACHE: UserDict()})
    sampled, anchor = frames_at_once(handler, frames)
    together = frames_in_view(model, sampled)
    for settings in active_settings(model):
        if frames == 1:
            log.info("%s is bypassed: the latent has one frame (batch_size 1).", _named(settings))
        limit = settings.spec.max_frames
        cure = _cure(limit, handler, frames, sampled, anchor, together < sampled)
        require_positions(_named(settings), limit, together, cure)
    if frames > 1 and not getattr(handler, "continues", False):  # said when the clip began
        advise(model, together, sampler_name(call["sampler"]))
    still = frames == 1 or not active_settings(model)
    with schedule_of_run(guider, call, still):
        out = executor(*given.args, **given.kwargs)
    _require_finite(out)
    if frames > 1 and len(call["sigmas"]) > 1:  # else it was a run of no steps
        report.say_still((settings, settings.name) for settings in active_settings(model))
    return out


def _require_finite(latents: Tensor) -> None:
    if not torch.isfinite(latents).all():
        raise ValueError(
            "The sampled latents hold numbers that are none (NaN or infinite), and the clip would be black: a scale, "
            "strength or guidance is too large, or a model overflows in half precision; lower them, or start ComfyUI "
            "with --force-fp32."
        )


def active_settings(model: ModelPatcher) -> list[MotionSettings]:
    """Those of the motion models on ``model`` that are not switched off."""
    return [settings for settings in settings_of(model) if not settings.effect.off]


def _named(settings: MotionSettings) -> str:
    return f"Motion model {quoted(settings.name)}"


def _cure(limit: int, handler: object, frames: int, sampled: int, anchor: int, in_views: bool) -> str:
    """What to change so that at most ``limit`` frames attend to each other."""
    if in_views:
        return f"set the view_length of View Windows to at most {limit}"
    if isinstance(handler, StagedHandler) and sampled == frames:
        return (
            f"Context Windows need a context_length of at most {limit} and must cover start_percent 0 to end_percent 1"
        )
    if sampled - anchor < frames:
        switch = " or switch its causal_window_fix off" if anchor else ""
        return f"set the context_length of Context Windows to at most {limit - anchor}{switch}"
    return f"add Context Windows with context_length at most {limit}"


def check_together(model: ModelPatcher, window: int) -> None:
    """Refuse a window of a clip that is sampled in parts with more frames than a motion model has positions for.

    Raises:
        ValueError: see `require_positions`.
    """
    together = frames_in_view(model, window)
    name = "window" if together == window else "the view_length of View Windows"
    for settings in active_settings(model):
        limit = settings.spec.max_frames
        require_positions(_named(settings), limit, together, f"set {name} to at most {limit}")


def advise(model: ModelPatcher, together: int, sampler: str) -> None:
    """Lines in the log about combinations that work but look unintended.

    Args:
        model: MODEL of the run.
        together: frames that attend to each other.
        sampler: core's name of the sampler's function, or nothing.
    """
    active = active_settings(model)
    for settings in active:
        for line in (_about_length(settings, together), _about_sampler(settings, sampler)):
            if line:
                log.warning("%s: %s", _named(settings), plain(line, 600))
    if active and (line := noise_schedule.overridden(model)):
        log.warning("%s", plain(line, 600))


def sampler_name(sampler: Any) -> str:
    """Name of the function behind core's sampler object; nothing for those without one."""
    return getattr(getattr(sampler, "sampler_function", None), "__name__", "").removeprefix("sample_")


def _about_length(settings: MotionSettings, together: int) -> str:
    family = settings.spec.family
    if family.fewest_frames / FAR <= together <= family.advised_frames * FAR:
        return ""
    return (
        f"{together} frames are sampled together and it was trained on {family.trained_frames}; expect little or odd "
        f"motion, and use about {family.advised_frames} frames, in Context Windows for longer clips."
    )


def _about_sampler(settings: MotionSettings, sampler: str) -> str:
    family = settings.spec.family
    if not family.lcm or not sampler or sampler.startswith("lcm"):
        return ""
    # Not named: core runs ddim by euler's function, so the function's name may be none that the user chose.
    return f"it was distilled for the sampler lcm and this run uses another; choose lcm, {family.advised_steps} steps."


def warn_without_motion(model: ModelPatcher) -> None:
    """One line in the log for a MODEL that will make pictures instead of a clip."""
    if not active_settings(model):
        log.warning("This MODEL has no motion model, so its frames will not move together: use Apply Motion Model.")


def warn_without_effect(model: ModelPatcher, nodes: Mapping[str, str]) -> None:
    """One line in the log for each node on the MODEL, by its attachment, that does nothing to a clip sampled in parts."""
    for key, node in nodes.items():
        if model.get_attachment(key) is not None:
            log.warning("%s on this MODEL does nothing here, since each frame's noise is that of its number.", node)
