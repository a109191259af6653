"""Guidance (cfg) per frame and per pixel.

The guider's own number is replaced by a tensor while it predicts the noise, as core's CFG Override replaces it by another
number. Core, its CFG-changing nodes and its guiders only calculate with it, so all of them follow.

Shapes: F = frames of the clip, C = latent channels, H, W = latent size.
"""

import logging
from dataclasses import dataclass
from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ..call import keys
from ..call.frames import CallFrames, call_frames
from ..call.sampling_range import SamplingRange
from ..call.strength import Strength, as_mask, strength_of
from ..call.wrappers import bound, put_on, require_image_latents

log = logging.getLogger("zoetrope")


@dataclass(frozen=True, eq=False)
class Guidance:
    """A guidance in place of the sampler's.

    Attributes:
        value: of the guidance.
        when: when it acts, with factors of the value; where the factor is 0 the sampler's own guidance stays.
        mask: where it acts; black keeps the sampler's own guidance.
    """

    value: Strength
    when: SamplingRange = SamplingRange()
    mask: Strength = Strength()

    @property
    def is_number(self) -> bool:
        """Whether it is one number for every frame and pixel."""
        return self.value.constant and self.mask.constant


class FrameScale(Tensor):
    """(F, 1, 1, 1) or (F, 1, H, W) guidance that reads as one number too.

    Core skips the negative prompt where the number is 1, so it is 1 only if every frame's is. What is calculated with
    it are ordinary tensors.
    """

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    def __float__(self) -> float:
        values = self.as_subclass(Tensor)
        return float(values.flatten()[(values - 1).abs().argmax()])


def guidance_of(value: object, when: SamplingRange, mask: Tensor | None) -> Guidance:
    """A guidance from what the sockets and widgets of a node gave.

    Args:
        value: a number, FRAME_VALUES, a list of numbers (one per frame), or a MASK from 1 (black) to the sampler's
            own guidance (white).
        when: when it acts.
        mask: where it acts.

    Raises:
        ValueError: a value is something else.
    """
    where = Strength() if mask is None else Strength(factors=(as_mask(mask, "mask"),))
    if isinstance(value, Tensor):
        return Guidance(Strength(1.0), when, where.times(Strength(factors=(1 - as_mask(value, "guidance"),))))
    return Guidance(strength_of(value, "guidance"), when, where)


def guidances_of(model: ModelPatcher) -> tuple[Guidance, ...]:
    """All guidances on ``model``, the first applied first."""
    return model.get_attachment(keys.GUIDANCE) or ()


def apply_guidance(model: ModelPatcher, guidance: Guidance) -> ModelPatcher:
    """A clone of ``model`` that is guided per frame; of several, the last applied wins where it acts."""
    guided = model.clone()
    guided.set_attachments(keys.GUIDANCE, (*guidances_of(guided), guidance))
    wrappers = {WrappersMP.OUTER_SAMPLE: _check_run, WrappersMP.PREDICT_NOISE: _predict_noise}
    put_on(guided, keys.GUIDANCE, wrappers)
    return guided


def _check_run(executor, *args, **kwargs):
    """OUTER_SAMPLE wrapper.

    Raises:
        ValueError: the frames are not on the batch axis.
    """
    guider = executor.class_obj
    if not all(guidance.is_number for guidance in guidances_of(guider.model_patcher)):
        noise = bound(WrappersMP.OUTER_SAMPLE, args, kwargs).arguments["noise"]
        require_image_latents("Guidance Per Frame", noise, "for video models set guidance to a number")
    if "negative" not in guider.conds:
        log.warning("Guidance Per Frame does nothing here: the guider has no negative prompt to guide away from.")
    return executor(*args, **kwargs)


def _predict_noise(executor, *args, **kwargs):
    """PREDICT_NOISE wrapper: (F, C, H, W) of the whole clip, before any windows are cut."""
    guider, call = executor.class_obj, bound(WrappersMP.PREDICT_NOISE, args, kwargs).arguments
    name = "cfg1" if hasattr(guider, "cfg1") else "cfg"  # DualCFGGuider has two: prompts against middle prompts first
    own = getattr(guider, name, None)
    options = call.get("model_options", {}).get("transformer_options", {})
    scale = None if own is None else _scale_at(guider, own, call["x"], call["timestep"], options)
    if scale is None or "negative" not in guider.conds:
        return executor(*args, **kwargs)
    setattr(guider, name, scale)
    try:
        return executor(*args, **kwargs)
    finally:
        setattr(guider, name, own)


def _scale_at(guider: Any, own: Any, x: Tensor, timestep: Tensor, options: dict) -> Any:
    """What stands for the guider's ``own`` guidance at this step, or None."""
    for guidance in reversed(guidances_of(guider.model_patcher)):
        factor = guidance.when.at(guider.inner_model, {"sigmas": timestep})
        if not factor:
            continue
        if guidance.is_number:
            return guidance.value.number * factor
        frames = call_frames(options, x.shape[0], conditionings=1)
        value, share = (_tensor(s, frames, x) for s in (guidance.value, guidance.mask))
        scale = value * factor if guidance.mask.constant else own + share * (value * factor - own)
        return scale.as_subclass(FrameScale)
    return None


def _tensor(strength: Strength, frames: CallFrames, x: Tensor) -> Tensor:
    """(1 or F, 1, 1 or H, 1 or W) values of a strength."""
    height, width = x.shape[-2:]
    value = strength.at(frames.numbers, frames.total, height, width, x)
    if not isinstance(value, Tensor):
        return x.new_full((1, 1, 1, 1), value)
    return value.view(-1, 1, height, width) if value.shape[1] > 1 else value.view(-1, 1, 1, 1)
