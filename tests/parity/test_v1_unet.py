"""The v1 family's UNet against a 5-D restatement.

Reference: guoyww/AnimateDiff ``animatediff/models/resnet.py`` (ResnetBlock3D with plain nn.GroupNorm, as
the v1 configs have it), ``unet.py`` (conv_norm_out) and ``motion_module.py``, restated here on tensors of
shape (B, C, F, H, W): ResBlock and output norms see the 5-D tensor, everything else one frame at a time.
"""

import pytest
import torch
from comfy.ldm.modules.attention import SpatialTransformer
from comfy.ldm.modules.diffusionmodules.openaimodel import ResBlock
from comfy.ldm.modules.diffusionmodules.util import timestep_embedding
from einops import rearrange

import toy
from toy_files import animate, motion_model

FRAMES = 4


def per_frame(function, x_BCFHW, *args):
    out = function(rearrange(x_BCFHW, "b c f h w -> (b f) c h w"), *args)
    return rearrange(out, "(b f) c h w -> b c f h w", f=FRAMES)


def norm_5d(norm, x_BCFHW):
    return torch.nn.functional.group_norm(x_BCFHW, norm.num_groups, norm.weight, norm.bias, norm.eps)


def resnet_5d(block: ResBlock, x, emb):
    h = per_frame(block.in_layers[2], block.in_layers[1](norm_5d(block.in_layers[0], x)))
    shift = rearrange(block.emb_layers(emb), "(b f) c -> b c f 1 1", f=FRAMES)
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
            x, moved = per_frame(module, x, FRAMES), True
    return x


def unet_5d(unet, network, x_BCFHW, timesteps, context):
    emb = unet.time_embed(timestep_embedding(timesteps, unet.model_channels))
    skips, h = [], x_BCFHW
    for index, layers in enumerate(unet.input_blocks):
        h = block_5d(layers, h, emb, context, network.module_at("input", index))
        skips.append(h)
    h = block_5d(unet.middle_block, h, emb, context, network.module_at("middle", 0))
    for index, layers in enumerate(unet.output_blocks):
        h = torch.cat([h, skips.pop()], dim=1)
        h = block_5d(layers, h, emb, context, network.module_at("output", index))
    return per_frame(unet.out[2], unet.out[1](norm_5d(unet.out[0], h)))


@pytest.mark.parametrize("chunks", [1, 2])
def test_v1_unet_matches_the_5d_restatement(tmp_path, chunks):
    motion = motion_model(tmp_path, "v1")
    model = animate(toy.toy_model_patcher(), motion, schedule="use_existing")
    captured = []

    def capture(executor, x, timesteps, context, *args, **kwargs):
        out = executor(x, timesteps, context, *args, **kwargs)
        captured.append((x, timesteps, context, out))
        return out

    model.add_wrapper_with_key("diffusion_model", "capture", capture)
    if chunks == 1:
        toy.sample(model, frames=FRAMES, steps=1, cfg=1.0)
    else:
        toy.sample(model, frames=FRAMES, steps=1)
    x, t, context, ours = captured[0]
    assert x.shape[0] == FRAMES * chunks
    network = model.get_additional_models()[0].model
    reference = unet_5d(
        model.model.diffusion_model, network, rearrange(x, "(b f) c h w -> b c f h w", f=FRAMES), t, context
    )
    reference = rearrange(reference, "b c f h w -> (b f) c h w")
    error = ((ours - reference).norm() / reference.norm()).item()
    print(f"\nv1 UNet x 5-D restatement, {chunks} chunk(s): relative error {error:.1e}")
    assert error < 2e-5


def test_per_frame_norms_would_differ(tmp_path):
    """The same weights with v3's per-frame statistics are far away, so the test above can fail."""
    noise = toy.noise_for(FRAMES)
    model = toy.toy_model_patcher()
    v1 = motion_model(tmp_path, "v1")
    state = {key: value for key, value in v1.patcher.model.state_dict().items()}
    v3 = motion_model(tmp_path, "v3")
    matching = {key: value for key, value in state.items() if value.shape == v3.patcher.model.state_dict()[key].shape}
    v3.patcher.model.load_state_dict(matching, strict=False)
    across = toy.sample(animate(model, v1), noise=noise, steps=1)
    alone = toy.sample(animate(model, v3), noise=noise, steps=1)
    assert ((across - alone).norm() / across.norm()) > 1e-2
