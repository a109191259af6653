"""The domain adapter of AnimateDiff v3: a LoRA of the image layers, constant or changing with the sampling steps."""

import re

from comfy.model_patcher import ModelPatcher
from comfy.weight_adapter.lora import LoRAAdapter
from torch import Tensor

from ...inputs.quoting import plain, quoted
from ...motion_models.checkpoints.convert import incomplete
from ...motion_models.checkpoints.state_dict import sizes, sound, tensors, unwrap
from ...motion_models.errors import MotionFileError
from ..call.sampling_range import SamplingRange
from ..call.strength import Strength
from ..loading import model_files
from .bypass import apply_patches
from .unet_lora import core_patches

FOLDERS = ("loras", model_files.MOTION_MODELS)
ADAPTER_LAYER = re.compile(
    r"attentions\.\d+\.transformer_blocks\.\d+\.attn[12]\.processor\.to_\w+_lora\.(up|down)\.weight$"
)


def adapter_names() -> list[str]:
    """Files of both folders, each name once."""
    return list(dict.fromkeys(name for folder in FOLDERS for name in model_files.file_names(folder)))


def missing_adapter(name: str) -> str | None:
    """A sentence when the file is in neither folder."""
    if name in adapter_names():
        return None
    return f"{quoted(name)} is in neither models/loras nor models/{model_files.MOTION_MODELS}; put the file there and press R."


def apply_domain_adapter(model: ModelPatcher, name: str, strength: float, when: SamplingRange) -> ModelPatcher:
    """A clone of ``model`` with the adapter.

    Args:
        model: MODEL of an SD1.5 checkpoint.
        name: file name.
        strength: factor of the learnt change; 0 leaves it out.
        when: when it acts. A constant adapter becomes part of the weights; another runs beside them.

    Raises:
        ValueError: the file is missing or no domain adapter, or does not fit this MODEL.
    """
    return apply_patches(model, name, _read(model, name), Strength(strength), when)


def _read(model: ModelPatcher, name: str) -> dict[str, LoRAAdapter]:
    """The adapter's pairs by weight of this MODEL; core knows the names."""
    folder = next((folder for folder in FOLDERS if name in model_files.file_names(folder)), FOLDERS[0])
    content = model_files.read_file(folder, name)[1]
    try:
        known = _pairs(tensors(unwrap(content)))
    except MotionFileError as error:
        raise MotionFileError(f"{quoted(name)}: {plain(error, 600)}") from error
    patches = core_patches(model, name, known)
    shapes = {key: weight.shape for key, weight in model.model.state_dict().items()}
    fitting = {
        key: patch
        for key, patch in patches.items()
        if isinstance(patch, LoRAAdapter) and (patch.weights[0].shape[0], patch.weights[1].shape[1]) == shapes[key][:2]
    }
    if 2 * len(fitting) != len(known):
        raise ValueError(
            f"{quoted(name)} fits {len(fitting)} of its {len(known) // 2} layers to this MODEL; the domain adapter is made "
            "for SD1.5 checkpoints."
        )
    return fitting


def _pairs(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The adapter's weights, every one with its other half."""
    known = {key: sound(key, tensor) for key, tensor in weights.items() if ADAPTER_LAYER.search(key)}
    if not known:
        raise MotionFileError(
            f"this file is no domain adapter (its first weight is {quoted(next(iter(weights)))}); choose "
            "v3_sd15_adapter, or load an ordinary LoRA with the core node Load LoRA."
        )
    for key, tensor in known.items():
        half, other = ("up", "down") if key.endswith("up.weight") else ("down", "up")
        partner = f"{key.removesuffix(f'{half}.weight')}{other}.weight"
        if partner not in known:
            raise incomplete(f"{partner} is missing")
        if tensor.ndim != 2 or not tensor.numel():
            raise incomplete(f"{key} is {sizes(tensor)}")
        if half == "up" and known[partner].shape[:1] != tensor.shape[1:]:
            raise incomplete(f"{key} is {sizes(tensor)} and {partner} {sizes(known[partner])}")
    return known
