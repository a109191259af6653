"""Motion modules: transformers over time that follow blocks of an image UNet.

Shapes: B = clips (windows of all conditionings in one call), F = frames, C = channels, H and W = latent height
and width, P = H * W pixels, N = B * P sequences over time, R = rows of values.
"""

import math
from dataclasses import replace
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from ..spec import GROUPS, MotionSpec, UNetPart
from .feed_forward import EXPANSION, FeedForward
from .image_encoder import ImageEncoder
from .module_call import AS_TRAINED, ModuleCall
from .positions import require_positions
from .temporal_attention import Attention, TemporalAttention
from .views import longest

# CUDA allows 65,535 blocks along y and z of a launch, and attention kernels put batch * heads there:
# more fails with "invalid configuration argument". Clips of 512 x 512 pixels with CFG already reach 65,536.
MAX_BATCH_HEADS = 65_535

# Numbers in the feed-forward's largest intermediate in one pass, so that its memory does not grow with the
# resolution. On a GPU 256 MiB in fp16: each matrix product still fills the device, and weights that are streamed
# in are streamed seldom. On a CPU smaller blocks are no slower (at 320 channels 0.85 of the time) and need less.
MAX_EXPANDED = 2**27
MAX_EXPANDED_CPU = 2**24

IMAGE_CHANNELS = 5  # of PIA's condition: affinity, then the image's latent


def sequences_per_pass(frames: int, channels: int, heads: int, on_cpu: bool = False) -> int:
    """How many sequences go through the transformer at once.

    Args:
        frames: F, or those of all its views.
        channels: C.
        heads: attention heads, times the views that are in the batch at once.
        on_cpu: the tensors are on the CPU.

    Returns:
        N, at least 1, within `MAX_BATCH_HEADS` and `MAX_EXPANDED` or `MAX_EXPANDED_CPU`.
    """
    expanded = MAX_EXPANDED_CPU if on_cpu else MAX_EXPANDED
    return max(1, min(MAX_BATCH_HEADS // heads, expanded // (frames * EXPANSION * channels)))


class MotionModule(nn.Module):
    """x + proj_out(transformer(proj_in(norm(x)))), the transformer working along the frames of each pixel.

    Args:
        channels: C.
        spec: heads, attentions and frames.
        operations: namespace with Linear, LayerNorm and GroupNorm taking ``device`` and ``dtype``.
        attention: takes q, k and v of (N, heads, F, C / heads) and returns the same shape.
        device: of the weights.
        dtype: of the weights.
        max_sequences: bound on N in one pass; None is `sequences_per_pass`. It changes memory, not results.

    Source:
        Guo et al. 2023, "AnimateDiff", section 4.2; guoyww/AnimateDiff ``motion_module.py``,
        ``TemporalTransformer3DModel``.
    """

    def __init__(
        self,
        channels: int,
        spec: MotionSpec,
        operations: Any,
        attention: Attention,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
        max_sequences: int | None = None,
    ) -> None:
        super().__init__()
        self.heads = spec.heads
        self.max_frames = spec.max_frames
        self.max_sequences = max_sequences
        self.norm_across_frames = spec.family.motion_norm_across_frames
        self.norm = operations.GroupNorm(GROUPS, channels, eps=1e-6, device=device, dtype=dtype)
        self.proj_in = operations.Linear(channels, channels, device=device, dtype=dtype)
        self.attentions = nn.ModuleList(
            TemporalAttention(
                f"attentions.{n}",
                channels,
                spec.heads,
                spec.max_frames,
                operations,
                attention,
                device,
                dtype,
                spec.attention_gain,
            )
            for n in range(spec.attentions)
        )
        self.feed_forward = FeedForward(channels, operations, device, dtype)
        self.proj_out = operations.Linear(channels, channels, device=device, dtype=dtype)

    def forward(self, x: Tensor, frames: int, call: ModuleCall = AS_TRAINED) -> Tensor:
        """Let the frames of each clip see each other.

        Args:
            x: (B * F, C, H, W), all frames of one clip, then the next; any memory format, which is kept.
            frames: F, of one clip.
            call: how the module acts; values of (R, P or 1) or numbers, where R rows are those of one clip, or of
                several that are the windows of a chunk. An effect of the number 0 returns ``x`` itself.

        Returns:
            (B * F, C, H, W).

        Raises:
            ValueError: more frames than positions, or a batch that is no multiple of ``frames``.
        """
        if not isinstance(call.effect, Tensor) and call.effect == 0:
            return x
        self._check(x.shape[0], frames, longest(call.views, frames))
        batch, channels, height, width = x.shape
        clips = (batch // frames, frames, channels, height * width)
        pixels, normed = x.reshape(clips), self._normed(x, frames).reshape(clips)  # views, in channels-last too
        rows = max([frames, *(len(group.frames) for group in call.views)])
        heads = self.heads * max([1, *(group.count for group in call.views)])
        limit = self.max_sequences or sequences_per_pass(rows, channels, heads, x.is_cpu)
        passes = math.ceil(clips[-1] / max(1, limit // clips[0]))
        if passes == 1:
            return self._animate(pixels, normed, call).reshape(x.shape)
        animated, step = torch.empty_like(pixels), math.ceil(clips[-1] / passes)
        for start in range(0, clips[-1], step):
            chosen = slice(start, start + step)
            animated[..., chosen] = self._animate(pixels[..., chosen], normed[..., chosen], call.of_pixels(chosen))
        return animated.reshape(x.shape)

    def _normed(self, x: Tensor, frames: int) -> Tensor:
        """GroupNorm over each frame, or over all frames of a clip where the family was trained so."""
        if not self.norm_across_frames:
            return self.norm(x)
        clip = self.norm(rearrange(x, "(b f) c h w -> b c (f h) w", f=frames))
        return rearrange(clip, "b c (f h) w -> (b f) c h w", f=frames)

    def _animate(self, pixels: Tensor, normed: Tensor, call: ModuleCall) -> Tensor:
        """Some pixels of all clips: the layout changes once on the way in, and once in the sum on the way out."""
        clips, frames, _, count = pixels.shape
        inner = call.for_sequences(clips, frames, count)
        # With one clip the rearranged tensor is a view, which a linear layer would multiply pixel by pixel.
        x = inner.run("proj_in", self.proj_in, rearrange(normed, "b f c p -> (b p) f c").contiguous())
        x = self._attend_in_views(x, inner) if inner.views else self._attend(x, inner)
        x = inner.run("proj_out", self.proj_out, self.feed_forward(x, inner))
        x = rearrange(x, "(b p) f c -> b f c p", b=clips)
        if isinstance(call.effect, Tensor):
            effect = call.effect.reshape(-1, frames, 1, call.effect.shape[1])  # (windows of a chunk, F, 1, P or 1)
            return pixels + (x.reshape(-1, len(effect), *x.shape[1:]) * effect).flatten(0, 1)
        return torch.add(pixels, x, alpha=call.effect)

    def _attend(self, x: Tensor, call: ModuleCall) -> Tensor:
        """All attentions, one after the other."""
        for attention in self.attentions:
            x = attention(x, call)
            if call.pose is not None:
                call = replace(call, pose=None)  # only the first attention was trained with poses
        return x

    def _attend_in_views(self, x: Tensor, call: ModuleCall) -> Tensor:
        """All attentions on each view, then the blend of the views."""
        blended = None
        for group in call.views:
            parts = self._attend(group.cut(x), call.in_views(group, x.shape[0]))
            blended = group.blend(parts, blended)
        return x if blended is None else blended

    def _check(self, batch: int, frames: int, together: int) -> None:
        cure = f"add Context Windows with a context_length of at most {self.max_frames}"
        require_positions("This motion module", self.max_frames, together, cure)
        if batch % frames:
            raise ValueError(
                f"A batch of {batch} latents is no whole number of clips of {frames} frames; "
                "remove the node that splits the batch, or let it split into whole clips."
            )


class MotionNetwork(nn.Module):
    """All motion modules of one file; it holds weights and no state of a run.

    Args:
        spec: from `read_motion_checkpoint`.
        operations: namespace with Linear, LayerNorm and GroupNorm taking ``device`` and ``dtype``, and Conv2d where
            the file handles a condition image.
        attention: takes q, k and v of (N, heads, F, C / heads) and returns the same shape.
        device: of the weights.
        dtype: of the weights; positional encodings are float32 until a state dict is assigned.
        max_sequences: see `MotionModule`.
    """

    def __init__(
        self,
        spec: MotionSpec,
        operations: Any = nn,
        attention: Attention = scaled_dot_product_attention,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
        max_sequences: int | None = None,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.sites = nn.ModuleDict(
            {
                f"{site.part}_{site.index}": MotionModule(
                    site.channels, spec, operations, attention, device, dtype, max_sequences
                )
                for site in spec.sites
            }
        )
        widths = tuple(site.channels for site in spec.sites if (site.part, site.index % 3) == ("input", 2))
        self.image_encoder = ImageEncoder(widths, operations, device, dtype) if spec.image_encoder else None
        self.image_input = (
            operations.Conv2d(IMAGE_CHANNELS, widths[0], 3, padding=1, bias=False, device=device, dtype=dtype)
            if spec.image_input
            else None
        )

    def module_at(self, part: UNetPart, index: int) -> MotionModule | None:
        """The motion module that follows a UNet block, or None where there is none."""
        return getattr(self.sites, f"{part}_{index}", None)
