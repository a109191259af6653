"""ControlNets in a run: each gets the hints of its own frames, also plain ones that any Apply node put there."""

from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ..call import keys
from ..call.context_handler import frames_per_call
from ..call.wrappers import bound, put_on
from .compatibility import elements
from .frame_control import AnyControl, FrameControl
from .spec import ControlSpec, RunFacts


def follow_frames(model: ModelPatcher) -> None:
    """Let ControlNets follow the frames in runs of ``model`` (a clone owned by the caller). A second call changes nothing."""
    put_on(model, keys.CONTROL, {WrappersMP.OUTER_SAMPLE: _follow})


def _follow(executor, *args, **kwargs):
    """OUTER_SAMPLE wrapper: replace the controls in this run's copy of the conditioning."""
    guider = executor.class_obj
    facts = _run_facts(guider, bound(WrappersMP.OUTER_SAMPLE, args, kwargs).arguments["noise"])
    copies: dict[AnyControl, AnyControl] = {}
    for entries in guider.conds.values():
        for entry in entries:
            if entry.get("control") is not None:
                entry["control"] = following_copy(entry["control"], copies, facts)
    try:
        return executor(*args, **kwargs)
    finally:
        for control in copies.values():
            if isinstance(control, FrameControl):
                control.reset()


def _run_facts(guider: Any, noise: Tensor) -> RunFacts:
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


def following_copy(
    control: AnyControl, copies: dict[AnyControl, AnyControl], facts: RunFacts | None = None
) -> AnyControl:
    """A chain of controls that follows the frames, built of copies.

    Args:
        control: newest control of a chain; nothing in the chain is changed.
        copies: those made so far. Conditionings that share a control go on sharing one object, which is what
            lets core run them in one UNet call.
        facts: about the run.

    Returns:
        The copy. Controls that have no hints, and those of ComfyUI-Advanced-ControlNet, which slice them by themselves,
        are copied only where an earlier control of their chain changed; what cannot be copied stays as it is.
    """
    if control in copies:
        return copies[control]
    earlier = control.previous_controlnet
    previous = None if earlier is None else following_copy(earlier, copies, facts)
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
    copies[control] = copy
    return copy
