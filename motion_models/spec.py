"""What a motion model file turned out to hold."""

from dataclasses import dataclass
from typing import Literal

from .families import BASE_TITLES, Family

Place = Literal["input", "middle", "output"]

HEADS = 8  # attention heads of every published motion module; weights do not tell it
GROUPS = 32  # of the GroupNorm of every motion module


def site_key(place: Place, index: int) -> str:
    """Start of a motion module's names in our state dict, such as ``sites.input_1``."""
    return f"sites.{place}_{index}"


@dataclass(frozen=True)
class Site:
    """One motion module and the UNet block it follows.

    Attributes:
        place: part of the UNet.
        index: ComfyUI's block index within the part; the middle block is 0.
        channels: width of the block's output.
    """

    place: Place
    index: int
    channels: int

    @property
    def key(self) -> str:
        """Start of the module's names in our state dict."""
        return site_key(self.place, self.index)


@dataclass(frozen=True)
class MotionSpec:
    """All that is needed to build a `MotionNetwork`.

    Attributes:
        family: kind of motion module.
        sites: the motion modules, in the order a UNet call reaches them.
        max_frames: length of the positional encoding; no window may be longer.
        attentions: temporal self-attentions of each module.
        heads: attention heads of each attention.
    """

    family: Family
    sites: tuple[Site, ...]
    max_frames: int
    attentions: int = 2
    heads: int = HEADS

    @property
    def parameters(self) -> int:
        """Number of weights, positional encoding not counted."""
        square, linear = 14 + 4 * self.attentions, 15 + 3 * self.attentions
        return sum(square * site.channels**2 + linear * site.channels for site in self.sites)


def describe(spec: MotionSpec) -> tuple[str, ...]:
    """Lines of text about a motion model, for logs and info panels."""
    family = spec.family
    statistics = "all frames" if family.norms_across_frames else "each frame"
    return (
        f"{family.title} for {BASE_TITLES[family.base]}: {len(spec.sites)} motion modules, {spec.parameters:,} weights",
        f"at most {spec.max_frames} frames at once, {family.advised_frames} advised, "
        f"about {family.advised_size} x {family.advised_size} pixels",
        f"beta schedule {family.beta_schedule}, {family.advised_sampler} + {family.advised_scheduler}, "
        f"{family.advised_steps} steps, cfg {family.advised_cfg:g}",
        f"GroupNorm statistics of the UNet's ResBlocks over {statistics}",
    )
