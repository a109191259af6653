"""The feed-forward of a motion module.

Shapes: N = sequences, F = frames, C = channels.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .module_call import AS_TRAINED, ModuleCall

EXPANSION = 8  # widths of the largest intermediate: 4C of values and 4C of gates


class FeedForward(nn.Module):
    """x + contract(value * gelu(gate)), value and gate from expand(norm(x)).

    Args:
        channels: C.
        operations: namespace with Linear and LayerNorm.
        device: of the weights.
        dtype: of the weights.

    Source:
        Shazeer 2020, "GLU Variants Improve Transformer"; guoyww/AnimateDiff takes diffusers' ``GEGLU``, whose GELU is
        the exact one.
    """

    def __init__(self, channels: int, operations: Any, device: torch.device | None, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.norm = operations.LayerNorm(channels, device=device, dtype=dtype)
        self.expand = operations.Linear(channels, EXPANSION * channels, device=device, dtype=dtype)
        self.contract = operations.Linear(EXPANSION // 2 * channels, channels, device=device, dtype=dtype)

    def forward(self, x: Tensor, call: ModuleCall = AS_TRAINED) -> Tensor:
        """Transform each frame of each pixel.

        Args:
            x: (N, F, C).
            call: from `ModuleCall.for_sequences`.

        Returns:
            (N, F, C).
        """
        value, gate = call.run("feed_forward.expand", self.expand, self.norm(x)).chunk(2, dim=-1)
        return call.run("feed_forward.contract", self.contract, value * functional.gelu(gate)) + x
