"""The loop of image training: AdamW with warm-up and cosine, an average of the weights, to be stopped at any time."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..narrow import save_narrow
from .state import Average, restore, store

WARM_UP = 50
LEAST_RATE = 0.02  # of the learning rate, at the end
LOG_EVERY = 25


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is fitted.

    Attributes:
        name: of its files.
        prefix: of the published names of its weights.
        network: what learns.
        loss: of a step by its number, as (what is made small, what is shown beside it).
        learning_rate: after the warm-up.
        seed: for the file's metadata.
    """

    name: str
    prefix: str
    network: nn.Module
    loss: Callable[[int], tuple[Tensor, Tensor]]
    learning_rate: float
    seed: int


def rate_at(step: int, steps: int) -> float:
    """Factor of the learning rate: a rise, then half a cosine."""
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))
    return min(1.0, (step + 1) / WARM_UP) * (LEAST_RATE + (1 - LEAST_RATE) * cosine)


def fit(task: Task, folder: Path, steps: int, save_every: int) -> None:
    """Train up to a number of steps, from the last state in ``folder``."""
    network = task.network.train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=task.learning_rate, betas=(0.9, 0.99), weight_decay=1e-4)
    average, state = Average(network), folder / f"{task.name}.state.pt"
    done = restore(state, network, optimiser, average)
    began, losses = time.process_time(), []
    for step in range(done, steps):
        loss, shown = task.loss(step)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for group in optimiser.param_groups:
            group["lr"] = task.learning_rate * rate_at(step, steps)
        optimiser.step()
        average.update(network, step)
        losses.append((loss.item(), shown.item()))
        if (step + 1) % LOG_EVERY == 0:
            means = [sum(row) / len(losses) for row in zip(*losses, strict=True)]
            seconds = (time.process_time() - began) / (step + 1 - done)
            print(
                f"{step + 1}: loss {means[0]:.5f}, noise error {means[1]:.5f}, {seconds:.2f} CPU s a step", flush=True
            )
            losses.clear()
        if (step + 1) % save_every == 0 or step + 1 == steps:
            store(state, network, optimiser, average, step + 1)
            weights = {task.prefix + name: value for name, value in average.values.items()}
            made_by = f"train_demo_models.py {task.name} --steps {steps}: step {step + 1}, seed {task.seed}"
            save_narrow(folder / f"{task.name}.safetensors", weights, made_by)


def add_fit_arguments(parser: argparse.ArgumentParser, steps: int) -> None:
    """Options that both trainings with this loop have."""
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--save-every", type=int, default=50)
