"""SparseCtrl files in their three layouts, and files that are none."""

import pytest
import torch

from support.files.motion import motion_file
from support.files.sparse import a1111_layout, comfy_name, diffusers_layout, sparse_file
from zoetrope.motion_models.checkpoints.sparse_ctrl import read_sparse_checkpoint
from zoetrope.motion_models.errors import MotionFileError
from zoetrope.motion_models.networks.positions import sinusoidal_positions

KINDS = ("rgb", "scribble")
LAYOUTS = {
    "original": lambda file: {
        "animatediff_config": {"a": 1},
        "controlnet": {f"module.{k}": w for k, w in file.items()},
    },
    "a1111": a1111_layout,
    "diffusers": diffusers_layout,
}
WIDTHS = (32, 64, 128, 128)
SITES = [1, 2, 4, 5, 7, 8, 10, 11]  # ComfyUI's input blocks: two a level, a downsampler between levels
HINT = {"scribble": {"conv_in": 0, **{f"blocks.{n}": 2 * n + 2 for n in range(6)}, "conv_out": 14}, "rgb": {}}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_arrives_under_its_name(kind, layout):
    file = sparse_file(kind, widths=WIDTHS)
    spec, ours = read_sparse_checkpoint(LAYOUTS[layout](file))
    assert (spec.kind, spec.widths, spec.context) == (kind, WIDTHS, 16)
    assert spec.hint_channels == {"rgb": 5, "scribble": 4}[kind]
    assert [(site.part, site.index, site.channels) for site in spec.motion.sites] == [
        ("input", block, WIDTHS[number // 2]) for number, block in enumerate(SITES)
    ]
    assert (spec.motion.max_frames, spec.motion.attentions, spec.motion.heads) == (32, 1, 8)
    for name in [name for name in file if "motion_modules" not in name]:
        mine = comfy_name(name)
        for part, number in HINT[kind].items():
            mine = mine.replace(f"controlnet_cond_embedding.{part}.", f"input_hint_block.{number}.")
        assert ours.pop(mine.replace("controlnet_cond_embedding.", "input_hint_block.0.")) is file[name]
    for number, block in enumerate(SITES):
        module = f"down_blocks.{number // 2}.motion_modules.{number % 2}.temporal_transformer."
        attention = f"{module}transformer_blocks.0.attention_blocks.0."
        mine = f"motion.input_{block}."
        for part, rows in zip("qkv", ours.pop(mine + "attentions.0.to_qkv.weight").chunk(3), strict=True):
            assert torch.equal(rows, file[f"{attention}to_{part}.weight"])
        table = sinusoidal_positions(32, WIDTHS[number // 2])
        positions = ours.pop(mine + "attentions.0.positions")
        assert torch.equal(positions, table if layout == "diffusers" else file[attention + "pos_encoder.pe"])
        assert ours.pop(mine + "proj_out.bias") is file[module + "proj_out.bias"]
        assert ours.pop(mine + "feed_forward.norm.weight") is file[module + "transformer_blocks.0.ff_norm.weight"]
    assert all(name.startswith("motion.") for name in ours)


def without(file, name):
    return {key: weight for key, weight in file.items() if key != name}


MODULE = "down_blocks.1.motion_modules.0.temporal_transformer."
WRONG = {
    "motion module": (motion_file(positions=32), "a motion module; load it with ZoetropeLoadMotionModel"),
    "controlnet": (
        {k: w for k, w in sparse_file("scribble").items() if "motion" not in k},
        "a ControlNet; load it with the core node Load ControlNet Model",
    ),
    "no motion module": (
        {k: w for k, w in sparse_file("rgb").items() if not k.startswith(MODULE)},
        "incomplete.*down_blocks.1.motion_modules.0.norm.weight is missing; download",
    ),
    "a weight of a motion module missing": (
        without(sparse_file("rgb"), MODULE + "proj_in.bias"),
        "incomplete.*down_blocks.1.motion_modules.0.proj_in.bias is missing",
    ),
    "no hint": (
        without(sparse_file("rgb"), "controlnet_cond_embedding.weight"),
        "input_hint_block.0.weight is missing",
    ),
    "a motion module too many": (
        sparse_file("rgb") | {"mid_block.motion_modules.0.temporal_transformer.norm.weight": torch.zeros(32)},
        "published ones do not have, mid_block.motion_modules.0; choose v3_sd15_sparsectrl_rgb.ckpt",
    ),
    "other hints": (
        sparse_file("rgb") | {"controlnet_cond_embedding.weight": torch.zeros(32, 6, 3, 3)},
        "hints of 6 channels.*choose the rgb or the scribble encoder",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_file(case):
    content, says = WRONG[case]
    with pytest.raises(MotionFileError, match=says) as raised:
        read_sparse_checkpoint(content)
    assert "\n" not in str(raised.value)
