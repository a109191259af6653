"""SparseCtrl files that are damaged or missing."""

import folder_paths
import pytest
import torch

from support.files.sparse import sparse_file
from support.toy_models.files import put
from zoetrope.motion_models.checkpoints.sparse_ctrl import read_sparse_checkpoint
from zoetrope.nodes.sparse_ctrl import LoadSparseCtrl


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"mid_block.resnets.0.conv1.bias": None}, "incomplete.*middle_block.0.in_layers.2.bias is missing"),
        (
            {"conv_in.weight": torch.zeros(32, 9, 3, 3)},
            "incomplete.*input_blocks.0.0.weight is 32 x 9 x 3 x 3 and should be 32 x 4 x 3 x 3",
        ),
        ({"extra.weight": torch.zeros(1)}, "published ones do not have, extra.weight; choose one of those"),
    ],
)
def test_damaged_files(tmp_path, change, says):
    file = {name: weight for name, weight in (sparse_file("rgb") | change).items() if weight is not None}
    read_sparse_checkpoint(file)
    name = put("controlnet", tmp_path / "damaged.safetensors", file)
    with pytest.raises(ValueError, match=f"'damaged.safetensors': .*{says}") as raised:
        LoadSparseCtrl.execute(name)
    assert "\n" not in str(raised.value)


def test_missing_file_is_told_before_the_run():
    assert "'gone.ckpt' is not in models/controlnet" in LoadSparseCtrl.validate_inputs("gone.ckpt")
    assert folder_paths.get_filename_list("controlnet")
