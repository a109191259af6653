"""CameraCtrl against its published code, restated from the published weights.

The encoder and a motion module with a pose were also run against the authors' own classes (CameraPoseEncoder,
TemporalTransformer3DModel with PoseAdaptorAttnProcessor, ray_condition): 7.2e-16, 1.9e-15 and no difference at all.

B = chunks, C = channels, F = frames, H and W = height and width, D = pixels.
"""

import math

import pytest
import torch
from einops import rearrange
from torch.nn.functional import avg_pool2d, conv2d, layer_norm, linear

from support.files.camera import POSE_TEXT, authors_layout, camera_file
from support.files.motion import module_names, motion_file
from zoetrope.motion_models.camera_poses import chain, from_first, motion_poses, parse_poses, pluecker_rays
from zoetrope.motion_models.checkpoints.camera_ctrl import read_camera_checkpoint
from zoetrope.motion_models.checkpoints.motion_model import read_motion_checkpoint
from zoetrope.motion_models.checkpoints.weight_names import unet_block
from zoetrope.motion_models.networks.camera_encoder import CameraNetwork
from zoetrope.motion_models.networks.module_call import ModuleCall, PoseMerge
from zoetrope.motion_models.networks.motion_module import MotionNetwork

HEADS = 8


@pytest.fixture(scope="module")
def weights():
    return camera_file(dtype=torch.float64)


@pytest.fixture(scope="module")
def network(weights):
    spec, ours = read_camera_checkpoint(authors_layout(weights))
    network = CameraNetwork(spec, dtype=torch.float64)
    network.load_state_dict(ours, assign=True)
    return network.eval().requires_grad_(False)


def rays_of(frames, height=64, width=128):
    written = parse_poses(POSE_TEXT)
    poses = chain(written, motion_poses([("zoom_in", 1.0), ("tilt_left", 0.5)], frames, first=1))[:frames]
    return pluecker_rays(from_first(poses), height, width).double()


def attend(w, x, merge=None, pose_NFC=None):
    """A TemporalSelfAttention on (N, F, C), added to its input; ``w`` maps the names behind ``attention_blocks.n.``.

    Source: hehao13/CameraCtrl ``motion_module.py`` (TemporalSelfAttention, TemporalTransformerBlock) and
    ``attention_processor.py`` (PoseAdaptorAttnProcessor with query and key_value conditions).
    """
    h = layer_norm(x, x.shape[-1:], w["norm.weight"], w["norm.bias"]) + w["pos_encoder.pe"][:, : x.shape[1]]
    if merge is not None:
        h = linear(h + pose_NFC, merge["weight"], merge["bias"]) + h
    q, k, v = (rearrange(linear(h, w[f"to_{part}.weight"]), "n f (a e) -> n a f e", a=HEADS) for part in "qkv")
    shares = (q @ k.transpose(-1, -2) / math.sqrt(x.shape[-1] // HEADS)).softmax(dim=-1)
    return linear(rearrange(shares @ v, "n a f e -> n f (a e)"), w["to_out.0.weight"], w["to_out.0.bias"]) + x


def feed_forward(w, x):
    h = layer_norm(x, x.shape[-1:], w["ff_norm.weight"], w["ff_norm.bias"])
    value, gate = linear(h, w["ff.net.0.proj.weight"], w["ff.net.0.proj.bias"]).chunk(2, dim=-1)
    gelu = 0.5 * gate * (1 + torch.erf(gate / math.sqrt(2)))
    return linear(value * gelu, w["ff.net.2.weight"], w["ff.net.2.bias"]) + x


def under(weights, prefix):
    return {name.removeprefix(prefix): weight for name, weight in weights.items() if name.startswith(prefix)}


def attention_of(block, number):
    norm = under(block, f"norms.{number}.")
    return under(block, f"attention_blocks.{number}.") | {f"norm.{name}": weight for name, weight in norm.items()}


def published_features(weights, rays_F6HW):
    """Source: hehao13/CameraCtrl ``pose_adaptor.py``: CameraPoseEncoder, ResnetBlock, Downsample, published config."""
    x = rearrange(rays_F6HW, "f c (h p) (w q) -> f (c p q) h w", p=8, q=8)  # PixelUnshuffle
    x = conv2d(x, weights["encoder_conv_in.weight"], weights["encoder_conv_in.bias"], padding=1)
    features = []
    for level in range(4):
        for block in range(2):
            conv = under(weights, f"encoder_down_conv_blocks.{level}.{block}.")
            if level and not block:
                x = avg_pool2d(x, kernel_size=2, stride=2)
            if "in_conv.weight" in conv:
                x = conv2d(x, conv["in_conv.weight"], conv["in_conv.bias"])
            h = conv2d(x, conv["block1.weight"], conv["block1.bias"], padding=1).clamp(min=0)
            x = conv2d(h, conv["block2.weight"], conv["block2.bias"]) + x
            transformer = under(weights, f"encoder_down_attention_blocks.{level}.{block}.")
            sequences = attend(attention_of(transformer, 0), rearrange(x, "f c h w -> (h w) f c"))
            x = rearrange(feed_forward(transformer, sequences), "(h w) f c -> f c h w", h=x.shape[2])
        features.append(x)
    return features


@pytest.mark.parametrize("frames", [16, 5])
def test_encoder(weights, network, relative_error, frames):
    rays = rays_of(frames)
    for ours, theirs in zip(network.encode(rays), published_features(weights, rays), strict=True):
        assert ours.shape == theirs.shape
        assert relative_error("CameraCtrl", "encoder, restated, float64", ours, theirs) < 1e-12


def published_level(name):
    """Which feature a motion module gets: in order on the way down, reversed on the way up.

    Source: hehao13/CameraCtrl ``unet.py``, UNet3DConditionModelPoseCond.forward, ``pose_embedding_features``.
    """
    part, level, *_ = name.split(".")
    return int(level) if part == "down_blocks" else 3 - int(level)


@pytest.mark.parametrize("name", module_names())
def test_motion_module_with_poses(weights, network, relative_error, name):
    """Whole motion modules, two chunks, of which both get the poses of the clip."""
    file = motion_file(positions=32, dtype=torch.float64)
    spec, ours = read_motion_checkpoint(file)
    motion = MotionNetwork(spec, dtype=torch.float64)
    motion.load_state_dict(ours, assign=True)
    feature = published_features(weights, rays_of(16))[published_level(name)]
    _, channels, height, width = feature.shape
    generator = torch.Generator().manual_seed(9)
    x = torch.randn(2, channels, 16, height, width, generator=generator, dtype=torch.float64)

    w = under(file, f"{name}.temporal_transformer.")
    block = under(w, "transformer_blocks.0.")
    normed = torch.nn.functional.group_norm(
        rearrange(x, "b c f h w -> (b f) c h w"), 32, w["norm.weight"], w["norm.bias"], eps=1e-6
    )
    h = linear(rearrange(normed, "(b f) c h w -> (b h w) f c", b=2), w["proj_in.weight"], w["proj_in.bias"])
    base = f"{name}.temporal_transformer.transformer_blocks.0.attention_blocks.0.processor.qkv_merge."
    pose = rearrange(feature, "f c h w -> (h w) f c").repeat(2, 1, 1)
    h = attend(attention_of(block, 0), h, under(weights, base), pose)
    h = feed_forward(block, attend(attention_of(block, 1), h))
    theirs = rearrange(linear(h, w["proj_out.weight"], w["proj_out.bias"]), "(b h w) f c -> b c f h w", b=2, h=height)

    part, level, _, number = name.split(".")
    place = unet_block(part, int(level), int(number))
    features = network.encode(rays_of(16))
    merge = PoseMerge(features[network.spec.level_of(*place)].flatten(2), network.merge_at(*place))
    out = motion.module_at(*place)(rearrange(x, "b c f h w -> (b f) c h w"), 16, ModuleCall(pose=merge))
    change = rearrange(out, "(b f) c h w -> b c f h w", b=2) - x
    assert relative_error("CameraCtrl", "motion module with poses, restated, float64", change, theirs) < 1e-12
