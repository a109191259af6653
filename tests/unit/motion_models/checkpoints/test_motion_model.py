import pytest
import torch
from torch import nn

from support.files.motion import (
    BLOCK,
    SD15_WIDTHS,
    TOY_WIDTHS,
    CastingOperations,
    fill,
    module_names,
    motion_file,
    motion_shapes,
)
from zoetrope.motion_models.checkpoints.motion_model import read_motion_checkpoint
from zoetrope.motion_models.errors import MotionFileError
from zoetrope.motion_models.networks.motion_module import MotionNetwork
from zoetrope.motion_models.networks.positions import sinusoidal_positions
from zoetrope.motion_models.spec import describe

FIRST = f"down_blocks.0.motion_modules.0.{BLOCK}"
OURS = "sites.input_1."

# Our name of each weight but q, k and v: the layout that is documented in keys.py, restated by hand.
RENAMED = {
    "temporal_transformer.norm": "norm",
    "temporal_transformer.proj_in": "proj_in",
    "temporal_transformer.proj_out": "proj_out",
    BLOCK + "norms.0": "attentions.0.norm",
    BLOCK + "norms.1": "attentions.1.norm",
    BLOCK + "attention_blocks.0.to_out.0": "attentions.0.to_out",
    BLOCK + "attention_blocks.1.to_out.0": "attentions.1.to_out",
    BLOCK + "ff_norm": "feed_forward.norm",
    BLOCK + "ff.net.0.proj": "feed_forward.expand",
    BLOCK + "ff.net.2": "feed_forward.contract",
}
PLACES = [("input", i) for i in (1, 2, 4, 5, 7, 8, 10, 11)] + [("middle", 0)] + [("output", i) for i in range(12)]


def same_bits(a, b):
    return a.dtype == b.dtype and torch.equal(a.view(torch.uint8), b.view(torch.uint8))


@pytest.mark.parametrize(
    ("options", "family", "max_frames"),
    [
        ({"positions": 24}, "v1", 24),
        ({"positions": 32}, "v3", 32),
        ({"positions": 32, "middle": True}, "v2", 32),
        ({"positions": 64, "middle": True}, "long", 64),  # LongAnimateDiff
        ({"positions": 128, "middle": True}, "long_64", 128),
        ({"positions": 36}, "v3", 36),  # a table somebody stretched
    ],
)
def test_family_and_frames_come_from_the_weights(options, family, max_frames):
    spec, _ = read_motion_checkpoint(motion_file(**options))
    assert (spec.family.name, spec.max_frames, spec.attentions, spec.heads) == (family, max_frames, 2, 8)


def test_sites_are_comfyui_blocks_in_call_order():
    spec, _ = read_motion_checkpoint(motion_file(middle=True))
    assert [(site.part, site.index) for site in spec.sites] == PLACES
    # Widths 32, 64, 64, 64 go down the levels and back up.
    assert [site.channels for site in spec.sites] == [32] * 2 + [64] * 6 + [64] + [64] * 9 + [32] * 3


def test_every_weight_arrives_under_its_name():
    file = motion_file(middle=True, positions=32)
    _, ours = read_motion_checkpoint(file)
    left = dict(ours)
    for name, (place, index) in zip(module_names(middle=True), PLACES, strict=True):
        site = f"sites.{place}_{index}."
        for theirs, mine in RENAMED.items():
            for end in ("weight", "bias"):
                assert torch.equal(left.pop(f"{site}{mine}.{end}"), file[f"{name}.{theirs}.{end}"])
        for n in range(2):
            attention = f"{name}.{BLOCK}attention_blocks.{n}."
            qkv = left.pop(f"{site}attentions.{n}.to_qkv.weight").chunk(3)
            for part, rows in zip(("to_q", "to_k", "to_v"), qkv, strict=True):
                assert torch.equal(rows, file[f"{attention}{part}.weight"])
            assert torch.equal(left.pop(f"{site}attentions.{n}.positions"), file[attention + "pos_encoder.pe"])
    assert not left


def test_weights_fit_the_network():
    spec, weights = read_motion_checkpoint(motion_file(middle=True, attentions=1))
    network = MotionNetwork(spec)
    network.load_state_dict(weights, strict=True)
    assert spec.attentions == 1
    assert spec.parameters == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("middle", "positions", "parameters"),
    # Counts of diffusers' MotionAdapter for the published models, see docs/models.md.
    [(False, 24, 417_137_600), (True, 32, 453_209_280), (False, 32, 417_137_600)],
)
def test_true_sizes(middle, positions, parameters):
    shapes = motion_shapes(SD15_WIDTHS, middle, positions)
    file = {name: torch.zeros(shape, dtype=torch.uint8).view(torch.float8_e4m3fn) for name, shape in shapes.items()}
    spec, weights = read_motion_checkpoint(file)
    assert spec.parameters == parameters
    network = MotionNetwork(spec, CastingOperations, device=torch.device("meta"))
    network.load_state_dict(weights, strict=True, assign=True)
    assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2]
)
def test_dtypes_are_kept(dtype):
    file = motion_file(dtype=dtype)
    _, weights = read_motion_checkpoint(file)
    assert {weight.dtype for weight in weights.values()} == {dtype}
    qkv = [file[f"{FIRST}attention_blocks.0.{part}.weight"] for part in ("to_q", "to_k", "to_v")]
    for rows, part in zip(weights[OURS + "attentions.0.to_qkv.weight"].chunk(3), qkv, strict=True):
        assert same_bits(rows, part)


def test_norms_of_a_mixed_file_stay_wider_than_its_fp8_matrices():
    file = {
        name: weight.to(torch.float8_e4m3fn) if weight.ndim == 2 else weight.half()
        for name, weight in motion_file().items()
    }
    _, weights = read_motion_checkpoint(file)
    assert weights[OURS + "norm.weight"].dtype == torch.float16
    assert weights[OURS + "proj_in.weight"].dtype == torch.float8_e4m3fn


@pytest.mark.parametrize(
    "wrap",
    [
        lambda file: {"state_dict": file},
        lambda file: {"epoch": 3, "global_step": 7, "state_dict": file},
        lambda file: {"state_dict": {f"module.{name}": weight for name, weight in file.items()}},
        lambda file: {f"module._orig_mod.{name}": weight for name, weight in file.items()},
        lambda file: {f"unet.{name}": weight for name, weight in file.items()},
        lambda file: {"module": {"state_dict": file}},
        lambda file: {"motion_module_state_dict": file, "optimizer": {"lr": 0.1}},
        lambda file: {**file, "animatediff_config": {"a": 1}, "epoch": 3},
    ],
)
def test_wrappers_prefixes_and_settings_change_nothing(wrap):
    file = motion_file()
    spec, weights = read_motion_checkpoint(file)
    wrapped_spec, wrapped_weights = read_motion_checkpoint(wrap(file))
    assert wrapped_spec == spec
    assert weights.keys() == wrapped_weights.keys()
    assert all(torch.equal(weights[name], wrapped_weights[name]) for name in weights)


@pytest.mark.parametrize(("middle", "family", "frames"), [(False, "v1", 24), (True, "v2", 32)])
def test_training_checkpoint_with_its_whole_unet(middle, family, frames):
    # guoyww/AnimateDiff train.py saves the DDP-wrapped UNet, whose positional encodings are not persistent.
    unet = {
        "conv_in.weight": torch.zeros(32, 4, 3, 3),
        "down_blocks.0.resnets.0.conv1.weight": torch.zeros(32, 32, 3, 3),
    }
    inner = {f"module.{name}": weight for name, weight in (unet | motion_file(middle=middle, positions=None)).items()}
    spec, weights = read_motion_checkpoint({"epoch": 1, "global_step": 100, "state_dict": inner})
    assert (spec.family.name, spec.max_frames) == (family, frames)
    assert torch.equal(weights[OURS + "attentions.1.positions"], sinusoidal_positions(frames, 32))
    MotionNetwork(spec).load_state_dict(weights, strict=True)


def test_training_checkpoint_with_the_image_lora_it_was_trained_with():
    # guoyww/AnimateDiff trains v3 on top of the domain adapter, whose layers a saved UNet then holds as well.
    layer = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora."
    adapter = {f"{layer}{half}.weight": torch.zeros(4, 4) for half in ("down", "up")}
    spec, weights = read_motion_checkpoint({"state_dict": motion_file(positions=32) | adapter})
    assert spec.family.name == "v3"
    MotionNetwork(spec).load_state_dict(weights, strict=True)


@pytest.mark.parametrize(
    ("levels", "middle", "family", "frames"),
    [(4, True, "animatelcm", 64), (4, False, "v1", 24), (3, False, "sdxl_beta", 32)],
)
def test_only_the_shape_of_animatelcm_is_animatelcm_without_positions(levels, middle, family, frames):
    spec, _ = read_motion_checkpoint(motion_file(widths=TOY_WIDTHS[:levels], middle=middle, positions=None))
    assert (spec.family.name, spec.max_frames) == (family, frames)


def test_the_given_dict_is_not_changed():
    file = motion_file()
    names = list(file)
    read_motion_checkpoint(file)
    assert list(file) == names


@pytest.mark.parametrize(
    "missing",
    [
        FIRST + "attention_blocks.0.to_k.weight",
        FIRST + "attention_blocks.1.to_out.0.bias",
        FIRST + "attention_blocks.1.pos_encoder.pe",
        FIRST + "ff.net.2.bias",
        "down_blocks.0.motion_modules.0.temporal_transformer.norm.weight",
        "up_blocks.3.motion_modules.2.temporal_transformer.proj_out.weight",
    ],
)
def test_a_missing_weight_is_named(missing):
    file = motion_file()
    del file[missing]
    with pytest.raises(MotionFileError, match=f"incomplete.*{missing.rsplit('transformer', 1)[-1]}.*missing"):
        read_motion_checkpoint(file)


@pytest.mark.parametrize("start", ["down_blocks.3", "up_blocks.3", "up_blocks.1.motion_modules.2", "down_blocks.0"])
def test_a_missing_module_is_named(start):
    file = {name: weight for name, weight in motion_file().items() if not name.startswith(start)}
    with pytest.raises(MotionFileError, match=rf"incomplete.*{start}.*missing"):
        read_motion_checkpoint(file)


@pytest.mark.parametrize(
    ("name", "shape", "sentence"),
    [
        (FIRST + "attention_blocks.0.to_q.weight", (32, 16), "to_q.weight is 32 x 16 and should be 32 x 32"),
        (FIRST + "ff.net.0.proj.bias", (128,), "proj.bias is 128 and should be 256"),
        (FIRST + "attention_blocks.1.pos_encoder.pe", (1, 16, 32), "pe is 1 x 16 x 32 and should be 1 x 24 x 32"),
        (FIRST + "attention_blocks.0.pos_encoder.pe", (24, 32), "pe is 24 x 32 and should have 3 sizes above 0"),
        ("down_blocks.0.motion_modules.0.temporal_transformer.norm.weight", (20,), "20 channels"),
    ],
)
def test_a_wrong_shape_is_named(name, shape, sentence):
    with pytest.raises(MotionFileError, match=sentence):
        read_motion_checkpoint(motion_file() | {name: torch.zeros(shape)})


def test_an_unknown_weight_is_not_dropped():
    extra = FIRST + "attention_blocks.0.gate"
    with pytest.raises(MotionFileError, match="attention_blocks.0.gate"):
        read_motion_checkpoint(motion_file() | {extra: torch.zeros(1)})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"widths": (32, 64), "positions": 32}, "2 resolution levels, which is none"),
        ({"widths": (32, 64, 64), "positions": 32, "middle": True}, "3 resolution levels with a middle block"),
    ],
)
def test_an_unpublished_shape_is_refused(options, words):
    with pytest.raises(MotionFileError, match=words):
        read_motion_checkpoint(motion_file(**options))


def test_description_names_family_frames_and_settings():
    spec, _ = read_motion_checkpoint(fill(motion_shapes(positions=24)))
    text = "\n".join(describe(spec))
    for part in ("AnimateDiff v1", "SD1.5", "20 motion modules", "at most 24 frames", "16 advised", "sqrt_linear"):
        assert part in text


def test_raw_torch_layers_take_half_weights():
    spec, weights = read_motion_checkpoint(motion_file(dtype=torch.float16))
    network = MotionNetwork(spec, operations=nn, dtype=torch.float16)
    network.load_state_dict(weights)
    assert network.module_at("input", 1).proj_in.weight.dtype == torch.float16
