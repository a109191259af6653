"""A ControlNet that follows the frames: any ControlBase, wrapped, not subclassed.

Core hands every window of a clip the first hints of the batch. FrameControl gathers the hints of the frames that
are really in the UNet call and scales what the wrapped control returns, frame by frame. Here is its life from run to
run; what it does in a UNet call is `ControlCall`.

Shapes: R = rows of the UNet call (chunks of frames, chunk-major), C = channels, H, W = latent size.
"""

from typing import Any, TypeAlias

import comfy.model_management
from comfy.controlnet import ControlBase
from comfy.model_base import BaseModel
from torch import Tensor

from .compatibility import check_width
from .frame_call import ControlCall, ControlRun
from .hints import drop_prepared
from .residuals import added
from .spec import ControlSpec, RunFacts

AnyControl: TypeAlias = Any  # a ControlBase; that class itself declares neither copy() nor get_control()

# AnimateDiff-Evolved runs only controls with these fields in its windows, and writes the frames into them.
WINDOW_FIELDS = ("sub_idxs", "full_latent_length", "context_length")


class FrameControl(ControlBase):
    """Any ControlNet with a hint and a strength per frame.

    Strength, percent range, formats and hints stay in the inner control, which is asked with exactly one window of
    hints; where every factor is 1 the residuals are bit for bit its own.
    """

    def __init__(self, inner: AnyControl, spec: ControlSpec, facts: RunFacts | None = None):
        # ControlBase.__init__ is not called: its fields would hide those of the inner control (see __getattr__).
        self.inner = inner
        self.spec = spec
        self.run = ControlRun(facts or RunFacts())
        self.previous_controlnet: AnyControl = None
        self.multigpu_clones = {}

    def __getattr__(self, name: str) -> Any:
        """Everything that is not about frames is the inner control's, also fields of later ComfyUI versions."""
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)

    def copy(self) -> "FrameControl":
        return FrameControl(self.inner.copy(), self.spec)

    def set_cond_hint(self, *args, **kwargs) -> "FrameControl":
        self.inner.set_cond_hint(*args, **kwargs)
        return self

    def set_extra_arg(self, argument, value=None) -> None:
        self.inner.set_extra_arg(argument, value)

    def get_models(self) -> list:
        return [*super().get_models(), *self.inner.get_models()]

    def inference_memory_requirements(self, dtype) -> float:
        """Bytes of the chain up to here, with the residuals and hints of the largest UNet call if it is known."""
        own = self.run.facts.elements * comfy.model_management.dtype_size(dtype)
        return super().inference_memory_requirements(dtype) + self.inner.inference_memory_requirements(dtype) + own

    def deepclone_multigpu(self, load_device, autoregister=False) -> "FrameControl":
        clone = FrameControl(self.inner.deepclone_multigpu(load_device), self.spec, self.run.facts)
        if autoregister:
            self.multigpu_clones[load_device] = clone
        return clone

    def pre_run(self, model: BaseModel, percent_to_timestep_function) -> None:
        """Start afresh: core does not clean up after a run that failed.

        Raises:
            ValueError: the control is made for another kind of checkpoint.
        """
        drop_prepared(self.inner)
        check_width(self.inner, model.diffusion_model)
        # Not there before a run: ComfyUI-Advanced-ControlNet would take this control for one of its own.
        self.sub_idxs, self.full_latent_length, self.context_length = None, 0, 0
        self.inner.pre_run(model, percent_to_timestep_function)
        self.run = ControlRun(self.run.facts, model)
        if self.previous_controlnet is not None:
            self.previous_controlnet.pre_run(model, percent_to_timestep_function)

    def cleanup(self) -> None:
        """As ControlBase's, whose fields for the prepared hint are the inner control's here."""
        if self.previous_controlnet is not None:
            self.previous_controlnet.cleanup()
        for clone in self.multigpu_clones.values():
            if isinstance(clone, FrameControl):
                clone.reset()
        self.reset()

    def reset(self) -> None:
        """Drop what a run left behind, in this link of the chain only."""
        was_running = self.run.base is not None
        self.run = ControlRun(self.run.facts)
        drop_prepared(self.inner)
        for name in WINDOW_FIELDS:
            self.__dict__.pop(name, None)
        if was_running:
            self.inner.cleanup()

    def get_control(
        self, x_noisy: Tensor, t: Tensor, cond: dict[str, Any], batched_number: int, transformer_options: dict[str, Any]
    ):
        """Residuals of the chain up to this control for one UNet call.

        Args:
            x_noisy: (R, C, H, W) latents.
            t: (R,) sigmas.
            cond: conditioning of the call.
            batched_number: conditionings stacked in the rows.
            transformer_options: the call's options; they tell which frames the window holds.

        Returns:
            Residual lists by UNet part as core expects them, or None.

        Raises:
            ValueError: the residuals do not fit the UNet.
        """
        arguments = (x_noisy, t, cond, batched_number, transformer_options)
        previous = None if self.previous_controlnet is None else self.previous_controlnet.get_control(*arguments)
        window, total = self.__dict__.get("sub_idxs"), self.__dict__.get("full_latent_length", 0)
        own = ControlCall(self.inner, self.spec, self.run, arguments, window or None, total).residuals()
        return added(own, previous)
