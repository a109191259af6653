"""Motion module and MotionLoRA files at toy size, in the published key layout (pure torch, seeded)."""

import math

import torch

DOWN = [(block, module) for block in range(4) for module in range(2)]
UP = [(block, module) for block in range(4) for module in range(3)]


def module_prefixes(mid: bool) -> list[str]:
    """Names of all SD1.5 motion modules: 20, and one more in the middle for v2."""
    names = [f"down_blocks.{b}.motion_modules.{m}" for b, m in DOWN]
    names += ["mid_block.motion_modules.0"] if mid else []
    return names + [f"up_blocks.{b}.motion_modules.{m}" for b, m in UP]


def positions(frames: int, channels: int) -> torch.Tensor:
    """Sinusoidal table (1, frames, channels) of AnimateDiff's PositionalEncoding."""
    place = torch.arange(frames).unsqueeze(1)
    angle = place * torch.exp(torch.arange(0, channels, 2) * (-math.log(10000.0) / channels))
    table = torch.zeros(1, frames, channels)
    table[0, :, 0::2], table[0, :, 1::2] = angle.sin(), angle.cos()
    return table


def motion_state_dict(version: str = "v2", channels: int = 32, seed: int = 11, gain: float = 0.5) -> dict:
    """A motion module file of family v1, v2 or v3.

    Args:
        version: "v1" (24 positions), "v2" (32, with a mid block) or "v3" (32).
        channels: width of every block.
        seed: seed of the weights.
        gain: size of proj_out; 0 gives the untrained module, which changes nothing.
    """
    generator = torch.Generator().manual_seed(seed)
    limit = 24 if version == "v1" else 32

    def matrix(rows: int, columns: int, size: float = 1.0) -> torch.Tensor:
        return torch.randn((rows, columns), generator=generator) * size / columns**0.5

    def vector(length: int, centre: float = 0.0) -> torch.Tensor:
        return centre + 0.1 * torch.randn(length, generator=generator)

    out = {}
    for name in module_prefixes(version == "v2"):
        base = f"{name}.temporal_transformer."
        block = base + "transformer_blocks.0."
        out[base + "norm.weight"], out[base + "norm.bias"] = vector(channels, 1.0), vector(channels)
        out[base + "proj_in.weight"], out[base + "proj_in.bias"] = matrix(channels, channels), vector(channels)
        for index in range(2):
            attention = f"{block}attention_blocks.{index}."
            for part in ("to_q", "to_k", "to_v", "to_out.0"):
                out[f"{attention}{part}.weight"] = matrix(channels, channels, 2.0)
            out[attention + "to_out.0.bias"] = vector(channels)
            out[attention + "pos_encoder.pe"] = positions(limit, channels)
            out[f"{block}norms.{index}.weight"] = vector(channels, 1.0)
            out[f"{block}norms.{index}.bias"] = vector(channels)
        out[block + "ff.net.0.proj.weight"] = matrix(8 * channels, channels)
        out[block + "ff.net.0.proj.bias"] = vector(8 * channels)
        out[block + "ff.net.2.weight"], out[block + "ff.net.2.bias"] = matrix(channels, 4 * channels), vector(channels)
        out[block + "ff_norm.weight"], out[block + "ff_norm.bias"] = vector(channels, 1.0), vector(channels)
        out[base + "proj_out.weight"] = matrix(channels, channels, gain)
        out[base + "proj_out.bias"] = gain * vector(channels)
    return out


def lora_state_dict(mid: bool = True, channels: int = 32, rank: int = 4, seed: int = 12) -> dict:
    """A MotionLoRA file in the original layout: q, k, v and out of both attentions of every module."""
    generator = torch.Generator().manual_seed(seed)
    out = {}
    for name in module_prefixes(mid):
        for index in range(2):
            base = f"{name}.temporal_transformer.transformer_blocks.0.attention_blocks.{index}.processor."
            for part in ("to_q", "to_k", "to_v", "to_out"):
                down = torch.randn((rank, channels), generator=generator) / channels**0.5
                out[f"{base}{part}_lora.down.weight"] = down
                out[f"{base}{part}_lora.up.weight"] = torch.randn((channels, rank), generator=generator) / rank**0.5
    return out
