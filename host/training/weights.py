"""Weights while a training runs: those that learn are new leaves in float32, all others take no gradient.

A prompt runs in torch's inference mode, and what is loaded there can be no part of a gradient for good. Such weights are
taken anew, once, one after the other.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .target import Holder


def leave_inference_mode(networks: Iterable[nn.Module]) -> None:
    """Put an equal ordinary tensor in the place of each tensor that was made in inference mode.

    Args:
        networks: loaded; they are on their device afterwards as before.
    """
    for network in networks:
        taken: dict[int, nn.Parameter] = {}
        for layer in network.modules():
            for name, weight in list(layer.named_parameters(recurse=False)):
                if weight.is_inference():
                    if id(weight) not in taken:  # two layers can share a weight
                        taken[id(weight)] = nn.Parameter(weight.detach().clone(), requires_grad=False)
                    setattr(layer, name, taken[id(weight)])
            for name, table in list(layer.named_buffers(recurse=False)):
                if table.is_inference():
                    setattr(layer, name, table.clone())


@contextmanager
def learning(networks: Iterable[nn.Module], holders: Mapping[str, Holder]) -> Iterator[dict[str, Tensor]]:
    """The weights that learn, by name, inside the ``with`` block; afterwards nothing takes a gradient that took none before.

    Args:
        networks: everything that computes, loaded, out of inference mode.
        holders: where the weights that learn lie.
    """
    took = [weight for network in networks for weight in network.parameters() if weight.requires_grad]
    for weight in took:
        weight.requires_grad_(False)
    leaves: dict[str, Tensor] = {}
    for name, (layer, own) in holders.items():
        leaves[name] = nn.Parameter(getattr(layer, own).detach().to(torch.float32, copy=True))
        setattr(layer, own, leaves[name])
    try:
        yield leaves
    finally:
        for leaf in leaves.values():
            leaf.grad = None
            leaf.requires_grad_(False)
        for weight in took:
            weight.requires_grad_(True)
