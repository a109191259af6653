"""Motion modules and a MotionLoRA in the published key layouts, 320 channels wide everywhere.

The temporal attention looks at positions only: near frames attend to each other. What it averages replaces a part of
the signal channels, so frames that would be unrelated pictures flow into one another.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .unet import C
from .weights import SIGNAL, Weights, mirror

HEADS = 8
# Channel pairs of the positional encoding that turn once in 11 to 33 frames: smooth, and distinct over a window.
SLOW = 2 * 10, 2 * 10 + C // HEADS
SHARPNESS = 1.3
BLEND = 0.04
SWING = 0.002
STILL_SITE = "up_blocks.3.motion_modules.2"  # the last site sees what the UNet calls noise


def positions(length: int) -> Tensor:
    """Sinusoidal table (1, length, 320).

    Source: AnimateDiff (ICLR 2024), animatediff/models/motion_module.py, PositionalEncoding.
    """
    angle = torch.arange(length)[:, None] * torch.exp(torch.arange(0, C, 2) * (-math.log(10000.0) / C))
    return torch.stack((angle.sin(), angle.cos()), dim=-1).reshape(1, length, C)


def _attention(w: Weights, key: str, length: int, write_to: int) -> None:
    first, last = SLOW
    for name in ("to_q", "to_k"):
        weight = w.linear(f"{key}.{name}", C, C, gain=0.02, bias=False)
        for head in range(HEADS):
            rows = slice(head * C // HEADS, (head + 1) * C // HEADS)
            weight[rows, first:last] = torch.eye(C // HEADS) * SHARPNESS
    value = w.linear(f"{key}.to_v", C, C, gain=0.3, bias=False)
    value[:SIGNAL] = torch.eye(C)[:SIGNAL]
    out = w.linear(f"{key}.to_out.0", C, C, gain=0.1)
    out[: 2 * SIGNAL] = 0
    out[write_to : write_to + SIGNAL] = torch.eye(C)[:SIGNAL]
    w[f"{key}.pos_encoder.pe"] = positions(length)


def _module(w: Weights, key: str, length: int) -> None:
    key = f"{key}.temporal_transformer"
    w.norm(f"{key}.norm", C)
    w.linear(f"{key}.proj_in", C, C, gain=0.1)[: 2 * SIGNAL] = (
        torch.eye(C)[: 2 * SIGNAL] * (torch.arange(2 * SIGNAL) < SIGNAL)[:, None]
    )
    # Constant channels keep the layer norm's spread near one, so that it does not flatten the signal.
    bias = w[f"{key}.proj_in.bias"]
    bias[SLOW[1] :] = torch.where(torch.arange(C - SLOW[1]) % 2 == 0, 1.2, -1.2)
    block = f"{key}.transformer_blocks.0"
    for index in range(2):
        _attention(w, f"{block}.attention_blocks.{index}", length, write_to=SIGNAL if index == 0 else 2 * SIGNAL)
        w.norm(f"{block}.norms.{index}", C)
    w.linear(f"{block}.ff.net.0.proj", 8 * C, C)
    w.linear(f"{block}.ff.net.2", C, 4 * C, gain=0.3)[: 2 * SIGNAL] = 0
    w.norm(f"{block}.ff_norm", C)
    out = w.linear(f"{key}.proj_out", C, C, gain=SWING)
    mirror(out)
    blend = 0.0 if STILL_SITE in key else BLEND
    if blend == 0.0:
        out[:SIGNAL] *= 0.1
    for i in range(SIGNAL):
        out[i, i], out[i, SIGNAL + i] = -blend, blend


def motion_module(length: int = 32, middle: bool = True, positions_in_file: bool = True) -> Weights:
    """A motion module.

    Args:
        length: frames of the positional encoding (24: v1, 32: v2 and v3).
        middle: with the mid block's module (v2).
        positions_in_file: False leaves the tables out, as AnimateLCM's files do.
    """
    w = Weights(seed=1 if length == 24 else 2 if middle else 3)
    for level in range(4):
        for index in range(2):
            _module(w, f"down_blocks.{level}.motion_modules.{index}", length)
        for index in range(3):
            _module(w, f"up_blocks.{level}.motion_modules.{index}", length)
    if middle:
        _module(w, "mid_block.motion_modules.0", length)
    if not positions_in_file:
        for key in [key for key in w if key.endswith("pos_encoder.pe")]:
            del w[key]
    return w


def motion_lora(rank: int = 8, gain: float = 0.5) -> Weights:
    """A MotionLoRA in the official layout for the v2 module (``...processor.to_q_lora.down.weight``)."""
    w = Weights(seed=64)
    places = [f"down_blocks.{level}.motion_modules.{index}" for level in range(4) for index in range(2)]
    places += [f"up_blocks.{level}.motion_modules.{index}" for level in range(4) for index in range(3)]
    for place in [*places, "mid_block.motion_modules.0"]:
        block = f"{place}.temporal_transformer.transformer_blocks.0"
        for index in range(2):
            for name in ("to_q", "to_k", "to_v", "to_out"):
                key = f"{block}.attention_blocks.{index}.processor.{name}_lora"
                w.linear(f"{key}.down", rank, C, gain=1.0, bias=False)
                w.linear(f"{key}.up", C, rank, gain=gain, bias=False)
    return w
