"""LoRA Per Frame: part of the weights as core makes it, or beside them with the same result and changing."""

import comfy.lora
import pytest
import torch

from support.toy_models import unet as toy
from support.toy_models.files import put, relative_error
from zoetrope.host.call import keys
from zoetrope.host.call.sampling_range import SamplingRange
from zoetrope.host.call.strength import Strength, strength_of
from zoetrope.host.lora.bypass import RowFactors
from zoetrope.host.lora.unet_lora import apply_lora
from zoetrope.host.sampling.context_windows import apply_windows
from zoetrope.temporal.windows.settings import WindowSettings

ALWAYS = SamplingRange()
RANK = 4
# A linear layer of every kind, convolutions of 1x1 and 3x3, one with a stride, and those of ResBlocks.
LAYERS = (
    "time_embed.0",
    "input_blocks.1.0.emb_layers.1",
    "input_blocks.1.0.in_layers.2",
    "input_blocks.2.1.proj_in",
    "input_blocks.2.1.transformer_blocks.0.attn1.to_q",
    "input_blocks.2.1.transformer_blocks.0.attn2.to_k",
    "input_blocks.2.1.transformer_blocks.0.ff.net.2",
    "input_blocks.3.0.op",
    "output_blocks.5.2.conv",
    "output_blocks.8.1.transformer_blocks.0.attn1.to_out.0",
)


@pytest.fixture(scope="module")
def model():
    return toy.toy_model_patcher()


def lora_file(model, seed=31, layers=LAYERS, tucker=False):
    """kohya's and LyCORIS' keys: matrices, or kernels for convolutions of more than one pixel, and an alpha."""
    generator = torch.Generator().manual_seed(seed)

    def randn(*shape):
        return torch.randn(shape, generator=generator) / shape[1] ** 0.5

    weights = {}
    for layer in layers:
        rows, columns, *kernel = model.model.diffusion_model.get_submodule(layer).weight.shape
        start = f"diffusion_model.{layer}"
        sized = kernel if kernel and kernel[0] > 1 else []
        ones = [1] * len(sized)
        weights[f"{start}.lora_up.weight"] = randn(rows, RANK, *ones)
        weights[f"{start}.lora_down.weight"] = randn(RANK, columns, *(ones if tucker else sized)) / 3
        weights[f"{start}.alpha"] = torch.tensor(3.0)
        if tucker and sized:
            weights[f"{start}.lora_mid.weight"] = randn(RANK, RANK, *sized)
    return weights


def core_lora(model, weights, strength):
    clone = model.clone()
    patches = comfy.lora.load_lora(weights, comfy.lora.model_lora_keys_unet(model.model, {}))
    assert len(clone.add_patches(patches, strength)) == len(LAYERS)
    return clone


@pytest.fixture
def name(model, tmp_path):
    return put("loras", tmp_path / "style.safetensors", lora_file(model))


def applied(model, name, values, when=ALWAYS):
    return apply_lora(model, name, strength_of(values, "strength"), when)


def sample(model, frames=4):
    return toy.sample(model, noise=toy.noise_for(frames, 8), steps=1)


def test_a_constant_strength_is_cores_lora(model, name):
    expected = sample(core_lora(model, lora_file(model), 0.6))
    assert torch.equal(sample(applied(model, name, 0.6)), expected)
    assert relative_error(expected, sample(model)) > 1e-2
    assert torch.equal(sample(applied(model, name, 0.0)), sample(model))


@pytest.mark.parametrize("tucker", [False, True])
def test_beside_the_weights_it_is_the_same(model, tmp_path, tucker):
    weights = lora_file(model, tucker=tucker)
    name = put("loras", tmp_path / "kind.safetensors", weights)
    expected = sample(core_lora(model, weights, 0.6))
    ours = applied(model, name, [0.6])
    assert not ours.patches
    assert relative_error(sample(ours), expected) < 1e-4
    assert not any(module._forward_hooks for module in model.model.modules())


def test_each_frame_has_its_own_strength_in_windows_as_well_and_two_add_up(model, name, tmp_path):
    ramp, back = [0.0, 0.6, 1.0, -0.5], [1.0, 0.0, 0.5, 0.0]
    other = put("loras", tmp_path / "other.safetensors", lora_file(model, seed=32))
    both = applied(applied(model, name, ramp), other, back)
    windows = apply_windows(both, WindowSettings(length=3, overlap=1, schedule="standard_static", fuse="pyramid"))
    ours, windowed = sample(both), sample(windows)
    for frame, (one, two) in enumerate(zip(ramp, back, strict=True)):
        expected = sample(applied(applied(model, name, one), other, two))
        assert relative_error(ours[frame], expected[frame]) < 1e-4
        assert relative_error(windowed[frame], expected[frame]) < 1e-4


@pytest.mark.newest_host
def test_in_a_range_of_steps(model, name):
    late = applied(model, name, 1.0, SamplingRange(0.5, 1.0))
    ours, plain = (toy.predictions(m, noise=toy.noise_for(1, 8)) for m in (late, model))
    assert relative_error(ours[0], plain[0]) < 1e-6
    assert relative_error(ours[-1], plain[-1]) > 1e-3


def test_other_kinds_only_with_a_constant_strength(model, tmp_path):
    layer = "diffusion_model.input_blocks.2.1.transformer_blocks.0.attn1.to_q"
    halves = {
        f"hada_w{i}_{half}": torch.randn(32, 4) if half == "a" else torch.randn(4, 32) for i in (1, 2) for half in "ab"
    }
    weights = {f"{layer}.{key}": weight for key, weight in halves.items()}
    weights[f"{layer}.dora_scale"] = torch.ones(32, 1)
    name = put("loras", tmp_path / "loha.safetensors", weights)
    assert len(applied(model, name, 1.0).patches) == 1
    with pytest.raises(ValueError, match=r"loha.safetensors' changes 1 of its 1 layers by LoHa.*constant strength"):
        applied(model, name, [1.0])
    dora = lora_file(model, layers=LAYERS[4:5]) | {f"{layer}.dora_scale": torch.ones(32, 1)}
    with pytest.raises(ValueError, match="by DoRA"):
        applied(model, put("loras", tmp_path / "dora.safetensors", dora), [1.0])


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({"lora_te_text_model_encoder_layers_0_mlp_fc1.alpha": torch.zeros(1)}, "only text encoder weights"),
        ({"unet.nothing.lora_up.weight": torch.zeros(2, 2)}, "weights such as 'unet.nothing"),
        ({"down_blocks.0.motion_modules.0.x.lora_up.weight": torch.zeros(2, 2)}, "is a MotionLoRA"),
        (
            {f"diffusion_model.{LAYERS[4]}.lora_{half}.weight": torch.zeros(2, 2) for half in ("up", "down")},
            "a layer of 2 x 2 where this MODEL has 32 x 32",
        ),
    ],
)
def test_files_of_other_kinds_are_refused(model, tmp_path, weights, words):
    with pytest.raises(ValueError, match=words):
        applied(model, put("loras", tmp_path / "other.safetensors", weights), 1.0)


@pytest.mark.newest_host
def test_rows_of_layers():
    """Two conditionings of three frames; a layer that gets each row in two tiles, and one that lost its rows."""
    options = {keys.CLIP_LENGTH: 3, "cond_or_uncond": [0, 1]}
    factors = RowFactors(strength_of([0.0, 1.0, 2.0], "strength"), 0.5, options, 6)
    assert factors.like(torch.zeros(6, 4, 4)).flatten().tolist() == [0, 0.5, 1, 0, 0.5, 1]
    assert factors.like(torch.zeros(12, 4)).flatten().tolist() == [0, 0, 0.5, 0.5, 1, 1, 0, 0, 0.5, 0.5, 1, 1]
    with pytest.raises(RuntimeError, match="4 rows where the call has 6"):
        factors.like(torch.zeros(4, 4))
    alone = RowFactors(strength_of([0.0, 1.0, 2.0], "strength"), 0.5, {**options, "cond_or_uncond": [1]}, 3)
    assert alone.like(torch.zeros(3, 4)).flatten().tolist() == [0, 0.5, 1]
    assert not RowFactors(strength_of([0.0], "strength"), 1.0, options, 6).any
    assert RowFactors(Strength(2.0), 0.5, options, 6).like(torch.zeros(6)) == 1.0
