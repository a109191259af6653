"""How motion models act on a MODEL: immutable, carried as an attachment, so every clone keeps it."""

from dataclasses import dataclass

from comfy.model_patcher import ModelPatcher

from ...motion_models.block_values import BlockValues
from ...motion_models.spec import MotionSpec
from ..call.sampling_range import SamplingRange
from ..call.strength import Strength
from .conditioner import Guide

KEY = "zoetrope_motion"  # attachments, additional models, wrappers and callbacks of motion models


@dataclass(frozen=True, eq=False)
class RunLora:
    """A MotionLoRA that acts beside the weights, with a strength that may change.

    Attributes:
        name: file name, for messages.
        strength: over frames and picture.
        range: over sampling steps.
    """

    name: str
    strength: Strength
    range: SamplingRange


@dataclass(frozen=True, eq=False)
class MotionSettings:
    """One applied motion model.

    Attributes:
        name: file name, for messages.
        spec: what was read from the weights.
        scale: factor of the keys of each temporal attention; 1 is as trained, higher moves more.
        effect: 0 leaves a module's input, 1 gives its output, between is a blend.
        range: when it acts; its factor multiplies the effect.
        blocks: factors by block of the UNet, multiplied with each other.
        guides: what else acts with it; see `Guide`.
        loras: MotionLoRAs that are not part of its weights, in the order of the files of its `LowRankNetwork`.
    """

    name: str
    spec: MotionSpec
    scale: Strength = Strength()
    effect: Strength = Strength()
    range: SamplingRange = SamplingRange()
    blocks: tuple[BlockValues, ...] = ()
    guides: tuple[Guide, ...] = ()
    loras: tuple[RunLora, ...] = ()


def settings_of(model: ModelPatcher) -> tuple[MotionSettings, ...]:
    """Settings of all motion models on ``model``, the first applied first."""
    return model.get_attachment(KEY) or ()


def patchers_of(settings: MotionSettings, motion: ModelPatcher, low_rank: ModelPatcher | None) -> list[ModelPatcher]:
    """Additional models of one applied motion model, in the order in which `networks_of` takes them apart."""
    own = [guide.patcher for guide in settings.guides]
    return [motion, *filter(None, [low_rank, *own])]


def networks_of(model: ModelPatcher) -> list[tuple[MotionSettings, list[ModelPatcher]]]:
    """Each applied motion model with its additional models: the motion network's, then what `patchers_of` lists."""
    left = list(model.get_additional_models_with_key(KEY))
    found = []
    for settings in settings_of(model):
        count = 1 + bool(settings.loras) + sum(guide.patcher is not None for guide in settings.guides)
        found.append((settings, left[:count]))
        left = left[count:]
    return found
