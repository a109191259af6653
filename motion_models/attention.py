"""Self-attention over time.

Shape letters: N = sequences (chunks * pixels), F = frames, C = channels, A = heads, D = C / A.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .positions import sinusoidal_positions

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]


class TemporalAttention(nn.Module):
    """x + attention(norm(x) + positions), each pixel's frames attending to each other.

    Args:
        channels: C.
        heads: A.
        max_frames: length of the positional encoding.
        operations: namespace with Linear and LayerNorm, such as ``torch.nn`` or ``comfy.ops.manual_cast``.
        attention: takes q, k and v of (N, A, F, D) and returns the same shape.
        device: of the weights.
        dtype: of the weights.

    Source:
        guoyww/AnimateDiff ``motion_module.py``, ``VersatileAttention``.
    """

    positions: Tensor

    def __init__(
        self,
        channels: int,
        heads: int,
        max_frames: int,
        operations: Any,
        attention: Attention,
        device: torch.device | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.attention = attention
        self.norm = operations.LayerNorm(channels, device=device, dtype=dtype)
        self.to_qkv = operations.Linear(channels, 3 * channels, bias=False, device=device, dtype=dtype)
        self.to_out = operations.Linear(channels, channels, device=device, dtype=dtype)
        # Always float32: it is tiny, and an fp8 network would round it to a few levels.
        self.register_buffer("positions", sinusoidal_positions(max_frames, channels).to(device))

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        """Attend along F.

        Args:
            x: (N, F, C), F at most ``max_frames``.
            scale: factor of the keys, so of the attention logits.

        Returns:
            (N, F, C).
        """
        sequences, frames, channels = x.shape
        # Hosts move weights but not always buffers to the device, so the table is cast where it is used.
        positions = self.positions[:, :frames].to(x.device, x.dtype)
        qkv = self.to_qkv(self.norm(x) + positions)
        q, k, v = qkv.view(sequences, frames, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if scale != 1.0:
            k = k * scale
        attended = self.attention(q, k, v).transpose(1, 2).reshape(sequences, frames, channels)
        return self.to_out(attended) + x
