"""A domain adapter as what learns: pairs beside the attentions of the UNet, on single frames, without a motion model.

Shapes: R = rank.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import comfy.utils
import torch
from comfy.ldm.modules.attention import CrossAttention
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...motion_models.checkpoints.write_low_rank import published_adapter
from ...motion_models.networks.low_rank import LoraPair
from ...training.new_weights import new_pair
from ...training.stages import DOMAIN_ADAPTER_STAGE
from ..call.sampling_range import SamplingRange
from ..call.strength import Strength
from ..loading.digests import model_digest
from ..lora.bypass import put_beside
from ..lora.low_rank import BypassLora, low_rank_patcher
from ..motion.noise_schedule import apply_schedule
from .motion_lora import require_still
from .target import UNET_WEIGHTS, Target, clone_for_training, learnt_pairs, pair_holders

_LAYERS = ("to_q", "to_k", "to_v", "to_out.0")
_PREFIX = "diffusion_model."


def domain_adapter_target(model: ModelPatcher, rank: int, seed: int, dtype: torch.dtype = torch.float32) -> Target:
    """A new domain adapter on a MODEL.

    Args:
        model: MODEL of an SD1.5 checkpoint without a motion model.
        rank: R; the published one has 128.
        seed: of its first weights.
        dtype: of the file.

    Raises:
        ValueError: there is nothing in the UNet for it.
    """
    require_still(model)
    if rank < 1:
        raise ValueError(f"rank is {rank}; it must be at least 1, 64 is usual.")
    names = _published_names(model)
    pairs = list(_new_pairs(model.get_model_object("diffusion_model"), names, rank, seed))
    if not pairs:
        raise ValueError("This MODEL has no attentions by the names of SD1.5; connect an SD1.5 checkpoint.")
    adapted = clone_for_training(model)
    apply_schedule(adapted, DOMAIN_ADAPTER_STAGE.beta_schedule)
    network = low_rank_patcher([pairs], disable_dynamic=True)
    put_beside(adapted, BypassLora("the domain adapter in training", Strength(), SamplingRange()), network)

    def file(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return published_adapter(learnt_pairs(pairs, weights), names, dtype)

    return Target(
        stage=DOMAIN_ADAPTER_STAGE,
        model=adapted,
        holders=pair_holders(pairs, network.model),
        most_frames=1,
        facts={"checkpoint": model_digest(model, UNET_WEIGHTS), "rank": str(rank)},
        file=file,
    )


def _published_names(model: ModelPatcher) -> dict[str, str]:
    """Diffusers' name of each weight of the UNet, by its name in the MODEL."""
    names = comfy.utils.unet_to_diffusers(model.model.model_config.unet_config)
    return {f"{_PREFIX}{ours}": theirs for theirs, ours in names.items()}


def _new_pairs(unet: Any, names: Mapping[str, str], rank: int, seed: int) -> Iterator[LoraPair]:
    for place, attention in unet.named_modules():
        if not isinstance(attention, CrossAttention):
            continue
        for layer in _LAYERS:
            target = f"{_PREFIX}{place}.{layer}.weight"
            if target in names:
                weight: Any = attention.get_submodule(layer).weight
                outputs, inputs = weight.shape
                yield LoraPair(target, None, *new_pair(outputs, inputs, rank, seed, target), None)
