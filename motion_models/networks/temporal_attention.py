"""Self-attention over time.

Shapes: N = sequences (chunks * pixels), F = frames, C = channels, A = heads, D = C / A.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .module_call import AS_TRAINED, ModuleCall
from .positions import sinusoidal_positions

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]


class TemporalAttention(nn.Module):
    """x + gain * attention(norm(x) + positions), each pixel's frames attending to each other.

    Args:
        name: of the attention within its motion module, as in its weights' names.
        channels: C.
        heads: A.
        max_frames: length of the positional encoding.
        operations: namespace with Linear and LayerNorm, such as ``torch.nn`` or ``comfy.ops.manual_cast``.
        attention: takes q, k and v of (N, A, F, D) and returns the same shape.
        device: of the weights.
        dtype: of the weights.
        gain: factor of what the attention adds; published modules have 1.

    Source:
        guoyww/AnimateDiff ``motion_module.py``, ``VersatileAttention``.
    """

    positions: Tensor

    def __init__(
        self,
        name: str,
        channels: int,
        heads: int,
        max_frames: int,
        operations: Any,
        attention: Attention,
        device: torch.device | None,
        dtype: torch.dtype | None,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.name = name
        self.gain = gain
        self.heads = heads
        self.attention = attention
        self.norm = operations.LayerNorm(channels, device=device, dtype=dtype)
        self.to_qkv = operations.Linear(channels, 3 * channels, bias=False, device=device, dtype=dtype)
        self.to_out = operations.Linear(channels, channels, device=device, dtype=dtype)
        # Always float32: it is tiny, and an fp8 network would round it to a few levels.
        self.register_buffer("positions", sinusoidal_positions(max_frames, channels).to(device))

    def forward(self, x: Tensor, call: ModuleCall = AS_TRAINED) -> Tensor:
        """Attend along F.

        Args:
            x: (N, F, C), F at most ``max_frames``.
            call: from `ModuleCall.for_sequences`.

        Returns:
            (N, F, C).
        """
        sequences, frames, channels = x.shape
        # Hosts move weights but not always buffers to the device, so the table is cast where it is used.
        h = self.norm(x) + self.positions[:, :frames].to(x.device, x.dtype)
        if call.pose is not None:
            h = call.pose.merged(h)
        qkv = call.run(f"{self.name}.to_qkv", self.to_qkv, h)
        q, k, v = qkv.view(sequences, frames, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        k = self._scaled(k, call)
        attended = self.attention(q, k, v).transpose(1, 2).reshape(sequences, frames, channels)
        out = call.run(f"{self.name}.to_out", self.to_out, attended)
        return torch.add(x, out, alpha=self.gain)

    @staticmethod
    def _scaled(k: Tensor, call: ModuleCall) -> Tensor:
        """Keys (N, A, F, D) times the scale of their frame and pixel."""
        if isinstance(call.scale, Tensor):
            return k * call.scale.unsqueeze(1)
        return k if call.scale == 1.0 else k * call.scale
