"""A ControlNet that follows the frames: any ControlBase, wrapped, not subclassed.

Core hands every window of a clip the first hints of the batch. FrameControl gathers the hints of the frames that
are really in the UNet call and scales what the wrapped control returns, frame by frame.

Shapes: B = images in the UNet call (chunks of F frames, chunk-major), C = channels, h, w = size of a residual.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from comfy.controlnet import ControlBase
from torch import Tensor

from ..temporal.hints import hint_indexes
from ..temporal.values import FrameValues
from .frames import chunk_frames, total_frames

log = logging.getLogger("zoetrope")

AnyControl = Any  # a ControlBase; that class itself declares neither copy() nor get_control()
Residuals = dict[str, list[Tensor | None]]  # by UNet part: input, middle, output


@dataclass(frozen=True)
class ControlSpec:
    """What a control does frame by frame.

    Attributes:
        schedule: factor of the control's strength per frame, or None for 1 everywhere.
        missing_hints: one of temporal.hints.HINT_POLICIES, for clips longer than the hints.
    """

    schedule: FrameValues | None = None
    missing_hints: str = "hold"


class FrameControl(ControlBase):
    """Any ControlNet with a hint and a strength per frame.

    Strength, percent range, formats and hints stay in the inner control, which is asked with exactly one window of
    hints; without a schedule and without windows the residuals are bit for bit its own.
    """

    def __init__(self, inner: AnyControl, spec: ControlSpec):
        # ControlBase.__init__ is not called: its fields would hide those of the inner control (see __getattr__).
        self.inner = inner
        self.spec = spec
        self.previous_controlnet: AnyControl = None
        self.multigpu_clones = {}
        self._started = False
        self._held: tuple | None = None  # which window the inner control's prepared hint belongs to
        self._told: set[str] = set()

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
        return super().inference_memory_requirements(dtype) + self.inner.inference_memory_requirements(dtype)

    def deepclone_multigpu(self, load_device, autoregister=False) -> "FrameControl":
        clone = FrameControl(self.inner.deepclone_multigpu(load_device), self.spec)
        if autoregister:
            self.multigpu_clones[load_device] = clone
        return clone

    def pre_run(self, model, percent_to_timestep_function) -> None:
        """Start afresh: core does not clean up after a run that failed."""
        self._forget()
        self._told.clear()
        self._started = True
        self.inner.pre_run(model, percent_to_timestep_function)
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
        self._forget()
        if self._started:
            self._started = False
            self.inner.cleanup()

    def get_control(self, x_noisy: Tensor, t: Tensor, cond: dict, batched_number: int, transformer_options: dict):
        """Residuals of the chain up to this control for one UNet call.

        Args:
            x_noisy: (B, C, H, W) latents.
            t: (B,) sigmas.
            cond: conditioning of the call.
            batched_number: conditionings stacked in B.
            transformer_options: the call's options; they tell which frames the window holds.

        Returns:
            Residual lists by UNet part as core expects them, or None.
        """
        call = (x_noisy, t, cond, batched_number, transformer_options)
        previous = None if self.previous_controlnet is None else self.previous_controlnet.get_control(*call)
        frames, total = self._frames(x_noisy.shape[0] // batched_number, transformer_options)
        factors = self._factors(frames, total)
        if not any(factors):
            return previous
        with self._window_of_hints(frames, total, batched_number):
            own = self.inner.get_control(*call)
        return added(scaled(own, factors * batched_number), previous)

    def _frames(self, chunk: int, transformer_options: dict) -> tuple[tuple[int, ...], int]:
        """Frame numbers of one chunk and the clip's length."""
        frames = chunk_frames(transformer_options)
        if frames is None:
            return tuple(range(chunk)), chunk
        if len(frames) != chunk:
            self._tell(
                f"ControlNet got {chunk} frames for a window of {len(frames)}; hints are used from the first on."
            )
            return tuple(range(chunk)), chunk
        return frames, total_frames(transformer_options) or max(frames) + 1

    def _factors(self, frames: tuple[int, ...], total: int) -> list[float]:
        if self.spec.schedule is None:
            return [1.0] * len(frames)
        values = self.spec.schedule.at(total)
        return [values[frame] for frame in frames]

    @contextmanager
    def _window_of_hints(self, frames: tuple[int, ...], total: int, chunks: int) -> Iterator[None]:
        """Let the inner control see the hints of these frames only; the full batch stays where it is.

        The inner control keeps the hint it prepared, so it is made again only when the window or the number of
        stacked conditionings changes.
        """
        inner = self.inner
        if picks_hints(inner):
            yield
            return
        hints, extras = inner.cond_hint_original, inner.extra_concat_orig
        if 1 < len(hints) < total:
            self._tell(
                f"ControlNet has {len(hints)} hint images for {total} frames: the last image is held for the other "
                f"{total - len(hints)} frames. Give one image a frame, or a single image for all frames."
            )
        if self._held != (frames, chunks):
            self._forget()
        self._held = None
        inner.cond_hint_original = self._of_frames(hints, frames, total)
        inner.extra_concat_orig = [self._of_frames(extra, frames, total) for extra in extras]
        try:
            yield
            self._held = (frames, chunks)
        finally:
            inner.cond_hint_original, inner.extra_concat_orig = hints, extras

    def _of_frames(self, images: Tensor, frames: tuple[int, ...], total: int) -> Tensor:
        """Images of the frames; a single image is for all frames and is not repeated."""
        count = len(images)
        indexes = hint_indexes(self.spec.missing_hints, frames, count, total)
        return images if count == 1 or indexes == list(range(count)) else images[indexes]

    def _forget(self) -> None:
        """Drop the prepared hint, and the residuals that a T2I-Adapter keeps."""
        self._held = None
        self.inner.cond_hint = None
        if hasattr(self.inner, "control_input"):
            self.inner.control_input = None

    def _tell(self, message: str) -> None:
        """Warn once a run."""
        if message not in self._told:
            self._told.add(message)
            log.warning(message)


def picks_hints(control: ControlBase) -> bool:
    """Whether a control takes the hints of a window itself, as those of ComfyUI-Advanced-ControlNet do."""
    return hasattr(control, "sub_idxs")


def scaled(control: Residuals | None, factors: list[float]) -> Residuals | None:
    """Multiply residuals by one factor per image of the call.

    Args:
        control: lists of residuals (B or 1, C, h, w), or (B or 1, tokens, C) for transformer models; changed in place.
        factors: B factors.

    Returns:
        ``control``, whose residuals are new tensors unless every factor is 1: a control may hand out one tensor
        for several blocks or keep it for the next call.
    """
    if control is None or all(factor == 1.0 for factor in factors):
        return control
    for residuals in control.values():
        for place, residual in enumerate(residuals):
            if residual is not None:
                column = torch.tensor(factors, device=residual.device, dtype=residual.dtype)
                residuals[place] = residual * column.view(-1, *[1] * (residual.ndim - 1))
    return control


def added(own: Residuals | None, previous: Residuals | None) -> Residuals | None:
    """Sum of two controls' residuals, in core's order of addition; missing ones count as zero."""
    if own is None or previous is None:
        return previous if own is None else own
    for part, earlier in previous.items():
        residuals = own.setdefault(part, [])
        residuals += [None] * (len(earlier) - len(residuals))
        for place, other in enumerate(earlier):
            mine = residuals[place]
            if other is not None:
                residuals[place] = other if mine is None else other + mine
    return own
