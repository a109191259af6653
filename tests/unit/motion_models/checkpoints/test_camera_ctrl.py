"""Recognising CameraCtrl files."""

import pytest
import torch

from support.files.camera import MERGE, authors_layout, camera_file
from support.files.motion import motion_file
from zoetrope.motion_models.checkpoints.camera_ctrl import read_camera_checkpoint
from zoetrope.motion_models.errors import MotionFileError
from zoetrope.motion_models.networks.camera_encoder import CameraNetwork

CONV = "encoder_down_conv_blocks.1.0.in_conv.weight"
FIRST_MERGE = MERGE.format("down_blocks.0.motion_modules.0") + "weight"


@pytest.fixture
def weights():
    return camera_file()


def test_both_layouts_are_the_same_network(weights):
    spec, ours = read_camera_checkpoint(weights)
    other_spec, others = read_camera_checkpoint(authors_layout(weights))
    assert spec == other_spec and ours.keys() == others.keys()
    assert all(torch.equal(ours[name], others[name]) for name in ours)
    CameraNetwork(spec).load_state_dict(ours, strict=True)


def test_what_is_read_from_the_weights(weights):
    spec, ours = read_camera_checkpoint(weights)
    assert spec.widths == (32, 64, 64, 64) and spec.max_frames == 16
    blocks = {(site.part, site.index): site.channels for site in spec.sites}
    # ComfyUI's blocks of an SD1.5 UNet: 1, 2, 4, 5, ... on the way down, 0 to 11 on the way up.
    assert [index for place, index in blocks if place == "input"] == [1, 2, 4, 5, 7, 8, 10, 11]
    assert [index for place, index in blocks if place == "output"] == list(range(12))
    assert blocks["input", 2] == blocks["output", 9] == 32 and blocks["output", 8] == 64
    assert torch.equal(ours["merges.input_1.weight"], weights[FIRST_MERGE])
    q, k, v = ours["attentions.3.attention.to_qkv.weight"].chunk(3)
    theirs = "encoder_down_attention_blocks.1.1.attention_blocks.0.to_{}.weight"
    assert [torch.equal(ours, weights[theirs.format(part)]) for ours, part in ((q, "q"), (k, "k"), (v, "v"))] == [
        True
    ] * 3
    assert torch.equal(ours["convs.2.in_conv.weight"], weights[CONV])


def test_features_of_a_level_go_where_the_unet_has_its_size():
    """4 levels: down blocks 1, 2 are level 0, ... 10, 11 level 3; up blocks 0 to 2 level 3, ... 9 to 11 level 0."""
    spec, _ = read_camera_checkpoint(camera_file((32,) * 4))
    assert [spec.level_of("input", index) for index in (1, 2, 4, 5, 7, 8, 10, 11)] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert [spec.level_of("output", index) for index in range(12)] == [3] * 3 + [2] * 3 + [1] * 3 + [0] * 3


def test_blanks_around_names_are_no_reason_to_refuse(weights):
    _, ours = read_camera_checkpoint({name + " ": tensor for name, tensor in weights.items()})
    assert torch.equal(ours["merges.input_1.weight"], weights[FIRST_MERGE])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda w: w.pop(CONV), f"{CONV} is missing; download it again"),
        (lambda w: w.update({CONV: w[CONV][:, :16]}), "is 64 x 16 x 1 x 1 and should be 64 x 32 x 1 x 1"),
        (lambda w: w.pop("encoder_conv_in.weight"), "encoder_conv_in.weight is missing"),
        (
            lambda w: w.pop("encoder_down_attention_blocks.0.0.attention_blocks.0.pos_encoder.pe"),
            "pos_encoder.pe is missing",
        ),
        (lambda w: w.update({"encoder_mid.weight": torch.zeros(1)}), "does not have, encoder_mid.weight"),
        (lambda w: w.update({FIRST_MERGE: torch.zeros(48, 48)}), "qkv_merge of input 1 has 48 channels"),
    ],
)
def test_damaged_files_are_named_as_such(weights, change, problem):
    change(weights)
    with pytest.raises(MotionFileError, match=problem):
        read_camera_checkpoint(weights)


def test_half_a_file_says_which_half_is_missing(weights):
    halves = authors_layout(weights)
    with pytest.raises(MotionFileError, match="its qkv_merge weights are missing"):
        read_camera_checkpoint(halves["pose_encoder_state_dict"])
    with pytest.raises(MotionFileError, match="its encoder weights are missing"):
        read_camera_checkpoint(halves["attention_processor_state_dict"])


def test_other_files_are_named():
    with pytest.raises(MotionFileError, match="this file is a motion module; load it with ZoetropeLoadMotionModel"):
        read_camera_checkpoint(motion_file())
    with pytest.raises(MotionFileError, match="this file is not a CameraCtrl file and of no known kind"):
        read_camera_checkpoint({"something.weight": torch.zeros(1)})
    with pytest.raises(MotionFileError, match="holds a list and no named weights"):
        read_camera_checkpoint([1])
