"""Real ComfyUI text encoders at toy size: core's tokenizers and CLIP models with narrow layers and seeded weights."""

import comfy.sd
import comfy.sd1_clip
import comfy.sdxl_clip
from comfy.supported_models_base import ClipTarget

from support.toy_models import unet as toy

SDXL_CONTEXT = 24  # 8 of CLIP-L and toy_sdxl.POOLED of CLIP-G


def _narrow(width: int) -> dict:
    return {
        "hidden_size": width,
        "projection_dim": width,
        "intermediate_size": 2 * width,
        "num_attention_heads": 2,
        "num_hidden_layers": 3,  # SDXL takes the last but one
    }


def _clip(tokenizer, network, seed: int, **widths: int) -> comfy.sd.CLIP:
    options = {f"{name}_model_config": _narrow(width) for name, width in widths.items()}
    devices = {"load_device": toy.CPU, "offload_device": toy.CPU, "initial_device": toy.CPU}
    clip = comfy.sd.CLIP(ClipTarget(tokenizer, network), model_options={**options, **devices})
    toy.fill(clip.cond_stage_model, seed)
    return clip


def toy_clip(seed: int = 8) -> comfy.sd.CLIP:
    """CLIP of SD1.5 whose vectors are as wide as the toy UNet's context."""
    return _clip(comfy.sd1_clip.SD1Tokenizer, comfy.sd1_clip.SD1ClipModel, seed, clip_l=toy.CONTEXT)


def toy_sdxl_clip(seed: int = 9) -> comfy.sd.CLIP:
    """CLIP of SDXL: SDXL_CONTEXT wide, with a pooled vector of 16."""
    return _clip(comfy.sdxl_clip.SDXLTokenizer, comfy.sdxl_clip.SDXLClipModel, seed, clip_l=8, clip_g=16)
