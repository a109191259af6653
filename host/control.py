"""Make ControlNets follow the frames: those a user applies per frame, and plain ones met while sampling."""

from collections.abc import Sequence
from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ..temporal.schedule import ValueSchedule
from ..temporal.values import FrameValues
from .frame_control import AnyControl, ControlSpec, FrameControl, picks_hints

KEY = "zoetrope_control"

Conditioning = list[list[Any]]  # [prompt tensor, options] pairs, as core's CONDITIONING


def install(model: ModelPatcher) -> None:
    """Give plain ControlNets met in runs of ``model`` the hints of their own frames.

    Any pack's or core's Apply node may have put them there. A second call changes nothing.
    """
    model.remove_wrappers_with_key(WrappersMP.OUTER_SAMPLE, KEY)
    model.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, _follow_frames)


def _follow_frames(executor, *args, **kwargs):
    """OUTER_SAMPLE wrapper: replace the controls in this run's copy of the conditioning."""
    followers: dict[AnyControl, AnyControl] = {}
    for entries in executor.class_obj.conds.values():
        for entry in entries:
            if entry.get("control") is not None:
                entry["control"] = follower(entry["control"], followers)
    try:
        return executor(*args, **kwargs)
    finally:
        for control in followers.values():
            if isinstance(control, FrameControl):
                control.reset()


def follower(control: AnyControl, followers: dict[AnyControl, AnyControl]) -> AnyControl:
    """A chain of controls that follows the frames, built of copies.

    Args:
        control: newest control of a chain; nothing in the chain is changed.
        followers: copies made so far. Conditionings that share a control go on sharing one object, which is what
            lets core run them in one UNet call.

    Returns:
        The copy. Controls that have no hints, or pick them themselves, are copied only where an earlier control of
        their chain changed; what cannot be copied stays as it is.
    """
    if control in followers:
        return followers[control]
    earlier = control.previous_controlnet
    previous = None if earlier is None else follower(earlier, followers)
    left_alone = picks_hints(control) or control.cond_hint_original is None
    if (left_alone and previous is earlier) or not hasattr(control, "copy"):
        copy = control
    elif left_alone or isinstance(control, FrameControl):
        copy = control.copy().set_previous_controlnet(previous)
    else:
        copy = FrameControl(control.copy(), ControlSpec()).set_previous_controlnet(previous)
    followers[control] = copy
    return copy


def apply_per_frame(
    conditionings: Sequence[Conditioning],
    control_net: AnyControl,
    image: Tensor,
    strength: float,
    percents: tuple[float, float],
    schedule: FrameValues,
    vae=None,
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

    Raises:
        ValueError: ``control_net`` is empty.
    """
    if control_net is None:
        raise ValueError("control_net is empty: the loaded file is not a ControlNet that ComfyUI knows; load another.")
    if strength == 0 or _is_always(schedule, 0.0):
        return list(conditionings)
    spec = ControlSpec(None if _is_always(schedule, 1.0) else schedule)
    applied: dict[AnyControl, FrameControl] = {}

    def with_control(options: dict) -> dict:
        previous = options.get("control")
        if previous not in applied:
            control = FrameControl(control_net.copy(), spec)
            control.set_cond_hint(image.movedim(-1, 1), strength, percents, vae=vae)
            applied[previous] = control.set_previous_controlnet(previous)
        return {**options, "control": applied[previous], "control_apply_to_uncond": False}

    return [[[prompt, with_control(options)] for prompt, options in entries] for entries in conditionings]


def _is_always(values: FrameValues, number: float) -> bool:
    """Whether values are known to be one number whatever the clip's length."""
    return isinstance(values, ValueSchedule) and values.is_always(number)
