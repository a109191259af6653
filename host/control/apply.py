"""Make ControlNets follow the frames: those a user applies per frame, and plain ones met while sampling."""

from collections.abc import Sequence
from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ...temporal.values.frame_values import FrameValues
from ...temporal.values.schedule import ValueSchedule
from ..call.frames import frames_per_call
from .compatibility import elements
from .frame_control import AnyControl, FrameControl
from .spec import ControlSpec, RunFacts

KEY = "zoetrope_control"

Conditioning = list[list[Any]]  # [prompt tensor, options] pairs, as core's CONDITIONING


def install(model: ModelPatcher) -> None:
    """Give plain ControlNets met in runs of ``model`` the hints of their own frames.

    Any pack's or core's Apply node may have put them there. A second call changes nothing.
    """
    model.remove_wrappers_with_key(WrappersMP.OUTER_SAMPLE, KEY)
    model.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, _follow_frames)


def _follow_frames(executor, noise: Tensor, *args, **kwargs):
    """OUTER_SAMPLE wrapper: replace the controls in this run's copy of the conditioning."""
    guider = executor.class_obj
    facts = _facts(guider, noise)
    followers: dict[AnyControl, AnyControl] = {}
    for entries in guider.conds.values():
        for entry in entries:
            if entry.get("control") is not None:
                entry["control"] = follower(entry["control"], followers, facts)
    try:
        return executor(noise, *args, **kwargs)
    finally:
        for control in followers.values():
            if isinstance(control, FrameControl):
                control.reset()


def _facts(guider: Any, noise: Tensor) -> RunFacts:
    """What controls cannot see by themselves.

    Guiders name their lists of conditionings: negative in core's CFG guiders, empty_negative_prompt too in PerpNeg's.
    """
    negative = (entries for name, entries in guider.conds.items() if "negative" in name)
    handler = guider.model_options.get("context_handler")
    is_by_frames = getattr(handler, "dim", None) == 0
    count = 0
    if noise.ndim == 4:
        images = frames_per_call(handler, noise.shape[0]) * min(2, len(guider.conds))
        count = elements(guider.model_patcher.model.diffusion_model, images, *noise.shape[-2:])
    return RunFacts(
        frozenset(entry["uuid"] for entries in negative for entry in entries if "uuid" in entry),
        tuple(getattr(handler, "latent_retain_index_list", ())) if is_by_frames else (),
        count,
    )


def follower(control: AnyControl, followers: dict[AnyControl, AnyControl], facts: RunFacts | None = None) -> AnyControl:
    """A chain of controls that follows the frames, built of copies.

    Args:
        control: newest control of a chain; nothing in the chain is changed.
        followers: copies made so far. Conditionings that share a control go on sharing one object, which is what
            lets core run them in one UNet call.
        facts: about the run.

    Returns:
        The copy. Controls that have no hints, and those of ComfyUI-Advanced-ControlNet, which slice them by themselves,
        are copied only where an earlier control of their chain changed; what cannot be copied stays as it is.
    """
    if control in followers:
        return followers[control]
    earlier = control.previous_controlnet
    previous = None if earlier is None else follower(earlier, followers, facts)
    if isinstance(control, FrameControl):
        copy = FrameControl(control.inner.copy(), control.spec, facts).set_previous_controlnet(previous)
    else:
        left_alone = hasattr(control, "sub_idxs") or control.cond_hint_original is None
        if (left_alone and previous is earlier) or not hasattr(control, "copy"):
            copy = control
        elif left_alone:
            copy = control.copy().set_previous_controlnet(previous)
        else:
            copy = FrameControl(control.copy(), ControlSpec(), facts).set_previous_controlnet(previous)
    followers[control] = copy
    return copy


def per_frame(control_net: AnyControl, spec: ControlSpec) -> FrameControl:
    """A copy of a ControlNet that follows the frames; one that does already is not wrapped twice.

    Args:
        control_net: as loaded or as a node gave it; not changed.
        spec: what it does frame by frame, besides what it does already.

    Raises:
        ValueError: ``control_net`` is empty.
    """
    if control_net is None:
        raise ValueError("control_net is empty: the loaded file is not a ControlNet that ComfyUI knows; load another.")
    if isinstance(control_net, FrameControl):
        return FrameControl(control_net.inner.copy(), control_net.spec.times(spec))
    return FrameControl(control_net.copy(), spec)


def apply_per_frame(
    conditionings: Sequence[Conditioning],
    control_net: AnyControl,
    image: Tensor,
    strength: float,
    percents: tuple[float, float],
    schedule: FrameValues,
    vae=None,
    spec: ControlSpec | None = None,
) -> list[Conditioning]:
    """Add a ControlNet whose strength changes from frame to frame.

    Args:
        conditionings: usually positive and negative; entries with the same earlier control share one new object.
        control_net: as loaded; not changed.
        image: (hints, H, W, 3) hint images in 0..1, kept by reference.
        strength: strength at frames where the values are 1; zero throughout returns the same conditionings.
        percents: start and end position in the training noise schedule, 0 to 1.
        schedule: factor of the strength per frame, a schedule or other values.
        vae: for ControlNets that need their hints encoded.
        spec: what else it does frame by frame.

    Raises:
        ValueError: ``control_net`` is empty.
    """
    following = per_frame(control_net, factor_over_frames(schedule).times(spec or ControlSpec()))
    if strength == 0 or _is_always(schedule, 0.0):
        return list(conditionings)
    applied: dict[AnyControl, FrameControl] = {}

    def with_control(options: dict) -> dict:
        previous = options.get("control")
        if previous not in applied:
            control = following.copy()
            control.set_cond_hint(image.movedim(-1, 1), strength, percents, vae=vae)
            applied[previous] = control.set_previous_controlnet(previous)
        return {**options, "control": applied[previous], "control_apply_to_uncond": False}

    return [[[prompt, with_control(options)] for prompt, options in entries] for entries in conditionings]


def factor_over_frames(values: FrameValues) -> ControlSpec:
    """Values over the frames as a spec; a schedule that is 1 throughout costs nothing."""
    return ControlSpec() if _is_always(values, 1.0) else ControlSpec(values=(values,))


def _is_always(values: FrameValues, number: float) -> bool:
    """Whether values are known to be one number whatever the clip's length."""
    return isinstance(values, ValueSchedule) and values.is_always(number)
