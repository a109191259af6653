"""LoRAs that act beside the weights: what is known of each, and their networks as ComfyUI's model patchers."""

from dataclasses import dataclass

import comfy.ops
from comfy.model_patcher import ModelPatcher

from ...motion_models.networks.low_rank import LoraPair, LowRankNetwork
from ..call.sampling_range import SamplingRange
from ..call.strength import Strength
from ..loading import patchers


@dataclass(frozen=True, eq=False)
class BypassLora:
    """A LoRA beside the weights, with a strength that may change. ComfyUI calls this its bypass mode.

    Attributes:
        name: file name, for messages.
        strength: over frames and picture.
        when: over sampling steps.
    """

    name: str
    strength: Strength
    when: SamplingRange


def low_rank_patcher(files_of_pairs: list[list[LoraPair]], disable_dynamic: bool = False) -> ModelPatcher:
    """A patcher of the pairs' own tensors; the signature is the host's `cached_patcher_init`."""
    network = LowRankNetwork(files_of_pairs, comfy.ops.manual_cast).eval()
    return patchers.place(network, (low_rank_patcher, (files_of_pairs,)), disable_dynamic)
