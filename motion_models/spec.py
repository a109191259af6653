"""What a motion model file turned out to hold."""

from dataclasses import dataclass
from typing import Literal

from ..inputs.quoting import plain, quoted
from .errors import MotionFileError
from .families import BASE_TITLES, Family

UNetPart = Literal["input", "middle", "output"]
BlockIndex = tuple[UNetPart, int]  # a block of ComfyUI's UNet: its part and its number within the part

HEADS = 8  # attention heads of every published motion module; weights do not tell it
GROUPS = 32  # of the GroupNorm of every motion module
LATENT_CHANNELS = 4  # of an image latent of SD1.5, SD2 and SDXL


def site_key(part: UNetPart, index: int) -> str:
    """Start of a motion module's names in our state dict, such as ``sites.input_1``."""
    return f"sites.{part}_{index}"


@dataclass(frozen=True)
class Site:
    """One motion module and the UNet block it follows.

    Attributes:
        part: of the UNet.
        index: ComfyUI's block index within the part; the middle block is 0.
        channels: width of the block's output.
    """

    part: UNetPart
    index: int
    channels: int

    @property
    def key(self) -> str:
        """Start of the module's names in our state dict."""
        return site_key(self.part, self.index)


@dataclass(frozen=True)
class MotionSpec:
    """All that is needed to build a `MotionNetwork`.

    Attributes:
        family: kind of motion module.
        sites: the motion modules, in the order a UNet call reaches them.
        max_frames: length of the positional encoding; no window may be longer.
        attentions: temporal self-attentions of each module.
        heads: attention heads of each attention.
        attention_gain: factor of what each temporal attention adds; published modules have 1.
        image_encoder: AnimateLCM-I2V's encoder of a condition image is part of the weights.
        image_input: PIA's convolution of a condition image is part of the weights.
    """

    family: Family
    sites: tuple[Site, ...]
    max_frames: int
    attentions: int = 2
    heads: int = HEADS
    attention_gain: float = 1.0
    image_encoder: bool = False
    image_input: bool = False

    @property
    def node(self) -> str:
        """Display name of the node that applies it."""
        return (
            "Apply PIA" if self.image_input else "Apply AnimateLCM-I2V" if self.image_encoder else "Apply Motion Model"
        )

    def require_no_image(self) -> None:
        """Refuse a motion model that works only with a condition image.

        Raises:
            MotionFileError: it is one; the sentence names the node it belongs to.
        """
        if self.image_input or self.image_encoder:
            raise MotionFileError(
                f"{plain(self.family.title)} animates a condition image; use the node {plain(self.node)} instead."
            )

    @property
    def parameters(self) -> int:
        """Number of weights of the motion modules, positional encoding not counted."""
        square, linear = 14 + 4 * self.attentions, 15 + 3 * self.attentions
        return sum(square * site.channels**2 + linear * site.channels for site in self.sites)


def require_node(spec: MotionSpec, name: str, node: str) -> None:
    """Refuse a motion model that belongs to another node.

    Args:
        spec: of the motion model.
        name: its file name.
        node: display name of the node it is connected to.

    Raises:
        MotionFileError: the sentence names the node it belongs to.
    """
    if spec.node != node:
        raise MotionFileError(
            f"Motion model {quoted(name)} is {plain(spec.family.title)}, which {node} cannot use; use the node {plain(spec.node)} with it."
        )


def describe(spec: MotionSpec) -> tuple[str, ...]:
    """Lines of text about a motion model, for logs and info panels."""
    family = spec.family
    steps = f"{family.advised_steps} step{'s' if family.advised_steps > 1 else ''}"
    lines = [
        f"{family.title} for {BASE_TITLES[family.base]}: {len(spec.sites)} motion modules, {spec.parameters:,} weights",
        f"at most {spec.max_frames} frames at once, {family.advised_frames} advised, "
        f"about {family.advised_size} x {family.advised_size} pixels",
        f"beta schedule {family.beta_schedule}, {family.advised_sampler} + {family.advised_scheduler}, "
        f"{steps}, cfg {family.advised_cfg:g}",
        f"GroupNorm statistics of the UNet's ResBlocks over {_statistics(family.norms_across_frames)}, "
        f"of the motion modules over {_statistics(family.motion_norm_across_frames)}",
    ]
    if family.advised_scale != 1.0:
        lines.append(f"scale {family.advised_scale:g} is recommended")
    if spec.image_input or spec.image_encoder:
        lines.append(f"animates an image: use the node {spec.node}")
    if spec.attention_gain != 1.0:
        lines.append(f"attention gain {spec.attention_gain:g}")
    return tuple(lines)


def _statistics(across: bool) -> str:
    return "all frames" if across else "each frame"
