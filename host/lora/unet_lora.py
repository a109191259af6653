"""Ordinary LoRA files of a checkpoint's UNet."""

import math
from collections.abc import Mapping
from typing import Any

import comfy.lora
import comfy.lora_convert
from comfy.model_patcher import ModelPatcher
from comfy.weight_adapter.lora import LoRAAdapter
from torch import Tensor

from ...inputs.quoting import plain, quoted, reason_of
from ...motion_models.checkpoints.state_dict import sound, tensors, without_wrappers
from ...motion_models.errors import MotionFileError
from ..call.sampling_range import SamplingRange
from ..call.strength import Strength
from ..loading import model_files
from .bypass import Patches, apply_patches

LORA_FOLDER = "loras"
# Beginnings of the names that belong to text encoders: kohya's, diffusers' and core's own.
TEXT_ENCODER_PREFIXES = ("lora_te", "text_encoder", "te1_", "te2_", "lora_prior_te")


def apply_lora(model: ModelPatcher, name: str, strength: Strength, when: SamplingRange) -> ModelPatcher:
    """A clone of ``model`` with the UNet's part of a LoRA.

    Args:
        model: the MODEL.
        name: file name in ``models/loras``.
        strength: factor of the learnt change, also over frames; 0 leaves it out.
        when: factor over the sampling steps. What is constant becomes part of the weights, as core's Load LoRA does.

    Raises:
        ValueError: the file is missing, does not fit this MODEL, or cannot change over time.
    """
    return apply_patches(model, name, read_lora(model, name), strength, when)


def read_lora(model: ModelPatcher, name: str) -> Patches:
    """A file's changes of the UNet, by weight of this MODEL; core knows the names of every published layout.

    Raises:
        ValueError: the file is missing, has nothing for this UNet, or was made for another base.
    """
    weights = _weights(name)
    unet = {key: weight for key, weight in weights.items() if not key.startswith(TEXT_ENCODER_PREFIXES)}
    if any("motion_modules" in key for key in unet):
        raise ValueError(
            f"{quoted(name)} is a MotionLoRA; put it into models/{model_files.MOTION_LORAS} and use the MotionLoRA node."
        )
    patches = core_patches(model, name, unet)
    if not patches:
        first = next(iter(unet), None)
        found = "only text encoder weights" if first is None else f"weights such as {quoted(first)}"
        raise ValueError(
            f"{quoted(name)} has no layer in common with the UNet of this MODEL (it holds {found}); choose a LoRA that was "
            "trained for the checkpoint's base."
        )
    shapes = {key: tuple(weight.shape) for key, weight in model.model.state_dict().items()}
    for key, patch in patches.items():
        _check_shape(name, key, patch, shapes)
    return patches


def core_patches(model: ModelPatcher, name: str, weights: Mapping[str, Tensor]) -> dict[Any, Any]:
    """Changes of the UNet as core reads them from a file's weights.

    Raises:
        MotionFileError: half of a pair is missing or has no shape of a pair, on which core fails with errors of its own.
    """
    try:
        return comfy.lora.load_lora(dict(weights), comfy.lora.model_lora_keys_unet(model.model, {}))
    except KeyError as error:
        raise MotionFileError(
            f"{quoted(name)} is incomplete or damaged: {plain(error.args[0])} is missing; download it again."
        ) from error
    except (IndexError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise MotionFileError(f"{quoted(name)} is damaged ({reason_of(error)}); download it again.") from error


def _weights(name: str) -> dict[str, Tensor]:
    """Weights of a file, by core's names."""
    content = model_files.read_file(LORA_FOLDER, name)[1]
    try:
        found = {
            key: sound(key, weight) if weight.is_floating_point() else weight
            for key, weight in tensors(without_wrappers(content)).items()
        }
    except MotionFileError as error:
        raise MotionFileError(f"{quoted(name)}: {plain(error, 600)}") from error
    return comfy.lora_convert.convert_lora(found)


def _check_shape(name: str, key: Any, patch: Any, shapes: dict[str, tuple[int, ...]]) -> None:
    """Refuse a pair of another base, for which core would only log an error and leave the layer as it is."""
    if not isinstance(key, str) or not isinstance(patch, LoRAAdapter) or patch.weights[5] is not None:
        return
    up, down, _, middle, *_ = patch.weights
    if min(up.ndim, down.ndim) < 2 or not up.numel() or not down.numel() or (middle is not None and middle.ndim != 4):
        raise ValueError(f"{quoted(name)} is damaged: the pair of {plain(key)} is none; download it again.")
    kernel = 1 if middle is None else middle[0, 0].numel()
    has, needs = (up.shape[0], down[0].numel() * kernel), (shapes[key][0], math.prod(shapes[key][1:]))
    if has != needs:
        raise ValueError(
            f"{quoted(name)} has a layer of {has[0]} x {has[1]} where this MODEL has {plain(needs[0])} x {plain(needs[1])} ({plain(key)}); "
            "choose a LoRA that was trained for the checkpoint's base."
        )
