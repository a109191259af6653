"""per_block strings; the names are the published ones of the motion modules."""

import pytest

from support.files.motion import motion_file
from zoetrope.motion_models.block_values import BLOCK_VALUES_EXAMPLE, block_name, parse_block_values
from zoetrope.motion_models.checkpoints.motion_model import read_motion_checkpoint
from zoetrope.motion_models.checkpoints.weight_names import unet_block
from zoetrope.motion_models.spec import Site


def site(part, level=0, block=0):
    return Site(*unet_block(part, level, block), channels=32)


def test_the_example_of_the_tooltip():
    values = parse_block_values(BLOCK_VALUES_EXAMPLE)
    assert values.at(site("down_blocks", 1, 1)).effect == 1.0
    assert values.at(site("mid_block")).effect == 0.5
    assert values.at(site("up_blocks", 2, 0)).effect == 0.0
    assert values.at(site("up_blocks", 2, 1)).effect == 1.0


def test_the_most_exact_entry_wins_in_any_order():
    for text in ("up: 0.1, up.1: 0.2, up.1.2: 0.3", "up.1.2: 0.3\nup.1: 0.2\nup: 0.1"):
        values = parse_block_values(text)
        got = [values.at(site("up_blocks", level, block)).effect for level, block in ((0, 0), (1, 0), (1, 2))]
        assert got == [0.1, 0.2, 0.3]


def test_a_level_of_one_digit_does_not_mean_ten():
    assert parse_block_values("up.1: 0").at(Site("output", 30, 32)).effect == 1.0  # up.10.0


def test_scale():
    value = parse_block_values("down.0: 0.5 scale 1.3").at(site("down_blocks", 0, 1))
    assert (value.effect, value.scale) == (0.5, 1.3)


@pytest.mark.parametrize("text", ["left: 1", "up", "up: x", "up: nan", "up.1.2.3: 1", "up: 1 scale", "mid: 1 2"])
def test_unreadable_entries_are_named(text):
    with pytest.raises(ValueError, match="per_block cannot read '" + text):
        parse_block_values(f"down: 1, {text}")


def test_blocks_that_a_motion_model_lacks():
    spec, _ = read_motion_checkpoint(motion_file(middle=False))
    assert parse_block_values("mid: 1, up.3.2: 1, up.4: 1, down.0.2: 0").unknown(spec) == ["mid", "up.4", "down.0.2"]
    assert [block_name(s) for s in spec.sites][:3] == ["down.0.0", "down.0.1", "down.1.0"]
    assert block_name(spec.sites[-1]) == "up.3.2"
