"""CameraCtrl: an encoder of camera rays, and the layers that bring its features into motion modules.

Shapes: F = frames, C = channels of a level, H and W = height and width of the rendered picture, h and w = of a
level's features, N = h * w pixels as sequences over time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import scaled_dot_product_attention

from ..spec import HEADS, Site, UNetPart
from .feed_forward import FeedForward
from .motion_module import sequences_per_pass
from .positions import require_positions
from .residual_block import ResidualBlock
from .temporal_attention import Attention, TemporalAttention

PATCH = 8  # pixels that one feature of the finest level covers, as one latent does
RAYS = 6  # channels of Pluecker rays
CAMERA_BLOCKS = 2  # of each level

# Frames of one pass through the temporal attention, and the share of each in the blend of all passes.
Span = tuple[Sequence[int], Sequence[float]]


@dataclass(frozen=True)
class CameraSpec:
    """All that is needed to build a `CameraNetwork`.

    Attributes:
        widths: channels of the levels, finest first; those of the UNet.
        sites: motion modules that get the features, with their widths.
        max_frames: length of the positional encoding; longer clips go through it in spans.
        heads: attention heads.
    """

    widths: tuple[int, ...]
    sites: tuple[Site, ...]
    max_frames: int = 16
    heads: int = HEADS

    def level_of(self, part: UNetPart, index: int) -> int:
        """Level whose features a motion module gets: that of its resolution.

        Source:
            hehao13/CameraCtrl ``cameractrl/models/unet.py``, ``UNet3DConditionModelPoseCond.forward``: features in
            order on the way down, reversed on the way up. ComfyUI counts three blocks a level.
        """
        return (index - 1) // 3 if part == "input" else len(self.widths) - 1 - index // 3


class RayAttention(nn.Module):
    """Attention and feed-forward along the frames of each pixel.

    Args:
        channels: C.
        spec: heads and frames.
        operations: namespace with Linear and LayerNorm.
        attention: takes q, k and v of (N, heads, F, C / heads) and returns the same shape.
        device: of the weights.
        dtype: of the weights.

    Source:
        hehao13/CameraCtrl ``cameractrl/models/motion_module.py``, ``TemporalTransformerBlock`` with one attention.
    """

    def __init__(
        self,
        channels: int,
        spec: CameraSpec,
        operations: Any,
        attention: Attention,
        device: torch.device | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        self.heads = spec.heads
        self.attention = TemporalAttention(
            "attention", channels, spec.heads, spec.max_frames, operations, attention, device, dtype
        )
        self.feed_forward = FeedForward(channels, operations, device, dtype)

    def forward(self, x: Tensor, spans: Sequence[Span]) -> Tensor:
        """Let frames see each other.

        Args:
            x: (F, C, h, w).
            spans: passes through the attention; the shares of each frame add up to 1.

        Returns:
            (F, C, h, w).
        """
        frames, channels, *size = x.shape
        sequences = x.flatten(2).permute(2, 0, 1).contiguous()
        limit = sequences_per_pass(frames, channels, self.heads, x.is_cpu)
        passes = math.ceil(sequences.shape[0] / limit)
        # Equal passes, so that no small rest runs on its own.
        done = [self.feed_forward(self._attend(part, spans)) for part in sequences.chunk(passes)]
        return torch.cat(done).permute(1, 2, 0).reshape(frames, channels, *size)

    def _attend(self, x: Tensor, spans: Sequence[Span]) -> Tensor:
        """(N, F, C) through the attention, blended where spans overlap."""
        if len(spans) == 1:
            return self.attention(x)
        blended = torch.zeros_like(x)
        for frames, shares in spans:
            blended[:, frames] += self.attention(x[:, frames]) * x.new_tensor(shares).unsqueeze(-1)
        return blended


class CameraNetwork(nn.Module):
    """One CameraCtrl file; it holds weights and no state of a run.

    Args:
        spec: from `read_camera_checkpoint`.
        operations: namespace with Conv2d, Linear and LayerNorm taking ``device`` and ``dtype``.
        attention: takes q, k and v of (N, heads, F, C / heads) and returns the same shape.
        device: of the weights.
        dtype: of the weights.

    Source:
        He et al. 2024, "CameraCtrl", section 3; hehao13/CameraCtrl ``cameractrl/models/pose_adaptor.py``,
        ``CameraPoseEncoder``, and ``attention_processor.py``, ``PoseAdaptorAttnProcessor``.
    """

    def __init__(
        self,
        spec: CameraSpec,
        operations: Any = nn,
        attention: Attention = scaled_dot_product_attention,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.spec = spec
        placing: dict[str, Any] = {"device": device, "dtype": dtype}
        self.conv_in = operations.Conv2d(RAYS * PATCH**2, spec.widths[0], 3, padding=1, **placing)
        self.convs = nn.ModuleList()
        self.attentions = nn.ModuleList()
        width_in = spec.widths[0]
        for level, width in enumerate(spec.widths):
            for block in range(CAMERA_BLOCKS):
                self.convs.append(ResidualBlock(width_in, width, level > 0 and block == 0, operations, **placing))
                self.attentions.append(RayAttention(width, spec, operations, attention, device, dtype))
                width_in = width
        self.merges = nn.ModuleDict(
            {
                f"{site.part}_{site.index}": operations.Linear(site.channels, site.channels, **placing)
                for site in spec.sites
            }
        )

    def encode(self, rays: Tensor, spans: Sequence[Span] | None = None) -> tuple[Tensor, ...]:
        """Features of a clip's rays.

        Args:
            rays: (F, 6, H, W), H and W multiples of `PATCH`.
            spans: see `RayAttention`; None is one pass over all frames.

        Returns:
            (F, C, h, w) of each level, finest first; h = H / 8 at the first, and half of it, rounded up, at the next.

        Raises:
            ValueError: more frames in one pass than positions.
        """
        spans = spans or (((range(rays.shape[0])), (1.0,) * rays.shape[0]),)
        longest = max(len(frames) for frames, _ in spans)
        limit = self.spec.max_frames
        require_positions("This CameraCtrl file", limit, longest, f"encode them in spans of at most {limit}")
        x = self.conv_in(functional.pixel_unshuffle(rays, PATCH))
        features: list[Tensor] = []
        for number, (conv, attention) in enumerate(zip(self.convs, self.attentions, strict=True), start=1):
            x = attention(conv(x), spans)
            if number % CAMERA_BLOCKS == 0:
                features.append(x)
        return tuple(features)

    def merge_at(self, part: UNetPart, index: int) -> nn.Module | None:
        """Layer from C to C that brings pose features into the motion module of a UNet block; None without one."""
        return getattr(self.merges, f"{part}_{index}", None)
