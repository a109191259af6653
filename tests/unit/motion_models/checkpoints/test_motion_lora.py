import pytest
import torch

from support.files.motion import BLOCK, motion_file
from support.toy_models.motion import LORA_NAMES, hotshot_name, lora_state_dict
from zoetrope.motion_models.checkpoints.motion_lora import read_motion_lora
from zoetrope.motion_models.checkpoints.motion_model import read_motion_checkpoint
from zoetrope.motion_models.errors import MotionFileError

FIRST = f"down_blocks.0.motion_modules.0.{BLOCK}attention_blocks.0."
WIDTHS = (32, 32, 32, 32)


def apply(weights, pairs, strength):
    """What the host does with pairs: add strength * alpha / rank * up @ down to the rows named by the slice."""
    patched = {name: weight.clone() for name, weight in weights.items()}
    for pair in pairs:
        scale = strength if pair.alpha is None else strength * pair.alpha / pair.down.shape[0]
        start, length = pair.slice or (0, pair.up.shape[0])
        patched[pair.target][start : start + length] += scale * (pair.up @ pair.down)
    return patched


@pytest.mark.parametrize(("rank", "strength"), [(1, 1.0), (4, -0.5), (16, 2.0)])
@pytest.mark.parametrize("alpha", [None, 2.0])
def test_patched_slices_equal_a_file_with_the_delta_in_it(rank, strength, alpha):
    base = motion_file(middle=True, widths=WIDTHS)
    lora = lora_state_dict(mid=True, rank=rank)
    merged = dict(base)
    for name, down in lora.items():
        if name.endswith("_lora.down.weight"):
            layer, weight = name.removesuffix("_lora.down.weight").split(".processor.")
            target = f"{layer}.{weight.replace('to_out', 'to_out.0')}.weight"
            up = lora[name.replace("down", "up") if "down_blocks" not in name else name[:-11] + "up.weight"]
            merged[target] = base[target] + strength * (1.0 if alpha is None else alpha / rank) * (up @ down)
    if alpha is not None:
        alphas = {name[: -len("down.weight")] + "alpha" for name in lora if name.endswith("down.weight")}
        lora |= {name: torch.tensor(alpha) for name in alphas}
    file = read_motion_lora(lora)
    assert not file.unmatched
    assert len(file.pairs) == 21 * 2 * 4
    patched = apply(read_motion_checkpoint(base)[1], file.pairs, strength)
    _, expected = read_motion_checkpoint(merged)
    for name, weight in expected.items():
        torch.testing.assert_close(patched[name], weight)


def test_pair_of_each_projection():
    pairs = read_motion_lora(lora_state_dict(mid=False)).pairs[:4]
    prefix = "sites.input_1.attentions.0."
    assert [(pair.target, pair.slice) for pair in pairs] == [
        (prefix + "to_qkv.weight", (0, 32)),
        (prefix + "to_qkv.weight", (32, 32)),
        (prefix + "to_qkv.weight", (64, 32)),
        (prefix + "to_out.weight", None),
    ]


def test_pairs_keep_the_files_tensors():
    lora = lora_state_dict(mid=False)
    pair = read_motion_lora({"state_dict": lora, "epoch": 2}).pairs[0]
    assert pair.up is lora[FIRST + "processor.to_q_lora.up.weight"]
    assert pair.down is lora[FIRST + "processor.to_q_lora.down.weight"]


def test_prefixes_change_nothing():
    plain = read_motion_lora(lora_state_dict()).pairs
    prefixed = read_motion_lora({f"module.{name}": weight for name, weight in lora_state_dict().items()}).pairs
    assert [(pair.target, pair.slice) for pair in plain] == [(pair.target, pair.slice) for pair in prefixed]


def test_middle_block_pairs_are_told_apart_by_target():
    spec, weights = read_motion_checkpoint(motion_file(widths=WIDTHS, positions=32))
    targets = {pair.target for pair in read_motion_lora(lora_state_dict(mid=True)).pairs}
    assert spec.family.name == "v3"
    assert {target.split(".")[1] for target in targets - weights.keys()} == {"middle_0"}


@pytest.mark.parametrize(
    ("layout", "feed_forward"),
    # diffusers' attention processors hold no feed-forward.
    [
        (name, ff)
        for name in LORA_NAMES
        for ff in (False, True)
        if name != "original" and (name, ff) != ("diffusers", True)
    ],
)
def test_every_layout_gives_the_same_pairs(layout, feed_forward):
    expected = read_motion_lora(lora_state_dict(feed_forward=feed_forward))
    file = read_motion_lora(lora_state_dict(layout=layout, feed_forward=feed_forward))
    assert not file.unmatched and file.middle
    assert len(file.pairs) == 21 * (8 + 2 * feed_forward)
    for pair, other in zip(expected.pairs, file.pairs, strict=True):
        assert (pair.target, pair.slice) == (other.target, other.slice)
        assert pair.up.equal(other.up) and pair.down.equal(other.down)
        assert other.alpha == (4.0 if layout == "kohya" else None)


def test_feed_forward_pairs_have_our_names():
    pairs = read_motion_lora(lora_state_dict(layout="motion_director", feed_forward=True)).pairs[8:10]
    ff = "sites.input_1.feed_forward."
    assert [pair.target for pair in pairs] == [ff + "expand.weight", ff + "contract.weight"]


def test_three_levels_of_sdxl():
    file = read_motion_lora({hotshot_name(k): w for k, w in lora_state_dict(mid=False, levels=3).items()})
    assert not file.unmatched and not file.middle
    assert {pair.target.split(".")[1] for pair in file.pairs} >= {"input_8", "output_8"}


def test_weights_of_no_pair_are_reported():
    extra = {
        f"down_blocks.0.motion_modules.0.{BLOCK}ff.net.7.processor.proj_lora.up.weight": torch.zeros(256, 4),
        FIRST + "processor.to_x_lora.up.weight": torch.zeros(32, 4),
        FIRST + "processor.to_q_lora.dora_scale": torch.zeros(32),
        "other.weight": torch.zeros(1),
    }
    file = read_motion_lora(lora_state_dict() | extra)
    assert set(file.unmatched) == extra.keys()
    assert len(file.pairs) == 21 * 2 * 4


@pytest.mark.parametrize("half", ["up", "down"])
def test_half_a_pair_is_named(half):
    lora = lora_state_dict()
    del lora[f"{FIRST}processor.to_v_lora.{half}.weight"]
    with pytest.raises(MotionFileError, match=f"incomplete.*the {half} half of .*to_v_lora.* is missing"):
        read_motion_lora(lora)


def test_ranks_that_differ_within_a_pair_are_named():
    lora = lora_state_dict(rank=4)
    lora[FIRST + "processor.to_k_lora.up.weight"] = torch.zeros(32, 8)
    with pytest.raises(MotionFileError, match="to_k_lora.up.weight is 32 x 8 and .*down.weight 4 x 32"):
        read_motion_lora(lora)
