"""diffusers' UNetMotionModel with the weights of a toy MODEL and a toy motion module file.

Source of the key map: ComfyUI ``comfy.utils.unet_to_diffusers``; diffusers
``scripts/convert_animatediff_motion_module_to_diffusers.py``.
"""

import comfy.utils
import torch
from comfy.ldm.modules.attention import CrossAttention
from diffusers import MotionAdapter, UNet2DConditionModel, UNetMotionModel
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from einops import rearrange

from support.toy_models import sdxl as toy_sdxl
from support.toy_models import unet as toy
from support.toy_models.motion import diffusers_layout


class PerFrameNorm(torch.nn.Module):
    """The norm of the published v2 and v3 code: each frame alone, where diffusers takes all frames of a clip."""

    def __init__(self, norm):
        super().__init__()
        self.norm = norm

    def forward(self, x_BCFHW):
        out = self.norm(rearrange(x_BCFHW, "b c f h w -> (b f) c h w"))
        return rearrange(out, "(b f) c h w -> b c f h w", f=x_BCFHW.shape[2])


def _heads(patcher) -> int:
    """Attention heads that ComfyUI gave the UNet; its model classes overrule the configuration."""
    return next(m.heads for m in patcher.model.diffusion_model.modules() if isinstance(m, CrossAttention))


def image_unet(patcher, sdxl: bool) -> UNet2DConditionModel:
    """diffusers' image UNet with the weights of a toy MODEL."""
    levels = 3 if sdxl else 4
    attending = [False, True, True] if sdxl else [True, True, True, False]
    options = {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": toy_sdxl.POOLED + toy_sdxl.SIZES,
        "use_linear_projection": True,
    }
    unet = UNet2DConditionModel(
        sample_size=toy.SIZE,
        block_out_channels=(toy.WIDTH,) * levels,
        down_block_types=tuple("CrossAttnDownBlock2D" if yes else "DownBlock2D" for yes in attending),
        up_block_types=tuple("CrossAttnUpBlock2D" if yes else "UpBlock2D" for yes in reversed(attending)),
        cross_attention_dim=toy.CONTEXT,
        attention_head_dim=_heads(patcher),  # diffusers' name for the number of heads
        **(options if sdxl else {}),
    )
    ours = patcher.model.diffusion_model.state_dict()
    names = comfy.utils.unet_to_diffusers(patcher.model.model_config.unet_config)
    wanted = unet.state_dict()
    unet.load_state_dict({name: ours[names[name]] for name in wanted}, strict=True)
    return unet


def motion_unet(patcher, motion_file: dict, *, sdxl: bool = False, per_frame: bool = False) -> UNetMotionModel:
    """diffusers' video UNet.

    Args:
        patcher: toy MODEL.
        motion_file: toy motion module file in the original layout, with sinusoidal positions.
        sdxl: the MODEL is SDXL.
        per_frame: norm each frame alone in the motion modules.
    """
    levels = 3 if sdxl else 4
    middle = any(name.startswith("mid_block") for name in motion_file)
    adapter = MotionAdapter(
        block_out_channels=(toy.WIDTH,) * levels,
        motion_num_attention_heads=8,
        motion_max_seq_length=next(w.shape[1] for name, w in motion_file.items() if name.endswith(".pe")),
        use_motion_mid_block=middle,
    )
    adapter.load_state_dict(diffusers_layout(motion_file), strict=True)
    unet = UNetMotionModel.from_unet2d(image_unet(patcher, sdxl), adapter)
    if per_frame:
        for module in unet.modules():
            if isinstance(module, AnimateDiffTransformer3D):
                module.norm = PerFrameNorm(module.norm)
    return unet.eval().requires_grad_(False)
