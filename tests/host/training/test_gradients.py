"""What a training does to a MODEL: nothing that stays; its tensors of a prompt, and the memory of its layers."""

import hashlib

import pytest
import torch

from support.toy_models import unet as toy
from support.toy_models.files import motion_model
from support.toy_training import files_in, gradients, settings
from support.training_clips import FRAMES, ToyClips
from zoetrope.host.training.domain_adapter import domain_adapter_target
from zoetrope.host.training.loop import train
from zoetrope.host.training.motion_lora import MotionLoraOptions, motion_lora_target
from zoetrope.host.training.motion_model import motion_model_target
from zoetrope.host.training.predict import NoisePredictor
from zoetrope.host.training.weights import leave_inference_mode

RANK = 2


@pytest.fixture
def model():
    return toy.toy_model_patcher()


@pytest.fixture
def motion(tmp_path):
    return motion_model(tmp_path, "v3")


def digest(network):
    """Of all weights and tables."""
    found = hashlib.sha256()
    for name, tensor in sorted({**dict(network.named_parameters()), **dict(network.named_buffers())}.items()):
        found.update(name.encode() + tensor.detach().cpu().numpy().tobytes())
    return found.hexdigest()


def make_target(kind, model, motion):
    if kind == "lora":
        return motion_lora_target(model, motion, MotionLoraOptions(rank=RANK), seed=1)
    if kind == "adapter":
        return domain_adapter_target(model, RANK, seed=1)
    return motion_model_target(model, motion, seed=1)


@pytest.mark.parametrize("kind", ["lora", "model", "adapter"])
def test_a_training_leaves_the_model_as_it_was(model, motion, tmp_path, kind):
    networks = [model.model.diffusion_model, motion.patcher.model]
    before, sampled = [digest(network) for network in networks], toy.sample(model, frames=2, steps=1)
    wrappers, options = str(model.wrappers), str(model.model_options)
    result = train(make_target(kind, model, motion), ToyClips(), settings(steps=1), files_in(tmp_path))
    assert result.trained == 1 and result.files.result.is_file()
    assert [digest(network) for network in networks] == before
    assert (str(model.wrappers), str(model.model_options)) == (wrappers, options)
    for network in networks:
        for layer in network.modules():
            assert not layer._forward_hooks and not layer._forward_pre_hooks and "forward" not in vars(layer)
        assert all(weight.grad is None and not weight.requires_grad for weight in network.parameters())
    assert torch.equal(toy.sample(model, frames=2, steps=1), sampled)


def test_models_that_a_prompt_loaded_can_be_trained_on(tmp_path):
    """A prompt runs in inference mode; without taking its tensors anew torch refuses."""
    with torch.inference_mode():
        model, motion = toy.toy_model_patcher(), motion_model(tmp_path, "v3")
        target = motion_lora_target(model, motion, MotionLoraOptions(rank=RANK), seed=1)
        assert all(weight.is_inference() for weight in model.model.parameters())
        target.model.pre_run()
        for weight in target.patchers[1].model.parameters():
            assert weight.is_inference()
        with torch.inference_mode(False), torch.enable_grad():
            latents = torch.zeros(1, FRAMES, 4, 16, 16)
            predictor = NoisePredictor(target.model, FRAMES)
            with pytest.raises(RuntimeError, match="[Ii]nference tensor"):
                noisy, sigmas = predictor.noisy(latents.requires_grad_(), latents, (500,))
                predictor.predict(noisy, sigmas, [ToyClips().text("")], None).sum().backward()
        result = train(target, ToyClips(), settings(steps=1), files_in(tmp_path))
        assert result.trained == 1
        assert torch.isfinite(toy.sample(model, frames=2, steps=1)).all()
    leave_inference_mode([model.model])
    assert not any(weight.is_inference() for weight in model.model.parameters())


@pytest.mark.newest_host
@pytest.mark.parametrize("kind", ["lora", "model", "adapter"])
def test_computing_layers_twice_keeps_an_eighth_and_changes_nothing(model, motion, kind):
    """An eighth is what was planned for real widths, where it was counted on meta tensors: 20.94 GiB to 1.53."""

    def measured(checkpointing):
        kept = 0

        def pack(tensor):
            nonlocal kept
            kept += tensor.nbytes
            return tensor

        def move(weights):
            for weight in weights.values():
                weight += 0.01

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            found = gradients(
                make_target(kind, model, motion), checkpointing, change=move, frames=1 if kind == "adapter" else 2
            )
        return found, kept

    plain, much = measured("none")
    twice, little = measured("all")
    assert all(torch.equal(plain[name], twice[name]) for name in plain)
    print(kind, much, little)
    assert little < much / 8
