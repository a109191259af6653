"""Files that we write: what our readers read of them is what was written, and the names are the published ones."""

import pytest
import torch

from support.files.motion import motion_file, motion_shapes
from support.toy_models.motion import lora_layers, lora_state_dict
from zoetrope.motion_models.checkpoints.motion_lora import read_motion_lora
from zoetrope.motion_models.checkpoints.motion_model import read_motion_checkpoint
from zoetrope.motion_models.checkpoints.weight_names import unet_block
from zoetrope.motion_models.checkpoints.write_low_rank import published_motion_lora
from zoetrope.motion_models.checkpoints.write_motion_model import published_block, published_motion_model


@pytest.mark.parametrize(("middle", "positions"), [(False, 32), (True, 32), (False, 24), (True, 64)])
def test_a_motion_model_comes_back(middle, positions):
    given = motion_file(middle=middle, positions=positions)
    spec, weights = read_motion_checkpoint(given)
    written = published_motion_model(spec, weights)
    assert written.keys() == motion_shapes(middle=middle, positions=positions).keys()
    assert all(torch.equal(written[name], given[name]) for name in given)
    again, same = read_motion_checkpoint(written)
    assert again == spec and all(torch.equal(same[name], weights[name]) for name in weights)
    assert {tensor.dtype for tensor in published_motion_model(spec, weights, torch.float16).values()} == {torch.float16}


def test_blocks_are_named_both_ways():
    for part, levels, blocks in (("down_blocks", 4, 2), ("up_blocks", 4, 3)):
        for level in range(levels):
            for block in range(blocks):
                assert published_block(unet_block(part, level, block)) == (part, level, block)
    assert published_block(("middle", 0)) == ("mid_block", 0, 0)


@pytest.mark.parametrize("feed_forward", [False, True])
@pytest.mark.parametrize("layout", ["original", "diffusers"])
def test_a_motion_lora_comes_back(layout, feed_forward):
    given = read_motion_lora(lora_state_dict(feed_forward=feed_forward)).pairs
    written = published_motion_lora(given, layout)
    found = read_motion_lora(written)
    assert not found.unmatched and len(written) == 2 * len(given) == 2 * len(lora_layers(feed_forward=feed_forward))
    ours = {(pair.target, pair.slice): pair for pair in found.pairs}
    for pair in given:
        again = ours[pair.target, pair.slice]
        assert torch.equal(again.up, pair.up) and torch.equal(again.down, pair.down) and again.alpha is None


def test_the_original_layout_is_the_published_one():
    given = lora_state_dict()
    written = published_motion_lora(read_motion_lora(given).pairs)
    assert written.keys() == given.keys()
    assert not any("alpha" in name for name in written)


def test_an_alpha_becomes_part_of_up():
    kohya = {
        n: torch.tensor(1.0) if n.endswith("alpha") else w for n, w in lora_state_dict(layout="kohya", rank=4).items()
    }
    pairs = read_motion_lora(kohya).pairs
    written = published_motion_lora(pairs)
    again = {(pair.target, pair.slice): pair for pair in read_motion_lora(written).pairs}
    for pair in pairs:
        assert torch.equal(again[pair.target, pair.slice].up, pair.up / 4)


@pytest.mark.parametrize("middle", [False, True])
def test_names_fit_the_rules_of_animatediff_evolved(middle):
    """Its reader takes names with "temporal" in them. The weight of a ".down." is the name without "processor.", "_lora" and
    "down.", with a 0 behind to_out; its other half is the name with ".up.", and what has "up." in it is no ".down.".

    Source: Kosinkadink/ComfyUI-AnimateDiff-Evolved d8d163c ``model_injection.py``, ``load_motion_lora_as_patches``.
    """
    layers = lora_state_dict(mid=middle, feed_forward=True)
    written = published_motion_lora(read_motion_lora(layers).pairs)
    weights = motion_shapes(middle=middle)
    downs = [name for name in written if "up." not in name]
    assert 2 * len(downs) == len(written) and all("temporal" in name for name in written)
    found = set()
    for name in downs:
        assert written[name.replace(".down.", ".up.")].shape[1] == written[name].shape[0]
        weight = name.replace("processor.", "").replace("_lora", "").replace("down.", "")
        found.add(weight if "to_out.0." in weight else weight.replace("to_out.", "to_out.0."))
    assert len(found) == len(downs) and found <= weights.keys()
    assert any(name.startswith("mid_block.") for name in weights) == middle  # by which it tells v2 from v3
