"""MotionLoRA: constant strengths as low-rank weight patches on a clone of the motion model."""

import logging
from dataclasses import dataclass

from comfy.model_patcher import ModelPatcher
from comfy.weight_adapter.lora import LoRAAdapter

from ..motion_models.lora import LoraPair, read_motion_lora
from . import files

log = logging.getLogger("zoetrope")


@dataclass(frozen=True)
class MotionLora:
    """One MotionLoRA of a stack.

    Attributes:
        name: file name, for messages.
        pairs: low-rank pairs against our weight names; nothing dense is kept.
        strength: factor of the delta; negative reverses the motion.
    """

    name: str
    pairs: tuple[LoraPair, ...]
    strength: float


Stack = tuple[MotionLora, ...]


def load_motion_lora(name: str, strength: float) -> MotionLora:
    """Read a file of ``models/animatediff_motion_lora``.

    Raises:
        ValueError: the file is missing, unreadable or no MotionLoRA; the sentence says what it is.
    """
    _, state_dict = files.read(files.MOTION_LORAS, name)
    try:
        file = read_motion_lora(state_dict)
    except ValueError as error:
        raise ValueError(f"'{name}': {error}") from error
    if file.unmatched:
        log.warning(
            "MotionLoRA '%s': %d weights are of no known layer, %s ...", name, len(file.unmatched), file.unmatched[0]
        )
    return MotionLora(name, file.pairs, strength)


def add_motion_loras(patcher: ModelPatcher, stack: Stack) -> None:
    """Patch ``patcher`` (a clone owned by the caller) with every MotionLoRA of the stack.

    Raises:
        ValueError: no pair of a MotionLoRA belongs to this motion model, or a pair has other widths.
    """
    shapes = {key: weight.shape for key, weight in patcher.model.state_dict().items()}
    for lora in stack:
        fitting = [pair for pair in lora.pairs if pair.target in shapes]
        if not fitting:
            raise ValueError(
                f"MotionLoRA '{lora.name}' has no layer in common with this motion model; use one that was "
                "trained for the same kind of motion model."
            )
        for pair in fitting:
            _check_shape(lora.name, pair, shapes[pair.target])
        patches = {_patch_key(pair): _adapter(pair) for pair in fitting}
        patcher.add_patches(patches, lora.strength)
        if len(fitting) < len(lora.pairs):
            log.warning(
                "MotionLoRA '%s': %d of %d layers are not in this motion model and were left out.",
                lora.name,
                len(lora.pairs) - len(fitting),
                len(lora.pairs),
            )


def _patch_key(pair: LoraPair) -> str | tuple[str, tuple[int, int, int]]:
    return pair.target if pair.slice is None else (pair.target, (0, *pair.slice))


def _adapter(pair: LoraPair) -> LoRAAdapter:
    return LoRAAdapter(set(), (pair.up, pair.down, pair.alpha, None, None, None))


def _check_shape(name: str, pair: LoraPair, shape: tuple[int, ...]) -> None:
    rows = shape[0] if pair.slice is None else pair.slice[1]
    if (pair.up.shape[0], pair.down.shape[1]) != (rows, shape[1]):
        raise ValueError(
            f"MotionLoRA '{name}' has a layer of {pair.up.shape[0]} x {pair.down.shape[1]} where this motion model "
            f"has {rows} x {shape[1]} ({pair.target}); use one that was trained for the same base."
        )
