"""First weights of what is trained from nothing, the same for the same seed.

Shapes: O = outputs, I = inputs of a linear layer, R = rank.
"""

import torch
from torch import Tensor

from ..motion_models.networks.motion_module import MotionNetwork
from ..motion_models.networks.positions import sinusoidal_positions
from ..motion_models.spec import MotionSpec
from .draws import seeded


def new_motion_weights(spec: MotionSpec, seed: int) -> dict[str, Tensor]:
    """A motion model that changes nothing yet: its last layers are 0.

    Args:
        spec: of the motion model.
        seed: of the other layers.

    Returns:
        Its state dict, float32; linear layers as torch's own begin, norms with gain 1.

    Source:
        Guo et al. 2023, "AnimateDiff", section 4.2; guoyww/AnimateDiff ``motion_module.py``, ``zero_module``.
    """
    shapes = {
        name: value.shape for name, value in MotionNetwork(spec, device=torch.device("meta")).state_dict().items()
    }
    generator = seeded(seed, "motion model")
    weights: dict[str, Tensor] = {}
    for name, shape in shapes.items():
        layer, _, kind = name.rpartition(".")
        if kind == "positions":
            weights[name] = sinusoidal_positions(spec.max_frames, shape[-1])
        elif layer.endswith(".norm"):
            weights[name] = torch.ones(shape) if kind == "weight" else torch.zeros(shape)
        elif layer.endswith(".proj_out"):
            weights[name] = torch.zeros(shape)
        else:
            bound = shapes[f"{layer}.weight"][1] ** -0.5
            weights[name] = (2 * torch.rand(shape, generator=generator) - 1) * bound
    return weights


def new_pair(outputs: int, inputs: int, rank: int, seed: int, name: str) -> tuple[Tensor, Tensor]:
    """(up, down) of a low-rank pair that changes nothing yet: up is 0.

    Args:
        outputs: O.
        inputs: I.
        rank: R.
        seed: of ``down``.
        name: of the layer; each has numbers of its own.

    Returns:
        (O, R) and (R, I), float32.

    Source:
        Hu et al. 2021, "LoRA", section 4.1; diffusers ``LoRALinearLayer``, whose deviation of 1 / R is taken.
    """
    return torch.zeros(outputs, rank), torch.randn(rank, inputs, generator=seeded(seed, name)) / rank
