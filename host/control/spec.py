"""What a control does frame by frame and step by step, as its nodes set it, and what the run adds to it.

Shapes: F = frames of a chunk.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from comfy.model_base import BaseModel

from ...temporal.hint_policies import hint_shares
from ...temporal.values.frame_values import FrameValues
from ..call.sampling_range import SamplingRange
from .layer_weights import LayerWeights
from .masks import EffectMask


@dataclass(frozen=True, eq=False, kw_only=True)
class ControlSpec:
    """Factors of a control's strength, and which hint belongs to which frame.

    Attributes:
        values: factors over the frames.
        ranges: factors over the sampling steps.
        masks: factors over the picture.
        layers: factors by layer.
        uncond: factor for negative prompts.
        missing_hints: one of temporal.hint_policies.HINT_POLICIES, for clips longer than the hints.
        frame_offset: hint of frame 0.
        frames_per_batch: the most frames of a conditioning that the control runs on at once; 0 for no limit.
    """

    values: tuple[FrameValues, ...] = ()
    ranges: tuple[SamplingRange, ...] = ()
    masks: tuple[EffectMask, ...] = ()
    layers: tuple[LayerWeights, ...] = ()
    uncond: float = 1.0
    missing_hints: str = "hold"
    frame_offset: int = 0
    frames_per_batch: int = 0

    def times(self, other: "ControlSpec") -> "ControlSpec":
        """Both together: factors multiply, offsets add up, and of two other settings ``other``'s wins if it is set."""
        return ControlSpec(
            values=self.values + other.values,
            ranges=self.ranges + other.ranges,
            masks=self.masks + other.masks,
            layers=self.layers + other.layers,
            uncond=self.uncond * other.uncond,
            missing_hints=self.missing_hints if other.missing_hints == "hold" else other.missing_hints,
            frame_offset=self.frame_offset + other.frame_offset,
            frames_per_batch=other.frames_per_batch or self.frames_per_batch,
        )

    def at(
        self, frames: Sequence[int], total: int, hints: int | None, memo: dict[Any, list[float]] | None = None
    ) -> list[float]:
        """Factor of each frame, masks not counted unless they are black.

        Args:
            frames: F frame numbers.
            total: frames of the clip.
            hints: number of hint images, or None for a control that has none or picks them itself.
            memo: of the run, keeps the values of the whole clip, as that of `Strength.at`.
        """
        memo = {} if memo is None else memo
        shares = [1.0] * len(frames)
        if hints is not None:
            shares = hint_shares(self.missing_hints, frames, hints, self.frame_offset)
        for values in self.values:
            key = (id(values), total)
            if key not in memo:
                memo[key] = values.at(total)
            shares = [share * memo[key][frame] for share, frame in zip(shares, frames, strict=True)]
        for mask in self.masks:
            shares = [share * mask.is_lit(frame) for share, frame in zip(shares, frames, strict=True)]
        return shares

    def at_step(self, base: BaseModel, transformer_options: dict) -> float:
        """Factor of the sampling step of a UNet call."""
        factor = 1.0
        for over_steps in self.ranges:
            factor *= over_steps.at(base, transformer_options)
        return factor


def is_within(timestep_range: tuple[float, float] | None, level: float) -> bool:
    """Whether a control acts at a noise level.

    Args:
        timestep_range: sigmas at the start and the end of its percent range; None for all of them.
        level: sigma.
    """
    return timestep_range is None or timestep_range[1] <= level <= timestep_range[0]


@dataclass(frozen=True, eq=False)
class RunFacts:
    """What a control cannot see by itself, told by our wrapper of the run.

    Attributes:
        uncond: ids of the negative conditionings; None if nobody told.
        retained: places in a window whose latents core's Context Windows node takes from the frames of that number.
        elements: numbers that residuals and hints of the largest UNet call consist of.
    """

    uncond: frozenset[Hashable] | None = None
    retained: tuple[int, ...] = ()
    elements: int = 0

    def is_uncond(self, chunks: int, transformer_options: dict) -> list[bool]:
        """For each conditioning of a call whether it is negative; without our wrapper the second is."""
        ids = transformer_options.get("uuids", ())
        if self.uncond is not None and len(ids) == chunks:
            return [one in self.uncond for one in ids]
        places = transformer_options.get("cond_or_uncond", ())
        return [place == 1 for place in places] if len(places) == chunks else [False] * chunks
