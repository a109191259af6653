"""How motion models act on a MODEL: immutable, carried as an attachment, so every clone keeps it.

The networks of each are additional models of the MODEL, one key for each role.
"""

from dataclasses import dataclass
from typing import Any

from comfy.model_base import BaseModel
from comfy.model_patcher import ModelPatcher

from ...motion_models.block_values import BlockValues
from ...motion_models.spec import MotionSpec
from ..call import keys
from ..call.sampling_range import SamplingRange
from ..call.strength import Strength
from ..lora.low_rank import BypassLora
from .conditioner import Conditioner


@dataclass(frozen=True, eq=False, kw_only=True)
class MotionSettings:
    """One applied motion model.

    Attributes:
        name: file name, for messages.
        spec: what was read from the weights.
        scale: factor of the keys of each temporal attention; 1 is as trained, higher moves more.
        effect: 0 leaves a module's input, 1 gives its output, between is a blend.
        when: when it acts; its factor multiplies the effect.
        blocks: factors by block of the UNet, multiplied with each other.
        conditioners: what else acts with it; see `Conditioner`.
        loras: MotionLoRAs that are not part of its weights, in the order of the files of its `LowRankNetwork`.
    """

    name: str
    spec: MotionSpec
    scale: Strength = Strength()
    effect: Strength = Strength()
    when: SamplingRange = SamplingRange()
    blocks: tuple[BlockValues, ...] = ()
    conditioners: tuple[Conditioner, ...] = ()
    loras: tuple[BypassLora, ...] = ()

    def factor_at(self, base: BaseModel, options: dict[str, Any]) -> float:
        """Factor of the effect at a step; 0 where the motion model does not act."""
        return 0.0 if self.effect.off else self.when.at(base, options)


@dataclass(frozen=True, eq=False)
class MotionPatchers:
    """ComfyUI's handles of the networks of one applied motion model.

    Attributes:
        motion: of the motion network.
        low_rank: of the MotionLoRAs beside its weights, None without any.
        conditioners: of each conditioner, None for those without weights of their own.
    """

    motion: ModelPatcher
    low_rank: ModelPatcher | None
    conditioners: tuple[ModelPatcher | None, ...]


def settings_of(model: ModelPatcher) -> tuple[MotionSettings, ...]:
    """Settings of all motion models on ``model``, the first applied first."""
    return model.get_attachment(keys.MOTION) or ()


def add_settings(model: ModelPatcher, settings: MotionSettings, patchers: MotionPatchers) -> None:
    """Put one more motion model on ``model`` (a clone owned by the caller)."""
    number = len(settings_of(model))
    roles = {"motion": patchers.motion, "low_rank": patchers.low_rank}
    roles |= {f"conditioner/{place}": own for place, own in enumerate(patchers.conditioners)}
    for role, patcher in roles.items():
        if patcher is not None:
            model.set_additional_models(_key(number, role), [patcher])
    model.set_attachments(keys.MOTION, (*settings_of(model), settings))


def patchers_of(model: ModelPatcher) -> list[MotionPatchers]:
    """Networks of all motion models on ``model``, in the order of their settings."""

    def find(number: int, role: str) -> ModelPatcher | None:
        return next(iter(model.get_additional_models_with_key(_key(number, role))), None)

    found: list[MotionPatchers] = []
    for number, settings in enumerate(settings_of(model)):
        motion = find(number, "motion")
        assert motion is not None
        own = tuple(find(number, f"conditioner/{place}") for place in range(len(settings.conditioners)))
        found.append(MotionPatchers(motion, find(number, "low_rank"), own))
    return found


def _key(number: int, role: str) -> str:
    return f"{keys.MOTION}/{number}/{role}"
