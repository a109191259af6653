"""Seeded random tensors, and the few wires that make them draw.

A toy network is random but for a *signal path*: channels 0-3 of every feature map carry the four latent channels,
4-7 carry them negated, 8 and 9 stay empty, so that this first GroupNorm group (10 of 320 channels) has mean zero and
the pair silu(v) - silu(-v) = v passes a nonlinearity unharmed.
"""

from __future__ import annotations

import zlib

import torch
from torch import Tensor

LATENTS = 4
SIGNAL = 8
GROUP = 10
_BINOMIAL = torch.tensor([1.0, 2.0, 1.0]) / 4
BLUR = torch.outer(_BINOMIAL, _BINOMIAL)
BOX = torch.tensor([[0.25, 0.25, 0.0], [0.25, 0.25, 0.0], [0.0, 0.0, 0.0]])
POINT = torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])


class Weights(dict[str, Tensor]):
    """A state dict under construction; each tensor is seeded by its key, so the order does not matter."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed

    def random(self, key: str, *shape: int, std: float) -> Tensor:
        generator = torch.Generator().manual_seed(zlib.crc32(f"{self.seed}:{key}".encode()))
        self[key] = torch.randn(shape, generator=generator).mul_(std)
        return self[key]

    def conv(self, key: str, out: int, inp: int, size: int, gain: float = 1.0) -> Tensor:
        """A convolution with a zero bias; its output has ``gain`` times the input's spread."""
        self[f"{key}.bias"] = torch.zeros(out)
        return self.random(f"{key}.weight", out, inp, size, size, std=gain / (inp * size * size) ** 0.5)

    def linear(self, key: str, out: int, inp: int, gain: float = 1.0, bias: bool = True) -> Tensor:
        if bias:
            self[f"{key}.bias"] = torch.zeros(out)
        return self.random(f"{key}.weight", out, inp, std=gain / inp**0.5)

    def norm(self, key: str, channels: int) -> None:
        self[f"{key}.weight"] = torch.ones(channels)
        self[f"{key}.bias"] = torch.zeros(channels)


def mirror(weight: Tensor) -> Tensor:
    """Make the rows that write to the signal channels antisymmetric, in place: the group keeps mean zero."""
    weight[LATENTS:SIGNAL] = -weight[:LATENTS]
    weight[SIGNAL:GROUP] = 0
    return weight


def carry(weight: Tensor, kernel: Tensor, source: int = 0, amount: float = 1.0, clear: bool = True) -> Tensor:
    """Pass the signal channels straight through a convolution, in place.

    Args:
        weight: (out, in, k, k).
        kernel: (k, k) that each signal channel is filtered with.
        source: first signal channel of the input (320 for the second half of a concatenation).
        amount: factor.
        clear: drop the random weights of these rows first.
    """
    if clear:
        weight[:GROUP] = 0
    for i in range(SIGNAL):
        weight[i, source + i] = kernel * amount
    return weight
