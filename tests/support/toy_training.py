"""Trainings of toy models: targets, files, and one UNet call's gradients without an optimiser."""

from contextlib import ExitStack, contextmanager

import torch

from support.toy_models import unet as toy
from support.training_clips import FRAMES, ToyClips
from zoetrope.host.training.domain_adapter import domain_adapter_target
from zoetrope.host.training.files import TrainingFiles
from zoetrope.host.training.motion_lora import MotionLoraOptions, motion_lora_target
from zoetrope.host.training.motion_model import motion_model_target
from zoetrope.host.training.placement import Placement
from zoetrope.host.training.predict import NoisePredictor
from zoetrope.host.training.recompute import layers_in_training
from zoetrope.host.training.weights import learning, leave_inference_mode
from zoetrope.training.losses import noise_loss
from zoetrope.training.settings import TrainingSettings
from zoetrope.training.state_file import read_state


def settings(**changed) -> TrainingSettings:
    """Of a short training; ``changed`` are others than these."""
    return TrainingSettings(**{"steps": 2, "frames": FRAMES, "stride": 1, "learning_rate": 1e-3, **changed})


def files_in(directory, name="trained") -> TrainingFiles:
    """Files of a training in a folder."""
    return TrainingFiles(result=directory / f"{name}.safetensors", state=directory / f"{name}.state.safetensors")


def toy_target(kind, motion):
    """A target on models of its own, as after a restart; ``motion`` is the motion model of a MotionLoRA."""
    model = toy.toy_model_patcher()
    if kind == "lora":
        return motion_lora_target(model, motion, MotionLoraOptions(rank=2), seed=1)
    if kind == "adapter":
        return domain_adapter_target(model, 2, seed=1)
    return motion_model_target(model, "v3", seed=1)


def state_of(files):
    """Everything that a training would go on from, as tensors by name."""
    state = read_state(files.state)
    return {**state.tensors, "losses": torch.tensor(state.losses, dtype=torch.float64)}


def assert_same(ours, expected):
    """Equal to the bit, where no number is none in both."""
    assert ours.keys() == expected.keys()
    assert all(torch.equal(tensor.nan_to_num(7.0), expected[name].nan_to_num(7.0)) for name, tensor in ours.items())


class Still:
    """A target in which nothing learns."""

    def __init__(self, model):
        self.model, self.holders, self.parameters = model, {}, 0
        self.patchers = [model, *model.get_nested_additional_models()]


@contextmanager
def ready(target, checkpointing="none", frames=FRAMES):
    """(weights that learn, predictor) of a target that is loaded as the loop loads it."""
    placement = Placement(target, ToyClips(), settings(), frames)
    placement.load()
    networks = [patcher.model for patcher in target.patchers]
    try:
        with torch.inference_mode(False), torch.enable_grad():
            leave_inference_mode(networks)
            with learning(networks, target.holders) as weights, layers_in_training(networks, checkpointing):
                yield weights, NoisePredictor(target.model, frames)
    finally:
        target.model.cleanup()


def one_loss(predictor, timesteps=(500,), frames=FRAMES, seed=3, backward=True, clips=None):
    """(loss, predicted noise, noise) of a fixed clip; the loss's gradients are in the weights, with ``backward``."""
    clips, generator = clips or ToyClips(), torch.Generator().manual_seed(seed)
    latents = torch.stack([clips.latents(i, range(frames)) for i in range(len(timesteps))])
    noise = torch.randn(latents.shape, generator=generator)
    noisy, sigmas = predictor.noisy(latents, noise, timesteps)
    with ExitStack() as kept:
        predicted = predictor.predict(noisy, sigmas, [clips.text("a red ball")] * len(timesteps), kept)
        loss = noise_loss(predicted, noise).mean()
        if backward:
            loss.backward()
    return loss.detach(), predicted.detach(), noise


def gradients(target, checkpointing="none", change=None, **options):
    """Gradients of all weights that learn, by name.

    Args:
        target: what learns.
        checkpointing: layers that are computed twice.
        change: called with the weights before.
        options: of `one_loss`.
    """
    with ready(target, checkpointing, options.get("frames", FRAMES)) as (weights, predictor):
        if change is not None:
            with torch.no_grad():
                change(weights)
        one_loss(predictor, **options)
        return {name: weight.grad for name, weight in weights.items()}
