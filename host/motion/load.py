"""Loading a motion model file into something ComfyUI can place on its devices."""

import logging
import os
from dataclasses import dataclass, replace

from comfy.model_patcher import ModelPatcher

from ...inputs.quoting import plain, quoted
from ...motion_models.adjustment import Adjustment, adjust
from ...motion_models.block_values import BlockValues
from ...motion_models.checkpoints.motion_model import read_motion_checkpoint
from ...motion_models.networks.motion_module import MotionNetwork
from ...motion_models.spec import MotionSpec, describe
from ..loading import model_files, patchers

log = logging.getLogger("zoetrope")


@dataclass(frozen=True, eq=False)
class MotionModel:
    """What travels on a MOTION_MODEL wire.

    Attributes:
        name: file name, for messages.
        spec: what was read from the weights.
        patcher: ComfyUI's handle of the network; clone it before patching.
        path: where the file is, to load it again.
        adjustments: what was changed since, in order.
        blocks: factors by block of the UNet for every use of it.
    """

    name: str
    spec: MotionSpec
    patcher: ModelPatcher
    path: str
    adjustments: tuple[Adjustment, ...] = ()
    blocks: tuple[BlockValues, ...] = ()


def load_motion_model(name: str) -> MotionModel:
    """Load a file of ``models/animatediff_models``.

    Raises:
        ValueError: the file is missing, unreadable or no motion model; the sentence says what it is.
    """
    path, state_dict = model_files.read_file(model_files.MOTION_MODELS, name)
    patcher = _build(path, state_dict)
    spec = patcher.model.spec
    log.info("Loaded motion model %s: %s, %d frames at most.", quoted(name), plain(spec.family.name), spec.max_frames)
    return MotionModel(name, spec, patcher, path)


def adjust_motion_model(motion: MotionModel, adjustment: Adjustment, blocks: BlockValues) -> MotionModel:
    """The motion model with another positional encoding, gain or block values; the given one stays as it is.

    Raises:
        ValueError: the file is gone, or nothing would be left of the positional encoding.
    """
    by_block = (*motion.blocks, blocks) if blocks.entries else motion.blocks
    if adjustment == Adjustment():
        return replace(motion, blocks=by_block)
    adjustments = (*motion.adjustments, adjustment)
    patcher = load_motion_patcher(motion.path, adjustments)
    return replace(motion, spec=patcher.model.spec, patcher=patcher, adjustments=adjustments, blocks=by_block)


def info(motion: MotionModel) -> str:
    """What a motion model is and what it was made for, a line each."""
    changes = [f"adjusted: {adjustment}" for adjustment in motion.adjustments]
    changes += [f"per_block: {blocks}" for blocks in motion.blocks]
    return "\n".join([plain(motion.name), *describe(motion.spec), *changes])


def load_motion_patcher(
    path: str, adjustments: tuple[Adjustment, ...] = (), disable_dynamic: bool = False
) -> ModelPatcher:
    """Read the file again into a network of its own; the signature is the host's `cached_patcher_init`."""
    return _build(path, model_files.read_path(path), adjustments, disable_dynamic)


def _build(
    path: str, state_dict: dict, adjustments: tuple[Adjustment, ...] = (), disable_dynamic: bool = False
) -> ModelPatcher:
    name = os.path.basename(path)
    try:
        spec, weights = adjust(*read_motion_checkpoint(state_dict, name), adjustments)
        again = (load_motion_patcher, (path, adjustments))
        return patchers.build(
            MotionNetwork, spec, weights, again, disable_dynamic, (*patchers.HALF_PRECISION, *patchers.FP8)
        )
    except ValueError as error:
        raise ValueError(f"{quoted(name)}: {plain(error, 600)}") from error
