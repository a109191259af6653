"""The first two steps of a training: what learns in each, that nothing is changed before, and that nothing else learns."""

import hashlib

import pytest
import torch

from support.toy_models import unet as toy
from support.toy_models.files import animate, motion_model
from support.toy_training import Still, one_loss, ready, settings
from zoetrope.host.motion.noise_schedule import apply_schedule
from zoetrope.host.training.domain_adapter import domain_adapter_target
from zoetrope.host.training.motion_lora import MotionLoraOptions, motion_lora_target
from zoetrope.host.training.motion_model import motion_model_target
from zoetrope.training.loss_scale import LossScale
from zoetrope.training.optimiser import Optimiser
from zoetrope.training.stages import DOMAIN_ADAPTER_STAGE

UNET_TENSORS = 682  # of SD1.5's layers, whatever their width
# Per module: proj_in and proj_out, 2 attentions of q, k, v as one, out and its bias, 3 norms, 2 linears of the feed-forward
# with biases, the first norm. v3 has 20 modules, v2 one more.
MODULE_TENSORS = 22


def digest(networks, without=()):
    """Of all weights and tables of networks but some."""
    found, left_out = hashlib.sha256(), {id(weight) for weight in without}
    for network in networks:
        for name, tensor in sorted({**dict(network.named_parameters()), **dict(network.named_buffers())}.items()):
            if id(tensor) not in left_out:
                found.update(name.encode() + tensor.detach().cpu().numpy().tobytes())
    return found.hexdigest()


def with_any_number(weights):
    """Names of the weights whose gradient has a number that is not 0."""
    return {name for name, weight in weights.items() if weight.grad.any()}


def first_two_steps(target, frames):
    """(what is predicted before anything is learnt, names with gradients at the first step, and at the second)."""
    networks = [patcher.model for patcher in target.patchers]
    with ready(target, frames=frames) as (weights, predictor):
        learning = {id(weight) for weight in weights.values()}
        frozen = [one for network in networks for one in network.parameters() if id(one) not in learning]
        assert len(frozen) >= UNET_TENSORS and not any(one.requires_grad for one in frozen)
        before = digest(networks, weights.values())
        optimiser = Optimiser(weights, settings(), LossScale(False))
        predicted = one_loss(predictor, frames=frames)[1]
        first = with_any_number(weights)
        assert optimiser.step(0)
        one_loss(predictor, frames=frames)
        second = with_any_number(weights)
        assert optimiser.step(1)
        assert all(one.grad is None for one in frozen)
        assert digest(networks, weights.values()) == before
        return predicted, first, second, len(weights)


def predicted_without(model, frames):
    """What a MODEL predicts in which nothing learns."""
    with ready(Still(model), frames=frames) as (_, predictor):
        return one_loss(predictor, frames=frames, backward=False)[1]


@pytest.mark.newest_host
@pytest.mark.parametrize(("shape", "modules"), [("v3", 20), ("v2", 21)])
def test_a_new_motion_model(shape, modules):
    """At first its last layers are 0, so they alone learn, and the MODEL is what it was."""
    model = toy.toy_model_patcher()
    predicted, first, second, count = first_two_steps(motion_model_target(model, shape, seed=1), 2)
    assert count == modules * MODULE_TENSORS
    assert len(first) == 2 * modules and all(".proj_out." in name for name in first)
    assert len(second) == count
    still = model.clone()
    apply_schedule(still, "sqrt_linear")
    assert torch.equal(predicted, predicted_without(still, 2))


@pytest.mark.newest_host
def test_a_new_motion_lora(tmp_path):
    """At first `up` is 0: 20 modules x 2 attentions x q, k, v, out, and twice as many with `down` from then on."""
    model, motion = toy.toy_model_patcher(), motion_model(tmp_path, "v3")
    target = motion_lora_target(model, motion, MotionLoraOptions(rank=2), seed=1)
    predicted, first, second, count = first_two_steps(target, 2)
    assert len(first) == 160 and all(name.endswith(".up") for name in first)
    assert len(second) == count == 320
    assert torch.equal(predicted, predicted_without(animate(model, motion), 2))


@pytest.mark.newest_host
def test_a_new_domain_adapter():
    """16 spatial transformers x 2 attentions x q, k, v, out."""
    model = toy.toy_model_patcher()
    predicted, first, second, count = first_two_steps(domain_adapter_target(model, 2, seed=1), 1)
    assert len(first) == 128 and all(name.endswith(".up") for name in first)
    assert len(second) == count == 256
    still = model.clone()
    apply_schedule(still, DOMAIN_ADAPTER_STAGE.beta_schedule)
    assert torch.equal(predicted, predicted_without(still, 1))
