"""Ordinary LoRA files of a checkpoint's UNet."""

import math
from typing import Any

import comfy.lora
import comfy.lora_convert
from comfy.model_patcher import ModelPatcher
from comfy.weight_adapter.lora import LoRAAdapter

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
    weights = comfy.lora_convert.convert_lora(model_files.read_file(LORA_FOLDER, name)[1])
    unet = {key: weight for key, weight in weights.items() if not key.startswith(TEXT_ENCODER_PREFIXES)}
    if any("motion_modules" in key for key in unet):
        raise ValueError(
            f"'{name}' is a MotionLoRA; put it into models/{model_files.MOTION_LORAS} and use the MotionLoRA node."
        )
    patches = comfy.lora.load_lora(unet, comfy.lora.model_lora_keys_unet(model.model, {}))
    if not patches:
        first = next(iter(unet), None)
        found = "only text encoder weights" if first is None else f"weights such as '{first}'"
        raise ValueError(
            f"'{name}' has no layer in common with the UNet of this MODEL (it holds {found}); choose a LoRA that was "
            "trained for the checkpoint's base."
        )
    shapes = {key: tuple(weight.shape) for key, weight in model.model.state_dict().items()}
    for key, patch in patches.items():
        _check_shape(name, key, patch, shapes)
    return patches


def _check_shape(name: str, key: Any, patch: Any, shapes: dict[str, tuple[int, ...]]) -> None:
    """Refuse a pair of another base, for which core would only log an error and leave the layer as it is."""
    if not isinstance(key, str) or not isinstance(patch, LoRAAdapter) or patch.weights[5] is not None:
        return
    up, down, _, middle, *_ = patch.weights
    kernel = 1 if middle is None else middle[0, 0].numel()
    has, needs = (up.shape[0], down[0].numel() * kernel), (shapes[key][0], math.prod(shapes[key][1:]))
    if has != needs:
        raise ValueError(
            f"'{name}' has a layer of {has[0]} x {has[1]} where this MODEL has {needs[0]} x {needs[1]} ({key}); "
            "choose a LoRA that was trained for the checkpoint's base."
        )
