"""A toy SDXL MODEL: real ComfyUI classes, blocks and attention places of SDXL, 32 channels on all three levels.

Shapes: F = frames (batch axis), T = prompt tokens, D = context width.
"""

from typing import ClassVar

import comfy.model_base
import comfy.model_patcher
import comfy.supported_models
import torch

from support.toy_models import unet as toy

POOLED = 16
SIZES = 6 * 256  # width of SDXL's six embedded numbers: size, crop and target size


class ToySDXL(comfy.supported_models.SDXL):
    """SDXL with heads that fit 32 channels; the published ones are 64 wide."""

    unet_extra_config: ClassVar[dict] = {"num_heads": 2, "num_head_channels": -1, "attn_precision": None}


def toy_sdxl_unet_config() -> dict:
    """UNet configuration with every site of SDXL; the transformers have depth 1 instead of 2 and 10."""
    return {
        **toy.toy_sd15_unet_config(),
        "channel_mult": [1, 1, 1],
        "num_res_blocks": [2, 2, 2],
        "transformer_depth": [0, 0, 1, 1, 1, 1],
        "transformer_depth_output": [0, 0, 0, 1, 1, 1, 1, 1, 1],
        "use_linear_in_transformer": True,
        "num_classes": "sequential",
        "adm_in_channels": POOLED + SIZES,
    }


def toy_sdxl_patcher(seed: int = 0) -> comfy.model_patcher.ModelPatcher:
    """A MODEL on the CPU."""
    model = comfy.model_base.SDXL(ToySDXL(toy_sdxl_unet_config()), device=toy.CPU)
    return comfy.model_patcher.CoreModelPatcher(toy.fill(model, seed), load_device=toy.CPU, offload_device=toy.CPU)


def conditioning(seed: int = 3) -> list:
    """CONDITIONING of one entry with the pooled prompt that SDXL needs."""
    generator = torch.Generator().manual_seed(seed + 100)
    return toy.conditioning(seed, pooled_output=torch.randn((1, POOLED), generator=generator))


def sample(model, **options) -> torch.Tensor:
    """`toy.sample` with prompts for SDXL."""
    return toy.sample(model, conditioning(), conditioning(seed=6), **options)
