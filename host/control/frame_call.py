"""One UNet call of a control that follows the frames: its frames, their hints and factors, and the residuals.

Shapes: R = rows of the UNet call (chunks of F frames, chunk-major).
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import comfy.controlnet
import torch
from comfy.model_base import BaseModel
from torch import Tensor

from ...inputs.quoting import quoted, quoted_names
from ...temporal.hint_policies import hint_indexes
from ..call.frames import CallFrames, call_frames
from .compatibility import check_residuals
from .hints import EncodedHints, drop_prepared, is_prepared, only_hints, picks_hints
from .masks import FrameMasks
from .residuals import Residuals, from_shallow_to_deep, scaled_residuals, scattered
from .spec import ControlSpec, RunFacts, is_within

log = logging.getLogger("zoetrope")

Arguments: TypeAlias = tuple[Tensor, Tensor, dict[str, Any], int, dict[str, Any]]  # of get_control

# Kinds whose networks see each picture by itself; exactly these, since a subclass may do otherwise.
INDEPENDENT = (comfy.controlnet.ControlNet, comfy.controlnet.ControlLora, comfy.controlnet.T2IAdapter)


@dataclass(eq=False)
class ControlRun:
    """What a control keeps while a run lasts.

    Attributes:
        facts: about the run.
        base: the model of the run; None outside of runs.
        prepared_for: what the inner control's prepared hint was made for.
        encoded: hints that a VAE has encoded.
        values: over the frames of the clip.
        warned: what was said already.
    """

    facts: RunFacts
    base: BaseModel | None = None
    prepared_for: tuple[Any, ...] | None = None
    encoded: EncodedHints = field(default_factory=dict)
    values: dict[Any, list[float]] = field(default_factory=dict)
    warned: set[str] = field(default_factory=set)

    def warn_once(self, message: str) -> None:
        """A line in the log, once a run."""
        if message not in self.warned:
            self.warned.add(message)
            log.warning(message)


class ControlCall:
    """A control in one UNet call.

    Args:
        inner: the control that computes.
        spec: what it does frame by frame.
        run: the run under way.
        arguments: of ``get_control``.
        window: frame numbers that AnimateDiff-Evolved wrote into the control, for options that say nothing.
        total: the clip's length that it wrote with them.
    """

    def __init__(
        self,
        inner: Any,
        spec: ControlSpec,
        run: ControlRun,
        arguments: Arguments,
        window: Sequence[int] | None = None,
        total: int = 0,
    ):
        self.inner, self.spec, self.run, self.arguments = inner, spec, run, arguments
        x, _, _, self.conditionings, self.options = arguments
        self.frames = _retained(
            call_frames(self.options, x.shape[0], self.conditionings, window, total), run.facts.retained
        )
        if self.frames.misfit:
            run.warn_once(
                f"ControlNet got {len(self.frames.numbers)} frames for a window of {self.frames.misfit:d}; hints are used "
                "from the first on."
            )

    def residuals(self) -> Residuals | None:
        """Residuals of this control alone, (R, ...), with every factor; None where nothing acts.

        Raises:
            ValueError: the residuals do not fit the UNet.
        """
        by_frame, by_chunk = self._frame_factors(), self._chunk_factors()
        if not any(by_frame) or not any(by_chunk):
            return None
        count, images = len(by_frame), len(by_frame) * len(by_chunk)
        whole: Residuals | None = None
        for chunks, frames in self._pieces(by_frame, by_chunk):
            numbers = [self.frames.numbers[frame] for frame in frames]
            is_all = len(frames) * len(chunks) == images
            rows = [chunk * count + frame for chunk in chunks for frame in frames]
            part = self.arguments if is_all else _rows_of(self.arguments, rows, len(chunks))
            with self._hints_of(numbers, part):
                own = self.inner.get_control(*part)
            if self.run.base is not None:
                check_residuals(own, self.run.base.diffusion_model, tuple(part[0].shape))
            factors = [by_chunk[chunk] * by_frame[frame] for chunk in chunks for frame in frames]
            own = self._scaled(own, factors, numbers, len(chunks))
            whole = own if is_all else scattered(whole, own, rows, images)
        return whole

    def _frame_factors(self) -> list[float]:
        """Factor of each frame: at its noise level, over the frames, of its hint."""
        by_level = self._by_level()
        if not any(by_level):
            return by_level
        shares = self.spec.at(self.frames.numbers, self.frames.total, self._hint_count(), self.run.values)
        return [share * factor for share, factor in zip(shares, by_level, strict=True)]

    def _chunk_factors(self) -> list[float]:
        """Factor of each chunk; where there are several a conditioning, packs stack whole batches."""
        negative = self.run.facts.is_uncond(self.conditionings, self.options)
        by_conditioning = [self.spec.uncond if one else 1.0 for one in negative]
        return [by_conditioning[chunk % self.conditionings] for chunk in range(self.frames.chunks)]

    def _by_level(self) -> list[float]:
        """Factor of each frame at its noise level, which is one for all frames but in the queue of Sample Endless."""
        x, t, *_ = self.arguments
        levels = t.expand(x.shape[0])[: len(self.frames.numbers)].tolist()
        ends = getattr(self.inner, "timestep_range", None)
        factors = {level: float(is_within(ends, level)) for level in set(levels)}
        if self.run.base is not None and self.spec.ranges:
            for level in factors:
                options = {**self.options, "sigmas": torch.tensor([level])}
                factors[level] *= self.spec.at_step(self.run.base, options)
        return [factors[level] for level in levels]

    def _pieces(self, by_frame: list[float], by_chunk: list[float]) -> Iterator[tuple[list[int], list[int]]]:
        """(chunks, frames of a chunk) to run the inner control on at once: all, or only those with strength."""
        chunks, frames = list(range(len(by_chunk))), list(range(len(by_frame)))
        size = len(frames)
        if not getattr(self.inner, "frames_interact", type(self.inner) not in INDEPENDENT):
            chunks = [chunk for chunk in chunks if by_chunk[chunk]]
            frames = [frame for frame in frames if by_frame[frame]]
            size = self.spec.frames_per_batch or size
        for start in range(0, len(frames), size):
            yield chunks, frames[start : start + size]

    def _scaled(self, own: Residuals | None, factors: list[float], numbers: Sequence[int], chunks: int):
        """Residuals times factors per image, layer weights and masks."""
        if own is None:
            return None
        weights: dict[tuple[str, int], float] = {}
        for layers in self.spec.layers:
            order = from_shallow_to_deep(own)
            parts = [part for part, _ in order]
            for part in layers.unknown(parts):
                known = quoted_names(dict.fromkeys(parts))
                self.run.warn_once(f"layer_weights name {quoted(part)}, but this control has layers only in {known}.")
            for layer, weight in zip(order, layers.at(parts), strict=True):
                weights[layer] = weights.get(layer, 1.0) * weight
        masks = FrameMasks(self.spec.masks, numbers, chunks).at if self.spec.masks else None
        return scaled_residuals(own, factors, weights, masks)

    def _hints_of(self, numbers: Sequence[int], part: Arguments) -> AbstractContextManager[None]:
        """Let the inner control see the hints of these frames only.

        It keeps the hint it prepared, so that is made again only when the frames, the size or the number of stacked
        conditionings changes.
        """
        x, count = part[0], self._hint_count()
        if count is None:
            return nullcontext()
        self._warn_of_missing(count)
        policy, offset = self.spec.missing_hints, self.spec.frame_offset
        hints = hint_indexes(policy, numbers, count, self.frames.total, offset)
        wanted = (tuple(hints), part[3], x.shape[-2:])
        if self.run.prepared_for == wanted and is_prepared(self.inner, x):
            return nullcontext()
        drop_prepared(self.inner)
        self.run.prepared_for = wanted
        return only_hints(self.inner, hints, x.device, self.run.encoded)

    def _hint_count(self) -> int | None:
        """Number of hints, or None for a control that has none or picks them itself."""
        hints = self.inner.cond_hint_original
        return None if hints is None or picks_hints(self.inner) else len(hints)

    def _warn_of_missing(self, count: int) -> None:
        total = self.frames.total
        missing = min(total, total - count + self.spec.frame_offset)
        if count > 1 and missing > 0 and self.spec.missing_hints == "hold":
            self.run.warn_once(
                f"ControlNet has {count:d} hint images for {total:d} frames: the last image is held for the other "
                f"{missing:d} frames. Give one image a frame, or a single image for all frames."
            )


def _retained(frames: CallFrames, places: Sequence[int]) -> CallFrames:
    """The frames with those in their place whose latents core's Context Windows node takes from frames of that number."""
    if not frames.announced or not places:
        return frames
    count = len(frames.numbers)
    others = {place % count: place % frames.total for place in places}
    return replace(frames, numbers=tuple(others.get(place, frame) for place, frame in enumerate(frames.numbers)))


def _rows_of(arguments: Arguments, rows: list[int], chunks: int) -> Arguments:
    """A call with some of its images."""
    x, t, cond, _, options = arguments
    images = x.shape[0]
    cut = {
        key: value[rows] if isinstance(value, Tensor) and value.ndim and value.shape[0] == images else value
        for key, value in cond.items()
    }
    return x[rows], t[rows], cut, chunks, options
