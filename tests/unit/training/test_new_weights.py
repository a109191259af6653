"""First weights: nothing is changed by them, and the same seed gives the same."""

import torch

from support.files.motion import motion_file
from zoetrope.motion_models.checkpoints.motion_model import read_motion_checkpoint
from zoetrope.motion_models.networks.motion_module import MotionNetwork
from zoetrope.training.new_weights import new_motion_weights, new_pair

SPEC = read_motion_checkpoint(motion_file(positions=32))[0]


def test_a_new_motion_model_gives_back_its_input():
    network = MotionNetwork(SPEC)
    network.load_state_dict(new_motion_weights(SPEC, seed=3))
    x = torch.randn(8, 64, 4, 4, generator=torch.Generator().manual_seed(0))
    module = network.module_at("input", 4)
    assert torch.equal(module(x, 8), x)
    torch.nn.init.eye_(module.proj_out.weight)
    assert not torch.equal(module(x, 8), x)


def test_linear_layers_begin_as_torchs_and_norms_as_identity():
    weights = new_motion_weights(SPEC, seed=3)
    expand = weights["sites.input_4.feed_forward.expand.weight"]
    bound = 64**-0.5  # torch.nn.Linear: uniform up to 1 / sqrt(inputs)
    assert expand.abs().max() <= bound and abs(expand.std().item() - bound / 3**0.5) < 0.01 * bound
    assert torch.equal(weights["sites.input_4.norm.weight"], torch.ones(64))


def test_seeds():
    one, same, other = (new_motion_weights(SPEC, seed=seed) for seed in (3, 3, 4))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["sites.input_4.proj_in.weight"], other["sites.input_4.proj_in.weight"])
    before = torch.get_rng_state()
    up, down = new_pair(6, 4, 3, 1, "layer")
    assert up.shape == (6, 3) and not up.any() and down.shape == (3, 4)
    assert torch.equal(down, new_pair(6, 4, 3, 1, "layer")[1])
    assert not torch.equal(down, new_pair(6, 4, 3, 1, "another")[1])
    assert torch.equal(before, torch.get_rng_state())
