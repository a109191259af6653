"""A motion model as what learns: all of its motion modules, from nothing or from a file."""

from collections.abc import Mapping
from typing import Any, Literal

import comfy.model_management
import comfy.ops
import torch
from comfy.ldm.modules.attention import SpatialTransformer
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...inputs.quoting import plain
from ...motion_models.checkpoints.write_motion_model import published_motion_model
from ...motion_models.families import FAMILIES
from ...motion_models.networks.motion_module import MotionNetwork
from ...motion_models.spec import MotionSpec, Site
from ...training.new_weights import new_motion_weights
from ...training.stages import MOTION_MODEL_STAGE
from ..loading import patchers
from ..loading.digests import model_digest, weights_digest
from ..motion import noise_schedule
from ..motion.apply import apply_motion_model
from ..motion.load import MotionModel
from ..motion.settings import MotionSettings
from ..motion.unet_sites import motion_sites
from .motion_lora import require_still, require_trainable
from .target import UNET_WEIGHTS, Target, clone_for_training

NewShape = Literal["v3", "v2"]
_BLOCKS = 12  # on the way down and on the way up of an SD1.5 UNet


def motion_model_target(
    model: ModelPatcher,
    start: NewShape | MotionModel,
    seed: int,
    positions: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Target:
    """All motion modules of a motion model on a MODEL.

    Args:
        model: MODEL without a motion model; a domain adapter may be on it.
        start: from which weights: new ones in the shape of v3 or v2 (with a middle block), or those of a motion model.
        seed: of new weights.
        positions: of a new motion model, in frames; 0 is as many as its family has.
        dtype: of the file.

    Raises:
        ValueError: the motion model does not fit, or is one that no training can go on from.
    """
    require_still(model)
    name, spec, weights = _first_weights(model, start, seed, positions)
    patcher = learning_patcher(spec, weights)
    settings = MotionSettings(name=name, spec=spec)
    animated = apply_motion_model(
        clone_for_training(model), MotionModel(name, spec, patcher, ""), settings, noise_schedule.AUTO
    )
    table = {key: value for key, value in weights.items() if key.endswith(".positions")}
    network: MotionNetwork = patcher.model
    return Target(
        stage=MOTION_MODEL_STAGE,
        model=animated,
        holders={
            f"{place}.{own}": (layer, own)
            for place, layer in network.named_modules()
            for own, _ in layer.named_parameters(recurse=False)
        },
        most_frames=spec.max_frames,
        facts={"checkpoint": model_digest(model, UNET_WEIGHTS), "first weights": weights_digest(weights)},
        file=lambda learnt: published_motion_model(spec, {**learnt, **table}, dtype),
    )


def _first_weights(
    model: ModelPatcher, start: NewShape | MotionModel, seed: int, positions: int
) -> tuple[str, MotionSpec, dict[str, Tensor]]:
    """Name, description and float32 state dict to begin with."""
    if isinstance(start, MotionModel):
        require_trainable(start.spec, start.name)
        weights = {key: value.to(torch.float32) for key, value in start.patcher.model.state_dict().items()}
        return start.name, start.spec, weights
    spec = new_spec(model, start, positions)
    return "the motion model in training", spec, new_motion_weights(spec, seed)


def new_spec(model: ModelPatcher, shape: NewShape, positions: int) -> MotionSpec:
    """A motion model for the UNet of an SD1.5 MODEL.

    Raises:
        ValueError: its blocks are not those of SD1.5, or there are too few positions.
    """
    family = next(family for family in FAMILIES if family.name == shape)
    if positions and positions < family.positions:
        raise ValueError(
            f"positions is {positions}; a motion model of the shape of {plain(family.name)} has at least {plain(family.positions)}, and is "
            "taken for another kind with fewer."
        )
    unet: Any = model.get_model_object("diffusion_model")
    sites = tuple(
        Site(part, index, layer.in_channels if isinstance(layer, SpatialTransformer) else layer.out_channels)
        for (part, index), layer in motion_sites(unet).items()
        if part != "middle" or family.middle
    )
    counts = [sum(site.part == part for site in sites) for part in ("input", "output")]
    if counts != [_BLOCKS - 4, _BLOCKS]:  # four blocks on the way down are a convolution or a downsampler
        raise ValueError(
            f"This MODEL has {plain(counts[0])} blocks on the way down and {plain(counts[1])} on the way up where SD1.5 has "
            f"{_BLOCKS - 4} and {_BLOCKS}; train motion models on an SD1.5 checkpoint."
        )
    return MotionSpec(family, sites, positions or family.positions)


def learning_patcher(spec: MotionSpec, weights: Mapping[str, Tensor], disable_dynamic: bool = True) -> ModelPatcher:
    """A patcher of a motion network in float32 whose weights are its own, never loaded by the dynamic loader.

    Args:
        spec: of the motion model.
        weights: its state dict, float32; copied.
        disable_dynamic: the host's signature of `cached_patcher_init`; without effect.
    """
    network = MotionNetwork(
        spec,
        operations=comfy.ops.manual_cast,
        attention=comfy.ops.scaled_dot_product_attention,
        device=comfy.model_management.unet_offload_device(),
        dtype=torch.float32,
    )
    patchers.load_weights(network, {name: value.clone() for name, value in weights.items()}, assign=True)
    network.eval().requires_grad_(False)
    return patchers.place(network, (learning_patcher, (spec, weights)), disable_dynamic=True)
