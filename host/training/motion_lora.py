"""MotionLoRA as what learns: pairs beside the temporal attentions of a motion model."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from comfy.model_patcher import ModelPatcher

from ...inputs.quoting import quoted, quoted_names
from ...motion_models.block_values import BlockValues
from ...motion_models.checkpoints.motion_lora import LoraFile
from ...motion_models.checkpoints.weight_names import QKV
from ...motion_models.checkpoints.write_low_rank import LORA_LAYOUTS, published_motion_lora
from ...motion_models.networks.low_rank import LoraPair
from ...motion_models.noise_schedules import BETA_SCHEDULES
from ...motion_models.spec import MotionSpec
from ...training.new_weights import new_pair
from ...training.stages import MOTION_LORA_STAGE
from ..call.strength import Strength
from ..loading.digests import bytes_digest, model_digest
from ..lora.motion_lora import MotionLora, Stack
from ..motion import noise_schedule
from ..motion.apply import apply_motion_model
from ..motion.load import MotionModel
from ..motion.settings import MotionSettings, patchers_of, settings_of
from .target import UNET_WEIGHTS, Target, clone_for_training, halves, learnt_pairs, own_clone, pair_holders

_FEED_FORWARD = {"expand": (8, 1), "contract": (1, 4)}  # outputs and inputs in widths of the module


@dataclass(frozen=True, kw_only=True)
class MotionLoraOptions:
    """What a new MotionLoRA is.

    Attributes:
        rank: of its pairs.
        feed_forward: it has pairs for the feed-forwards as well.
        blocks: which motion modules get pairs, all by default; a block whose effect is 0 gets none.
        layout: of its file, one of `LORA_LAYOUTS`.
        dtype: of its file.
    """

    rank: int = 32
    feed_forward: bool = False
    blocks: BlockValues | None = None
    layout: str = LORA_LAYOUTS[0]
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"rank is {self.rank}; it must be at least 1, 32 is usual.")
        if self.layout not in LORA_LAYOUTS:
            raise ValueError(f"layout is {quoted(self.layout)}; choose one of {quoted_names(LORA_LAYOUTS)}.")


def motion_lora_target(
    model: ModelPatcher, motion: MotionModel, options: MotionLoraOptions, seed: int, stack: Stack = ()
) -> Target:
    """A new MotionLoRA on a motion model on a MODEL.

    Args:
        model: MODEL without a motion model; a domain adapter may be on it.
        motion: the motion model; it does not learn.
        options: of the MotionLoRA.
        seed: of its first weights.
        stack: MotionLoRAs that act as well and do not learn.

    Raises:
        ValueError: the motion model does not fit, or is one that no training can go on from.
    """
    require_still(model)
    require_trainable(motion.spec, motion.name)
    pairs = list(_new_pairs(motion.spec, options, seed))
    if not pairs:
        raise ValueError("No block is left for the MotionLoRA; give at least one block of per_block an effect above 0.")
    animated = _animated(model, motion, pairs, stack)
    low_rank = patchers_of(animated)[0].low_rank
    assert low_rank is not None
    return Target(
        stage=MOTION_LORA_STAGE,
        model=animated,
        holders=pair_holders(pairs, low_rank.model),
        most_frames=motion.spec.max_frames,
        facts={
            "checkpoint": model_digest(model, UNET_WEIGHTS),
            "motion model": model_digest(motion.patcher),
            "rank": str(options.rank),
            "layers": bytes_digest(" ".join(name for pair in pairs for name in halves(pair)).encode()),
            "other MotionLoRAs": ", ".join(f"{lora.name} {lora.strength.number:g}" for lora in stack),
        },
        file=lambda weights: published_motion_lora(learnt_pairs(pairs, weights), options.layout, options.dtype),
    )


def _animated(model: ModelPatcher, motion: MotionModel, pairs: list[LoraPair], stack: Stack) -> ModelPatcher:
    """A clone of the MODEL with the motion model, and the pairs beside its weights."""
    learning = MotionLora("the MotionLoRA in training", LoraFile(tuple(pairs), ()), Strength(), learns=True)
    settings = MotionSettings(name=motion.name, spec=motion.spec)
    plain_motion = replace(motion, patcher=own_clone(motion.patcher))
    return apply_motion_model(
        clone_for_training(model), plain_motion, settings, noise_schedule.AUTO, (*stack, learning)
    )


def _new_pairs(spec: MotionSpec, options: MotionLoraOptions, seed: int) -> Iterator[LoraPair]:
    def pair(target: str, outputs: int, inputs: int, rows: tuple[int, int] | None = None) -> LoraPair:
        up, down = new_pair(outputs, inputs, options.rank, seed, f"{target}{rows or ''}")
        return LoraPair(f"{target}.weight", rows, up, down, None)

    for site in spec.sites:
        if options.blocks is not None and options.blocks.at(site).effect == 0:
            continue
        width = site.channels
        for n in range(spec.attentions):
            start = f"{site.key}.attentions.{n}"
            for place in range(len(QKV)):
                yield pair(f"{start}.to_qkv", width, width, (place * width, width))
            yield pair(f"{start}.to_out", width, width)
        for layer, (outputs, inputs) in _FEED_FORWARD.items() if options.feed_forward else ():
            yield pair(f"{site.key}.feed_forward.{layer}", outputs * width, inputs * width)


def require_still(model: ModelPatcher) -> None:
    """Refuse a MODEL that is animated already.

    Raises:
        ValueError: it is.
    """
    if found := settings_of(model):
        raise ValueError(
            f"This MODEL already has motion model {quoted(found[0].name)}; connect the MODEL from before Apply Motion Model, "
            "training applies the motion model itself."
        )


def require_trainable(spec: MotionSpec, name: str) -> None:
    """Refuse motion models whose training is another one than that of predicting noise.

    Raises:
        ValueError: it was distilled, or needs a condition image.
    """
    spec.require_no_image()
    if spec.family.lcm or BETA_SCHEDULES[spec.family.beta_schedule].lcm_steps:
        raise ValueError(
            f"Motion model {quoted(name)} is distilled for few steps, which this training would undo; choose one that is not, "
            "such as v3, and use what you train with both."
        )
