"""Applying a motion model to a MODEL."""

import logging
from dataclasses import replace

from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP

from ...inputs.quoting import quoted, quoted_names
from ..call import keys
from ..call.wrappers import put_on
from ..lora.motion_lora import Stack, add_motion_loras
from . import noise_schedule
from .checks import start_run
from .clip_run import prepare_clip_runs
from .load import MotionModel, load_motion_patcher
from .settings import MotionPatchers, MotionSettings, add_settings, patchers_of
from .unet_call import apply_model
from .unet_sites import check_fits

log = logging.getLogger("zoetrope")


def apply_motion_model(
    model: ModelPatcher, motion: MotionModel, settings: MotionSettings, schedule: str, loras: Stack = ()
) -> ModelPatcher:
    """A clone of ``model`` that samples with ``motion``; applied twice, the first applied runs first.

    Args:
        model: MODEL of an SD checkpoint.
        motion: the motion model.
        settings: how it acts; its ``loras`` and the motion model's own block values are added here.
        schedule: one of `noise_schedule.CHOICES`.
        loras: MotionLoRAs.

    Raises:
        ValueError: the motion model does not fit, or a setting contradicts itself.
    """
    check_fits(model, motion.spec, motion.name)
    settings = replace(settings, blocks=(*motion.blocks, *settings.blocks))
    for blocks in settings.blocks:
        if unknown := blocks.unknown(motion.spec):
            log.warning(
                "per_block names %s; motion model %s has no such block.", quoted_names(unknown), quoted(motion.name)
            )
    animated = model.clone()
    patcher = _own_patcher(motion, [patchers.motion for patchers in patchers_of(animated)])
    bypassed, low_rank = add_motion_loras(patcher, loras, motion.spec)
    conditioners = tuple(conditioner.patcher for conditioner in settings.conditioners)
    add_settings(animated, replace(settings, loras=bypassed), MotionPatchers(patcher, low_rank, conditioners))
    auto = schedule == noise_schedule.AUTO
    noise_schedule.apply_schedule(animated, motion.spec.family.beta_schedule if auto else schedule)
    noise_schedule.guard_tables(animated)
    put_on(animated, keys.MOTION, {WrappersMP.OUTER_SAMPLE: start_run, WrappersMP.APPLY_MODEL: apply_model})
    prepare_clip_runs(animated)
    return animated


def _own_patcher(motion: MotionModel, applied: list[ModelPatcher]) -> ModelPatcher:
    """A patcher that may be patched; with weights of its own when the same file is applied again.

    Clones share one set of weights, and the host keeps only one clone's patches in them at a time.
    """
    if any(other.model is motion.patcher.model for other in applied):
        return load_motion_patcher(motion.path, motion.adjustments)
    return motion.patcher.clone()
