"""A ControlNet that follows the frames: any ControlBase, wrapped, not subclassed.

Core hands every window of a clip the first hints of the batch. FrameControl gathers the hints of the frames that
are really in the UNet call and scales what the wrapped control returns, frame by frame.

Shapes: B = images in the UNet call (chunks of F frames, chunk-major), C = channels, h, w = size of a residual.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeAlias

import comfy.controlnet
import comfy.model_management
import torch
from comfy.controlnet import ControlBase
from comfy.model_base import BaseModel
from torch import Tensor

from ...temporal.hint_policies import hint_indexes
from ..call.frames import chunk_frames, total_frames
from .compatibility import check_residuals, check_width
from .hints import Latents, showing
from .masks import FrameMasks
from .residuals import Residuals, added, from_shallow_to_deep, scaled, scattered
from .spec import ControlSpec, RunFacts

log = logging.getLogger("zoetrope")

AnyControl: TypeAlias = Any  # a ControlBase; that class itself declares neither copy() nor get_control()
Call: TypeAlias = tuple[Tensor, Tensor, dict, int, dict]  # arguments of get_control

# Kinds whose networks see each picture by itself; exactly these, since a subclass may do otherwise.
INDEPENDENT = (comfy.controlnet.ControlNet, comfy.controlnet.ControlLora, comfy.controlnet.T2IAdapter)


class FrameControl(ControlBase):
    """Any ControlNet with a hint and a strength per frame.

    Strength, percent range, formats and hints stay in the inner control, which is asked with exactly one window of
    hints; where every factor is 1 the residuals are bit for bit its own.
    """

    def __init__(self, inner: AnyControl, spec: ControlSpec, facts: RunFacts | None = None):
        # ControlBase.__init__ is not called: its fields would hide those of the inner control (see __getattr__).
        self.inner = inner
        self.spec = spec
        self.facts = facts or RunFacts()
        self.previous_controlnet: AnyControl = None
        self.multigpu_clones = {}
        self._base: BaseModel | None = None  # of the run under way
        self._held: tuple | None = None  # which hints the inner control's prepared hint was made of
        self._latents: Latents = {}
        self._told: set[str] = set()
        self._values: dict[Any, list[float]] = {}  # over the frames of the clip, in this run

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
        own = self.facts.elements * comfy.model_management.dtype_size(dtype)
        return super().inference_memory_requirements(dtype) + self.inner.inference_memory_requirements(dtype) + own

    def deepclone_multigpu(self, load_device, autoregister=False) -> "FrameControl":
        clone = FrameControl(self.inner.deepclone_multigpu(load_device), self.spec, self.facts)
        if autoregister:
            self.multigpu_clones[load_device] = clone
        return clone

    def pre_run(self, model: BaseModel, percent_to_timestep_function) -> None:
        """Start afresh: core does not clean up after a run that failed.

        Raises:
            ValueError: the control is made for another kind of checkpoint.
        """
        self._forget()
        self._values.clear()
        self._latents.clear()
        self._told.clear()
        check_width(self.inner, model.diffusion_model)
        # AnimateDiff-Evolved runs only controls with these fields in its windows, and writes the frames into them.
        # They are not there before a run: ComfyUI-Advanced-ControlNet would take this control for one of its own.
        self.sub_idxs, self.full_latent_length, self.context_length = None, 0, 0
        self.inner.pre_run(model, percent_to_timestep_function)
        self._base = model
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
        self._values.clear()
        self._latents.clear()
        for name in ("sub_idxs", "full_latent_length", "context_length"):
            self.__dict__.pop(name, None)
        if self._base is not None:
            self._base = None
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

        Raises:
            ValueError: the residuals do not fit the UNet.
        """
        call = (x_noisy, t, cond, batched_number, transformer_options)
        previous = None if self.previous_controlnet is None else self.previous_controlnet.get_control(*call)
        count = x_noisy.shape[0] // batched_number
        by_level = self._by_level(t.expand(x_noisy.shape[0])[:count].tolist(), transformer_options)
        if not any(by_level):
            return previous
        frames, total = self._frames(count, transformer_options)
        shares = self.spec.at(frames, total, self._hint_count(), self._values)
        by_frame = [share * factor for share, factor in zip(shares, by_level, strict=True)]
        negative = self.facts.is_uncond(batched_number, transformer_options)
        by_chunk = [self.spec.uncond if one else 1.0 for one in negative]
        if not any(by_frame) or not any(by_chunk):
            return previous
        return added(self._own(call, frames, total, by_frame, by_chunk), previous)

    def _own(self, call: Call, frames: tuple[int, ...], total: int, by_frame: list[float], by_chunk: list[float]):
        """Residuals of this control alone, (B, ...), with every factor."""
        count = len(frames)
        pieces = list(self._pieces(by_frame, by_chunk))
        whole: Residuals | None = None
        for chunks, places in pieces:
            some = [frames[place] for place in places]
            is_all = len(places) * len(chunks) == count * len(by_chunk)
            rows = [chunk * count + place for chunk in chunks for place in places]
            part = call if is_all else _rows_of(call, rows, len(chunks))
            with self._hints_of(some, total, part):
                own = self.inner.get_control(*part)
            if self._base is not None:
                check_residuals(own, self._base.diffusion_model, tuple(part[0].shape))
            factors = [by_chunk[chunk] * by_frame[place] for chunk in chunks for place in places]
            own = self._scaled(own, factors, some, len(chunks))
            whole = own if is_all else scattered(whole, own, rows, count * len(by_chunk))
        return whole

    def _pieces(self, by_frame: list[float], by_chunk: list[float]) -> Iterator[tuple[list[int], list[int]]]:
        """(chunks, places of frames) to run the inner control on at once: all, or only those with strength."""
        chunks, places = list(range(len(by_chunk))), list(range(len(by_frame)))
        size = len(places)
        if not getattr(self.inner, "frames_interact", type(self.inner) not in INDEPENDENT):
            chunks = [chunk for chunk in chunks if by_chunk[chunk]]
            places = [place for place in places if by_frame[place]]
            size = self.spec.frames_per_batch or size
        for start in range(0, len(places), size):
            yield chunks, places[start : start + size]

    def _scaled(self, own: Residuals | None, factors: list[float], frames: Sequence[int], chunks: int):
        """Residuals times factors per image, layer weights and masks."""
        if own is None:
            return None
        weights: dict[tuple[str, int], float] = {}
        for layers in self.spec.layers:
            places = from_shallow_to_deep(own)
            parts = [part for part, _ in places]
            for part in layers.unknown(parts):
                known = ", ".join(dict.fromkeys(parts))
                self._tell(f"layer_weights name {part}, but this control has layers only in {known}.")
            for place, weight in zip(places, layers.at(parts), strict=True):
                weights[place] = weights.get(place, 1.0) * weight
        masks = FrameMasks(self.spec.masks, frames, chunks).at if self.spec.masks else None
        return scaled(own, factors, weights, masks)

    def _frames(self, chunk: int, transformer_options: dict) -> tuple[tuple[int, ...], int]:
        """Frame numbers of one chunk and the clip's length."""
        frames, total = chunk_frames(transformer_options), total_frames(transformer_options)
        if frames is None and self.__dict__.get("sub_idxs"):
            frames, total = tuple(self.sub_idxs or ()), self.full_latent_length
        if frames is None:
            return tuple(range(chunk)), chunk
        if len(frames) != chunk:
            self._tell(
                f"ControlNet got {chunk} frames for a window of {len(frames)}; hints are used from the first on."
            )
            return tuple(range(chunk)), chunk
        total = total or max(frames) + 1
        retained = {place % chunk: place % total for place in self.facts.retained}
        return tuple(retained.get(place, frame) for place, frame in enumerate(frames)), total

    def _hints_of(self, frames: Sequence[int], total: int, call: Call) -> AbstractContextManager[None]:
        """Let the inner control see the hints of these frames only.

        It keeps the hint it prepared, so that is made again only when the frames, the size or the number of stacked
        conditionings changes.
        """
        inner, x, count = self.inner, call[0], self._hint_count()
        if count is None:
            return nullcontext()
        self._tell_of_missing(count, total)
        numbers = hint_indexes(self.spec.missing_hints, frames, count, total, self.spec.frame_offset)
        wanted = (tuple(numbers), call[3], x.shape[-2:])
        is_ready = self._held == wanted and _is_prepared(inner, x)
        if not is_ready:
            self._forget()
            self._held = wanted
        return nullcontext() if is_ready else showing(inner, numbers, x.device, self._latents)

    def _hint_count(self) -> int | None:
        """Number of hints, or None for a control that has none or picks them itself."""
        hints = self.inner.cond_hint_original
        return None if hints is None or picks_hints(self.inner) else len(hints)

    def _tell_of_missing(self, count: int, total: int) -> None:
        missing = min(total, total - count + self.spec.frame_offset)
        if count > 1 and missing > 0 and self.spec.missing_hints == "hold":
            self._tell(
                f"ControlNet has {count} hint images for {total} frames: the last image is held for the other "
                f"{missing} frames. Give one image a frame, or a single image for all frames."
            )

    def _by_level(self, levels: Sequence[float], transformer_options: dict) -> list[float]:
        """Factor of each frame at its noise level, which is one for all frames but in the queue of Sample Endless.

        Args:
            levels: F sigmas.
            transformer_options: of the call.
        """
        ends = getattr(self.inner, "timestep_range", None)
        factors = {level: float(ends is None or ends[1] <= level <= ends[0]) for level in set(levels)}
        if self._base is not None and self.spec.ranges:
            for level in factors:
                options = {**transformer_options, "sigmas": torch.tensor([level])}
                factors[level] *= self.spec.at_step(self._base, options)
        return [factors[level] for level in levels]

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


def picks_hints(control: AnyControl) -> bool:
    """Whether a control takes the hints of a window itself, as SparseCtrl and ComfyUI-Advanced-ControlNet's do."""
    return hasattr(control, "sub_idxs") or getattr(control, "frames_interact", False)


def _is_prepared(inner: AnyControl, x: Tensor) -> bool:
    """Whether the inner control will take its prepared hint as it is, by core's own test."""
    hint, ratio = inner.cond_hint, getattr(inner, "compression_ratio", None)
    return hint is not None and ratio is not None and tuple(hint.shape[-2:]) == tuple(n * ratio for n in x.shape[-2:])


def _rows_of(call: Call, rows: list[int], chunks: int) -> Call:
    """A call with some of its images."""
    x, t, cond, _, options = call
    images = x.shape[0]
    cut = {
        key: value[rows] if isinstance(value, Tensor) and value.ndim and value.shape[0] == images else value
        for key, value in cond.items()
    }
    return x[rows], t[rows], cut, chunks, options
