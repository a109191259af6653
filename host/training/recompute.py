"""Layers while a training runs: computed a second time in place of being kept, and in the memory order backward likes.

Shapes: any; of a layer's output.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from comfy.ldm.modules.attention import SpatialTransformer
from comfy.ldm.modules.diffusionmodules.openaimodel import ResBlock
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...motion_models.networks.motion_module import MotionModule
from ...training.memory import Checkpointing

TWICE: dict[Checkpointing, tuple[type[nn.Module], ...]] = {
    "none": (),
    "motion": (MotionModule,),
    "all": (MotionModule, ResBlock, SpatialTransformer),
}


@contextmanager
def layers_in_training(networks: Iterable[nn.Module], checkpointing: Checkpointing) -> Iterator[None]:
    """Let layers of ``networks`` run as training needs them inside the ``with`` block; without gradients they run as ever.

    Args:
        networks: the UNet and motion networks. Each layer gets a ``forward`` of its own, for this time only.
        checkpointing: which layers are computed a second time for their gradient.
    """
    changed: list[tuple[nn.Module, Any]] = []
    try:
        for layer in (layer for network in networks for layer in network.modules()):
            twice, ours = isinstance(layer, TWICE[checkpointing]), isinstance(layer, MotionModule)
            if twice or ours:
                changed.append((layer, vars(layer).get("forward")))
                layer.forward = partial(_run, layer.forward, twice, ours)
        yield
    finally:
        for layer, before in changed:
            if before is None:
                del layer.forward
            else:
                layer.forward = before


def _run(forward: Callable[..., Tensor], twice: bool, contiguous: bool, *args: Any, **kwargs: Any) -> Tensor:
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    if twice:
        # The UNet writes into its transformer_options as it goes on: the second time must see what the first one saw.
        seen = [_copied(value) for value in args], {name: _copied(value) for name, value in kwargs.items()}

        def run(*values: Any, **named: Any) -> Tensor:
            return forward(*map(_copied, values), **{name: _copied(value) for name, value in named.items()})

        out: Any = checkpoint(run, *seen[0], use_reentrant=False, preserve_rng_state=False, **seen[1])
    else:
        out = forward(*args, **kwargs)
    return _Contiguous.apply(out) if contiguous else out  # pyright: ignore[reportReturnType]


def _copied(value: Any) -> Any:
    return dict(value) if isinstance(value, dict) else value


class _Contiguous(torch.autograd.Function):
    """The same numbers in plain order, and so for the gradient: torch 2.11's backward crashed on others, on a CPU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.contiguous()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad.contiguous()
