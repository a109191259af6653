"""ControlNet training: outlines of the thing tell where it is; the image network is frozen.

Shapes: B = pictures of a step.
"""

from __future__ import annotations

import argparse

from torch import Tensor

from ..layout import CONTROL
from ..narrow import control_network, image_network, load_narrow, unet_weights
from ..text import encodings
from .fit import Task, add_fit_arguments, fit
from .image import draw_batch

WORLD_SEED = 31


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_fit_arguments(parser, 600)


def run(options: argparse.Namespace) -> None:
    texts = encodings(options.folder / "texts.safetensors")
    unet = image_network().requires_grad_(False)
    unet.load_state_dict(unet_weights(load_narrow(options.folder / "image.safetensors")))
    network = control_network(unet)

    def loss(step: int) -> tuple[Tensor, Tensor]:
        batch = draw_batch(step, texts, WORLD_SEED, with_hints=True)
        noisy = batch.noisy()
        control = network(x=noisy, hint=batch.hints, timesteps=batch.times, context=batch.context)
        return batch.loss(unet(noisy, batch.times, context=batch.context, control=control))

    task = Task(name="control", prefix=CONTROL, network=network, loss=loss, learning_rate=1e-3, seed=WORLD_SEED)
    fit(task, options.folder, options.steps, options.save_every)
