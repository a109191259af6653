"""Motion modules against the code they were published with and against diffusers.

Errors are of the module's change to its input, |ours - theirs| / |theirs|, so the input that both add does not
hide them. Measured on CPU: at most 8.1e-16 in float64 against the restatement and 4.0e-7 in float32 against
diffusers, where most sizes agree to the bit.

B = chunks, C = channels, F = frames, H and W = latent height and width, D = pixels.
"""

import math

import pytest
import torch
from diffusers import MotionAdapter
from diffusers.models.attention import FreeNoiseTransformerBlock
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from einops import rearrange
from torch.nn.functional import group_norm, layer_norm, linear

from support.files.motion import TOY_WIDTHS, fill, module_names, module_shapes, motion_file, motion_shapes
from support.references.diffusers_unets import PerFrameNorm
from zoetrope.motion_models.checkpoints.motion_model import read_motion_checkpoint
from zoetrope.motion_models.networks.module_call import ModuleCall
from zoetrope.motion_models.networks.motion_module import MotionNetwork
from zoetrope.motion_models.networks.positions import sinusoidal_positions
from zoetrope.motion_models.networks.views import view_groups
from zoetrope.temporal.windows.blending import blend_shares
from zoetrope.temporal.windows.schedules import windows_for_step
from zoetrope.temporal.windows.settings import WindowSettings

FAMILIES = {
    "v1": {"positions": 24},
    "v2": {"positions": 32, "middle": True},
    "v3": {"positions": 32},
}
PLACES = {"down_blocks": "input", "mid_block": "middle", "up_blocks": "output"}
# chunks (2 is a pair of positive and negative prompt), frames, height, width
SIZES = [(1, 16, 4, 4), (2, 16, 6, 4), (2, 24, 3, 5), (1, 1, 4, 4), (3, 5, 8, 2)]


def build(file, dtype=torch.float32):
    spec, weights = read_motion_checkpoint(file)
    network = MotionNetwork(spec, dtype=dtype)
    network.load_state_dict(weights, assign=True)
    return network.eval().requires_grad_(False)


def frames_of(chunks, frames, height, width, channels=32, dtype=torch.float32, seed=5):
    """(B, C, F, H, W) whose frames differ in mean and spread, as frames of a clip do."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(chunks, channels, frames, height, width, generator=generator)
    ramp = torch.linspace(-1, 1, frames).view(1, 1, -1, 1, 1)
    return (noise * (1 + 0.5 * ramp) + ramp).to(dtype)


def change(module, x_BCFHW, **options):
    """Our module's output minus its input, as (B, C, F, H, W)."""
    frames = x_BCFHW.shape[2]
    out = module(rearrange(x_BCFHW, "b c f h w -> (b f) c h w"), frames, **options)
    return rearrange(out, "(b f) c h w -> b c f h w", f=frames) - x_BCFHW


def published_change(weights, x_BCFHW, scale=1.0, heads=8):
    """What a published module adds to its input, restated from the published weights.

    Source: guoyww/AnimateDiff ``animatediff/models/motion_module.py`` (TemporalTransformer3DModel,
    TemporalTransformerBlock, PositionalEncoding, VersatileAttention), GEGLU of Shazeer 2020; ``scale`` multiplies
    the keys as in ComfyUI-AnimateDiff-Evolved's meaning of motion scale.
    """
    w = {name.removeprefix("temporal_transformer."): weight for name, weight in weights.items()}

    def dense(name, x, bias=True):
        return linear(x, w[name + ".weight"], w[name + ".bias"] if bias else None)

    def norm(name, x):
        return layer_norm(x, x.shape[-1:], w[name + ".weight"], w[name + ".bias"], eps=1e-5)

    chunks, channels, frames, height, _ = x_BCFHW.shape
    x = rearrange(x_BCFHW, "b c f h w -> (b f) c h w")
    x = group_norm(x, 32, w["norm.weight"], w["norm.bias"], eps=1e-6)
    x = dense("proj_in", rearrange(x, "bf c h w -> bf (h w) c"))
    for n in range(2):
        attention = f"transformer_blocks.0.attention_blocks.{n}."
        normed = rearrange(norm(f"transformer_blocks.0.norms.{n}", x), "(b f) d c -> (b d) f c", f=frames)
        normed = normed + w[attention + "pos_encoder.pe"][:, :frames]
        q, k, v = (
            rearrange(dense(attention + part, normed, bias=False), "n f (a e) -> n a f e", a=heads)
            for part in ("to_q", "to_k", "to_v")
        )
        weights_FF = (q @ (k * scale).transpose(-1, -2) / math.sqrt(channels // heads)).softmax(dim=-1)
        attended = dense(attention + "to_out.0", rearrange(weights_FF @ v, "n a f e -> n f (a e)"))
        x = rearrange(attended, "(b d) f c -> (b f) d c", b=chunks) + x
    value, gate = dense("transformer_blocks.0.ff.net.0.proj", norm("transformer_blocks.0.ff_norm", x)).chunk(2, dim=-1)
    gelu = 0.5 * gate * (1 + torch.erf(gate / math.sqrt(2)))
    x = dense("transformer_blocks.0.ff.net.2", value * gelu) + x
    return rearrange(dense("proj_out", x), "(b f) (h w) c -> b c f h w", f=frames, h=height)


def diffusers_name(name):
    """Key map of diffusers' convert_animatediff_checkpoint_to_diffusers, with the positions both blocks share."""
    for theirs, ours in (
        (".temporal_transformer.", "."),
        (".norms.0.", ".norm1."),
        (".norms.1.", ".norm2."),
        (".ff_norm.", ".norm3."),
        (".attention_blocks.0.pos_encoder.pe", ".pos_embed.pe"),
        (".attention_blocks.0.", ".attn1."),
        (".attention_blocks.1.", ".attn2."),
    ):
        name = name.replace(theirs, ours)
    return name


def with_sinusoidal_positions(weights):
    """diffusers always computes them, so the file must hold the same table."""
    return {
        name: sinusoidal_positions(weight.shape[1], weight.shape[2]) if name.endswith("pos_encoder.pe") else weight
        for name, weight in weights.items()
    }


def load_diffusers(model, weights):
    converted = {diffusers_name(f".{name}")[1:]: w for name, w in weights.items() if "1.pos_encoder" not in name}
    model.load_state_dict(converted, strict=True)
    return model.eval().requires_grad_(False)


def diffusers_change(transformer, x_BCFHW):
    frames = x_BCFHW.shape[2]
    out = transformer(rearrange(x_BCFHW, "b c f h w -> (b f) c h w"), num_frames=frames)
    return rearrange(out, "(b f) c h w -> b c f h w", f=frames) - x_BCFHW


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("scale", [1.0, 1.4])
@pytest.mark.parametrize("family", FAMILIES)
def test_published_code_in_float64(family, scale, size, relative_error):
    file = {name: weight.double() for name, weight in motion_file(**FAMILIES[family]).items()}
    network = build(file, torch.float64)
    assert network.spec.family.name == family
    name = "up_blocks.3.motion_modules.2."
    published = {key.removeprefix(name): weight for key, weight in file.items() if key.startswith(name)}
    x = frames_of(*size, dtype=torch.float64)
    ours = change(network.module_at("output", 11), x, call=ModuleCall(scale=scale))
    reference = "published code restated, float64, 1 module"
    assert relative_error(family, reference, ours, published_change(published, x, scale)) < 1e-14


def adapter_for(file, middle):
    adapter = MotionAdapter(
        block_out_channels=TOY_WIDTHS,
        motion_num_attention_heads=8,
        motion_norm_num_groups=32,
        motion_max_seq_length=next(w.shape[1] for name, w in file.items() if name.endswith("pe")),
        use_motion_mid_block=middle,
    )
    return load_diffusers(adapter, file)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_module_of_diffusers_motion_adapter(family, relative_error):
    file = with_sinusoidal_positions(motion_file(**FAMILIES[family]))
    network = build(file)
    adapter = adapter_for(file, FAMILIES[family].get("middle", False))
    sites = iter(network.spec.sites)
    for name in module_names(middle=FAMILIES[family].get("middle", False)):
        site = next(sites)
        assert PLACES[name.split(".")[0]] == site.part
        transformer = adapter.get_submodule(name)
        transformer.norm = PerFrameNorm(transformer.norm)
        x = frames_of(2, 16, 4, 6, site.channels)
        ours = change(network.module_at(site.part, site.index), x)
        reference = "diffusers MotionAdapter, norm per frame, all modules"
        assert relative_error(family, reference, ours, diffusers_change(transformer, x)) < 2e-6


@pytest.fixture(scope="module")
def wide_module():
    """One module of true width in both libraries; the other modules of the file are as small as they can be."""

    def make(channels, positions):
        shapes = motion_shapes((channels, 32, 32, 32), positions=positions)
        file = with_sinusoidal_positions(fill(shapes, seed=7))
        name = "down_blocks.0.motion_modules.0."
        weights = {key.removeprefix(name): weight for key, weight in file.items() if key.startswith(name)}
        transformer = AnimateDiffTransformer3D(
            num_attention_heads=8,
            attention_head_dim=channels // 8,
            in_channels=channels,
            activation_fn="geglu",
            positional_embeddings="sinusoidal",
            num_positional_embeddings=positions,
        )
        assert weights.keys() == module_shapes(channels, positions).keys()
        return build(file).module_at("input", 1), load_diffusers(transformer, weights)

    return make


@pytest.mark.parametrize(
    ("family", "channels", "size"),
    [("v1", 320, (2, 24, 4, 4)), ("v3", 320, (1, 32, 6, 4)), ("v3", 640, (2, 16, 4, 4)), ("v1", 1280, (2, 16, 2, 2))],
)
def test_true_widths_against_diffusers(family, channels, size, wide_module, relative_error):
    ours, theirs = wide_module(channels, FAMILIES[family]["positions"])
    theirs.norm = PerFrameNorm(theirs.norm)
    x = frames_of(*size, channels)
    reference = "diffusers transformer, norm per frame, true widths"
    assert relative_error(family, reference, change(ours, x), diffusers_change(theirs, x)) < 2e-6


def test_stock_diffusers_differs_where_frames_differ(wide_module):
    """Stock diffusers takes the motion norm's statistics over all frames; the SD1.5 modules were trained without."""
    ours, theirs = wide_module(320, 32)
    x = frames_of(1, 16, 4, 4, 320)
    stock = diffusers_change(theirs, x)
    assert (change(ours, x) - stock).norm() / stock.norm() > 1e-3
    same = x[:, :, :1].expand_as(x)
    assert (change(ours, same) - diffusers_change(theirs, same)).norm() / stock.norm() < 2e-6


def test_sinusoidal_positions_are_diffusers_table():
    transformer = AnimateDiffTransformer3D(
        8, 8, 64, positional_embeddings="sinusoidal", num_positional_embeddings=32, activation_fn="geglu"
    )
    assert torch.equal(transformer.transformer_blocks[0].pos_embed.pe, sinusoidal_positions(32, 64))


@pytest.mark.parametrize("fuse", ["pyramid", "flat"])
def test_views_against_diffusers_freenoise(fuse, wide_module, relative_error):
    """FreeNoise's window attention: views of 16 frames, every 12 frames, over a clip longer than the positions.

    The clip ends with a view: what diffusers does with a shorter last one is a mistake of its own.
    """
    ours, theirs = wide_module(320, 32)
    theirs.norm = PerFrameNorm(theirs.norm)
    block = FreeNoiseTransformerBlock(
        *(320, 8, 40),
        activation_fn="geglu",
        double_self_attention=True,
        positional_embeddings="sinusoidal",
        num_positional_embeddings=32,
        context_length=16,
        context_stride=12,
        weighting_scheme=fuse,
    )
    block.load_state_dict(theirs.transformer_blocks[0].state_dict())
    theirs.transformer_blocks[0] = block.eval().requires_grad_(False)
    frames, settings = 40, WindowSettings(length=16, overlap=4, schedule="standard_static", fuse=fuse)
    windows = windows_for_step(settings, frames, 0)
    views = view_groups(windows, blend_shares(settings, windows, frames), torch.device("cpu"))
    x = frames_of(2, frames, 4, 3, 320)
    reference = "diffusers FreeNoise block, true width"
    error = relative_error("v3", reference, change(ours, x, call=ModuleCall(views=views)), diffusers_change(theirs, x))
    assert error < 2e-6
