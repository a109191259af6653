"""UNets whose ResBlock and output norms see the 5-D tensor, restated.

Reference: guoyww/AnimateDiff ``animatediff/models/resnet.py`` (ResnetBlock3D with plain nn.GroupNorm, as the v1 configs
have it), ``unet.py`` (conv_norm_out) and ``motion_module.py``; hotshotco/Hotshot-XL ``hotshot_xl/models/resnet.py``,
``unet.py`` and ``transformer_temporal.py``; open-mmlab/PIA ``animatediff/models/resnet.py``: restated here on tensors of
shape (B, C, F, H, W). ResBlock and output norms see the 5-D tensor, everything else one frame at a time.
"""

import torch
from comfy.ldm.modules.attention import SpatialTransformer
from comfy.ldm.modules.diffusionmodules.openaimodel import ResBlock
from comfy.ldm.modules.diffusionmodules.util import timestep_embedding
from einops import rearrange


def per_frame(function, x_BCFHW, *args):
    """A function of (B * F, C, H, W) on a 5-D tensor."""
    out = function(rearrange(x_BCFHW, "b c f h w -> (b f) c h w"), *args)
    return rearrange(out, "(b f) c h w -> b c f h w", f=x_BCFHW.shape[2])


def norm_5d(norm, x_BCFHW):
    return torch.nn.functional.group_norm(x_BCFHW, norm.num_groups, norm.weight, norm.bias, norm.eps)


def resnet_5d(block: ResBlock, x, emb):
    h = per_frame(block.in_layers[2], block.in_layers[1](norm_5d(block.in_layers[0], x)))
    shift = rearrange(block.emb_layers(emb), "(b f) c -> b c f 1 1", f=x.shape[2])
    h = per_frame(block.out_layers[3], block.out_layers[1](norm_5d(block.out_layers[0], h + shift)))
    return per_frame(block.skip_connection, x) + h


def block_5d(layers, x, emb, context, module):
    """One block: resnet, attention, then motion, then resampling or the middle block's second resnet."""
    moved = module is None
    attends = any(isinstance(layer, SpatialTransformer) for layer in layers)
    for layer in layers:
        if isinstance(layer, ResBlock):
            x = resnet_5d(layer, x, emb)
        elif isinstance(layer, SpatialTransformer):
            x = per_frame(layer, x, context, {})
        else:
            x = per_frame(layer, x)
        if not moved and isinstance(layer, SpatialTransformer if attends else ResBlock):
            x, moved = per_frame(module, x, x.shape[2]), True
    return x


def unet_5d(unet, network, x_BCFHW, timesteps, context, y=None, image_input=None):
    """Noise prediction of a UNet with motion modules.

    Args:
        unet: ComfyUI's UNet, for its layers.
        network: motion network.
        x_BCFHW: noisy latents.
        timesteps: (B * F,).
        context: (B * F, T, D) prompt tokens.
        y: (B * F, ...) pooled conditioning of SDXL.
        image_input: (B, 5, F, H, W) mask and condition latent of PIA, whose first convolution has nine inputs.
    """
    emb = unet.time_embed(timestep_embedding(timesteps, unet.model_channels))
    emb = emb if y is None else emb + unet.label_emb(y)
    skips, h = [], x_BCFHW
    for index, layers in enumerate(unet.input_blocks):
        h = block_5d(layers, h, emb, context, network.module_at("input", index))
        if index == 0 and image_input is not None:
            h = h + per_frame(network.image_input, image_input)
        skips.append(h)
    h = block_5d(unet.middle_block, h, emb, context, network.module_at("middle", 0))
    for index, layers in enumerate(unet.output_blocks):
        h = torch.cat([h, skips.pop()], dim=1)
        h = block_5d(layers, h, emb, context, network.module_at("output", index))
    return per_frame(unet.out[2], unet.out[1](norm_5d(unet.out[0], h)))
