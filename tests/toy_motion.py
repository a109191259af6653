"""Motion module and MotionLoRA files for the toy UNet, in the published key layout (pure torch, seeded)."""

import torch

from motion_files import module_names, motion_file
from zoetrope.motion_models.positions import sinusoidal_positions


def motion_state_dict(version: str = "v2", channels: int = 32, seed: int = 11, gain: float = 0.5) -> dict:
    """A motion module file of family v1, v2 or v3.

    Args:
        version: "v1" (24 positions), "v2" (32, with a mid block) or "v3" (32).
        channels: width of every block.
        seed: seed of the weights.
        gain: size of proj_out; 0 gives the untrained module, which changes nothing.
    """
    limit = 24 if version == "v1" else 32
    weights = motion_file(widths=(channels,) * 4, middle=version == "v2", positions=limit, seed=seed)
    for key in weights:
        if "proj_out" in key:
            weights[key] *= gain
        elif key.endswith(".pe"):
            weights[key] = sinusoidal_positions(limit, channels)
        elif "to_q" in key or "to_k" in key:
            weights[key] *= 2.0  # frames choose whom they attend to
    return weights


def lora_state_dict(mid: bool = True, channels: int = 32, rank: int = 4, seed: int = 12) -> dict:
    """A MotionLoRA file in the original layout: q, k, v and out of both attentions of every module."""
    generator = torch.Generator().manual_seed(seed)
    out = {}
    for name in module_names(middle=mid):
        for index in range(2):
            base = f"{name}.temporal_transformer.transformer_blocks.0.attention_blocks.{index}.processor."
            for part in ("to_q", "to_k", "to_v", "to_out"):
                down = torch.randn((rank, channels), generator=generator) / channels**0.5
                out[f"{base}{part}_lora.down.weight"] = down
                out[f"{base}{part}_lora.up.weight"] = torch.randn((channels, rank), generator=generator) / rank**0.5
    return out
