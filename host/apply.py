"""Applying a motion model to a MODEL."""

from comfy.model_patcher import ModelPatcher

from . import betas, run
from .lora import Stack, add_motion_loras
from .motion import MotionModel, load_patcher
from .settings import KEY, MotionSettings, settings_of
from .sites import check_fits


def apply_motion_model(
    model: ModelPatcher, motion: MotionModel, settings: MotionSettings, schedule: str, loras: Stack = ()
) -> ModelPatcher:
    """A clone of ``model`` that samples with ``motion``; applied twice, the first applied runs first.

    Args:
        model: MODEL of an SD checkpoint.
        motion: the motion model.
        settings: how it acts.
        schedule: one of `betas.CHOICES`.
        loras: MotionLoRAs with constant strengths.

    Raises:
        ValueError: the motion model does not fit, or a setting contradicts itself.
    """
    settings.validate()
    check_fits(model, motion.spec, motion.name)
    animated = model.clone()
    applied = animated.get_additional_models_with_key(KEY)
    patcher = _own_patcher(motion, applied)
    add_motion_loras(patcher, loras)
    animated.set_additional_models(KEY, [*applied, patcher])
    animated.set_attachments(KEY, (*settings_of(animated), settings))
    betas.apply_schedule(animated, motion.spec.family.beta_schedule if schedule == betas.AUTO else schedule)
    run.install(animated)
    return animated


def _own_patcher(motion: MotionModel, applied: list[ModelPatcher]) -> ModelPatcher:
    """A patcher that may be patched; with weights of its own when the same file is applied again.

    Clones share one set of weights, and the host keeps only one clone's patches in them at a time.
    """
    if any(other.model is motion.patcher.model for other in applied):
        return load_patcher(motion.path)
    return motion.patcher.clone()
