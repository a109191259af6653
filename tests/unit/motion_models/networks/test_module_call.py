"""Values over frames and pixels inside a motion module, low-rank branches and camera poses.

Expected values are the same module run with one number at a time: a value of frame f or pixel p must act as that number
acts on that frame or pixel.
"""

import pytest
import torch

from support.files.motion import motion_file
from support.toy_models.modules import CHANNELS, FRAMES, build, clip
from zoetrope.motion_models.checkpoints.motion_lora import LoraPair
from zoetrope.motion_models.networks.low_rank import LowRankNetwork
from zoetrope.motion_models.networks.module_call import Branch, ModuleCall, PoseMerge

TOLERANCE = 2e-5
SIZE = (4, 6)
PIXELS = SIZE[0] * SIZE[1]


@pytest.fixture(scope="module")
def module():
    return build().module_at("input", 4)


def random(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def mask_of_values(left, right):
    """(FRAMES, PIXELS): one number in the left half of the picture, another in the right."""
    rows = torch.full((FRAMES, *SIZE), float(left))
    rows[..., SIZE[1] // 2 :] = right
    return rows.flatten(1)


def check_halves(module, make, left, right, chunks=2):
    """Each half of the picture must be what its number alone makes: motion modules never mix pixels."""
    x = clip(chunks=chunks)
    both = module(x, FRAMES, make(mask_of_values(left, right)))
    half = SIZE[1] // 2
    for columns, number in ((slice(0, half), left), (slice(half, None), right)):
        alone = module(x, FRAMES, make(float(number)))
        torch.testing.assert_close(both[..., columns], alone[..., columns], rtol=0, atol=TOLERANCE)
    assert (both[..., half:] - module(x, FRAMES, make(float(left)))[..., half:]).abs().max() > 1e-3


def test_effect_by_pixel(module):
    check_halves(module, lambda value: ModuleCall(effect=value), 0.2, 0.9)


def test_scale_by_pixel(module):
    check_halves(module, lambda value: ModuleCall(scale=value), 0.5, 2.0)


def test_effect_by_frame(module):
    x = clip(chunks=2)
    values = torch.linspace(0, 1, FRAMES).unsqueeze(1)
    full = module(x, FRAMES)
    expected = x + (full - x) * values.repeat(2, 1)[..., None, None]
    torch.testing.assert_close(module(x, FRAMES, ModuleCall(effect=values)), expected, rtol=0, atol=TOLERANCE)
    assert torch.equal(module(x, FRAMES, ModuleCall(effect=values))[0], x[0])


def test_scale_by_frame_scales_the_keys_of_that_frame():
    """Only the key of one frame scaled to 0: every query sees it with logit 0. Compared with the formula."""
    network = build()
    attention = network.module_at("input", 4).attentions[0]
    x = random(3, FRAMES, CHANNELS, seed=1)
    values = torch.ones(FRAMES, 1)
    values[2] = 0.0
    out = attention(x, ModuleCall(scale=values).for_sequences(1, FRAMES, 3))
    h = attention.norm(x) + attention.positions[:, :FRAMES]
    q, k, v = attention.to_qkv(h).view(3, FRAMES, 3, attention.heads, -1).permute(2, 0, 3, 1, 4)
    k = k.clone()
    k[:, :, 2] = 0.0
    logits = q @ k.transpose(-1, -2) / k.shape[-1] ** 0.5
    expected = x + attention.to_out((logits.softmax(-1) @ v).transpose(1, 2).reshape(3, FRAMES, CHANNELS))
    torch.testing.assert_close(out, expected, rtol=0, atol=TOLERANCE)


def pairs(seed=5, rank=3, alpha=None):
    """A pair for q, v and out of both attentions and for the feed-forward of the module at input 4."""
    out, c = [], CHANNELS
    for n in range(2):
        base = f"sites.input_4.attentions.{n}."
        for rows in ((0, c), (2 * c, c)):
            out.append(pair(base + "to_qkv.weight", c, c, rows, rank, seed + len(out), alpha))
        out.append(pair(base + "to_out.weight", c, c, None, rank, seed + len(out), alpha))
    ff = "sites.input_4.feed_forward."
    out.append(pair(ff + "expand.weight", 8 * c, c, None, rank, seed + 20, alpha))
    out.append(pair(ff + "contract.weight", c, 4 * c, None, rank, seed + 21, alpha))
    return tuple(out)


def pair(target, rows_out, rows_in, rows, rank, seed, alpha):
    up, down = random(rows_out, rank, seed=seed) * 0.1, random(rank, rows_in, seed=seed + 50) * 0.1
    return LoraPair(target, rows, up, down, alpha)


def branches(lora, strength):
    found = {}
    for name, branch in LowRankNetwork([lora]).branches(0, strength, "sites.input_4."):
        found[name] = (*found.get(name, ()), branch)
    return found


def baked(lora, strength):
    """The module with strength * alpha / rank * up @ down added to its weights."""
    network = build()
    weights = network.state_dict()
    for one in lora:
        start, length = one.slice or (0, one.up.shape[0])
        factor = 1.0 if one.alpha is None else one.alpha / one.down.shape[0]
        weights[one.target][start : start + length] += strength * factor * (one.up @ one.down)
    return network.module_at("input", 4)


@pytest.mark.parametrize("alpha", [None, 6.0])
def test_branches_equal_the_dense_delta(module, alpha):
    lora, x = pairs(alpha=alpha), clip(chunks=2)
    ours = module(x, FRAMES, ModuleCall(branches=branches(lora, -0.7)))
    torch.testing.assert_close(ours, baked(lora, -0.7)(x, FRAMES), rtol=0, atol=TOLERANCE)
    assert (ours - module(x, FRAMES)).abs().max() > 1e-2


def test_branch_strength_by_pixel(module):
    lora = pairs()
    check_halves(module, lambda value: ModuleCall(branches=branches(lora, value)), -1.0, 1.0)


def test_branch_strength_by_frame_of_the_last_layer(module):
    """Behind the attentions frames do not meet, so each frame must be what its own strength alone makes."""
    lora = [one for one in pairs() if one.target.endswith("contract.weight")]
    x, values = clip(), torch.linspace(-1, 1, FRAMES).unsqueeze(1)
    ramp = module(x, FRAMES, ModuleCall(branches=branches(lora, values)))
    for frame in range(FRAMES):
        alone = module(x, FRAMES, ModuleCall(branches=branches(lora, float(values[frame]))))
        torch.testing.assert_close(ramp[frame], alone[frame], rtol=0, atol=TOLERANCE)
    assert (ramp[0] - module(x, FRAMES)[0]).abs().max() > 1e-2


@pytest.mark.parametrize("limit", [1, 5, 12])
def test_passes_give_the_same(module, limit):
    call = ModuleCall(
        scale=mask_of_values(0.5, 1.5),
        effect=mask_of_values(1.0, 0.3),
        branches=branches(pairs(), torch.linspace(-1, 1, FRAMES).unsqueeze(1)),
        pose=PoseMerge(random(FRAMES, CHANNELS, PIXELS, seed=9), torch.nn.Linear(CHANNELS, CHANNELS), 0.8),
    )
    x = clip(chunks=2)
    few = build(max_sequences=2 * limit).module_at("input", 4)
    torch.testing.assert_close(few(x, FRAMES, call), module(x, FRAMES, call), rtol=0, atol=TOLERANCE)


def test_pose_enters_the_first_attention_only():
    """The formula of CameraCtrl's PoseAdaptorAttnProcessor: h + s * merge(h + pose), for each chunk the same pose."""
    network = build().module_at("input", 4)
    merge = torch.nn.Linear(CHANNELS, CHANNELS).requires_grad_(False)
    pose = random(FRAMES, CHANNELS, PIXELS, seed=9)
    x = clip(chunks=2)
    seen = []
    handles = [a.to_qkv.register_forward_hook(lambda _m, args, _o: seen.append(args[0])) for a in network.attentions]
    network(x, FRAMES)
    network(x, FRAMES, ModuleCall(pose=PoseMerge(pose, merge, 0.6)))
    for handle in handles:
        handle.remove()
    plain, with_pose = seen[0], seen[2]
    rows = pose.permute(2, 0, 1).repeat(2, 1, 1)
    torch.testing.assert_close(with_pose, plain + 0.6 * merge(plain + rows), rtol=0, atol=TOLERANCE)


def test_low_rank_network_holds_the_files_own_tensors():
    lora = pairs()
    network = LowRankNetwork([lora, lora])
    assert {p.data_ptr() for p in network.parameters()} == {t.data_ptr() for one in lora for t in (one.up, one.down)}


def test_branch_of_strength_zero_adds_nothing():
    out, x = random(2, 3, 4, seed=1), random(2, 3, 4, seed=2)
    before = out.clone()
    Branch(torch.nn.Identity(), torch.nn.Identity(), torch.zeros(3, 1).t().unsqueeze(-1)).add_to(out, x)
    assert torch.equal(out, before)


def test_attention_gain_scales_what_attentions_add():
    from dataclasses import replace

    from zoetrope.motion_models.checkpoints.motion_model import read_motion_checkpoint
    from zoetrope.motion_models.networks.motion_module import MotionNetwork

    spec, weights = read_motion_checkpoint(motion_file())
    plain, gained = (MotionNetwork(s).eval().requires_grad_(False) for s in (spec, replace(spec, attention_gain=0.25)))
    plain.load_state_dict(weights)
    gained.load_state_dict(weights)
    x = random(3, FRAMES, CHANNELS, seed=1)
    one, other = (n.module_at("input", 4).attentions[1] for n in (plain, gained))
    torch.testing.assert_close(other(x), x + 0.25 * (one(x) - x), rtol=0, atol=TOLERANCE)
