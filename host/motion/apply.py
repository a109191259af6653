"""Applying a motion model to a MODEL."""

import logging
from dataclasses import replace

from comfy.model_patcher import ModelPatcher

from ..lora.motion_lora import Stack, add_motion_loras
from . import noise_schedule as betas
from . import unet_call as run
from .load import MotionModel, load_patcher
from .settings import KEY, MotionSettings, patchers_of, settings_of
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
        schedule: one of `betas.CHOICES`.
        loras: MotionLoRAs.

    Raises:
        ValueError: the motion model does not fit, or a setting contradicts itself.
    """
    check_fits(model, motion.spec, motion.name)
    settings = replace(settings, blocks=(*motion.blocks, *settings.blocks))
    for blocks in settings.blocks:
        if unknown := blocks.unknown(motion.spec):
            log.warning("per_block names %s; motion model '%s' has no such block.", ", ".join(unknown), motion.name)
    animated = model.clone()
    applied = animated.get_additional_models_with_key(KEY)
    patcher = _own_patcher(motion, applied)
    beside, low_rank = add_motion_loras(patcher, loras, motion.spec)
    settings = replace(settings, loras=beside)
    animated.set_additional_models(KEY, [*applied, *patchers_of(settings, patcher, low_rank)])
    animated.set_attachments(KEY, (*settings_of(animated), settings))
    betas.apply_schedule(animated, motion.spec.family.beta_schedule if schedule == betas.AUTO else schedule)
    run.install(animated)
    return animated


def _own_patcher(motion: MotionModel, applied: list[ModelPatcher]) -> ModelPatcher:
    """A patcher that may be patched; with weights of its own when the same file is applied again.

    Clones share one set of weights, and the host keeps only one clone's patches in them at a time.
    """
    if any(other.model is motion.patcher.model for other in applied):
        return load_patcher(motion.path, motion.adjustments)
    return motion.patcher.clone()
