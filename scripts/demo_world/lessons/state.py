"""Averages of weights, and state files that a training goes on from."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import nn

DECAY = 0.998


class Average:
    """Exponential moving average of a network's trainable weights.

    Args:
        network: whose weights.
    """

    def __init__(self, network: nn.Module) -> None:
        self.values = {name: weight.detach().clone() for name, weight in network.named_parameters()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after a step; early steps are forgotten sooner."""
        keep = min(DECAY, (step + 1) / (step + 10))
        for name, weight in network.named_parameters():
            self.values[name].lerp_(weight, 1 - keep)


def store(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer, average: Average, step: int) -> None:
    """Write everything that training needs to go on, whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    state = {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "average": average.values}
    torch.save({**state, "step": step}, partial)
    os.replace(partial, path)


def restore(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer, average: Average) -> int:
    """Read a state; returns the steps that are done, 0 without a file."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    network.load_state_dict(state["network"])
    optimiser.load_state_dict(state["optimiser"])
    average.values = state["average"]
    return state["step"]
