"""ControlNets that a user applies per frame."""

from collections.abc import Sequence

from torch import Tensor

from ...temporal.values.frame_values import FrameValues
from ...temporal.values.schedule import ValueSchedule
from ..call.conditioning_rows import Conditioning
from .frame_control import AnyControl, FrameControl
from .spec import ControlSpec


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
