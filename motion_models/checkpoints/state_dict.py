"""Unwrapping what ``torch.load`` or safetensors returned into plain names and tensors."""

from collections.abc import Mapping
from typing import TypeGuard

from torch import Tensor

from ..errors import MotionFileError

# Entries that hold the weights when a file wraps them: official releases and training scripts use
# state_dict, CameraCtrl's training motion_module_state_dict, DeepSpeed module, SparseCtrl controlnet.
WRAPPING_KEYS = ("state_dict", "motion_module_state_dict", "module", "model", "unet", "controlnet")

# Put before every name by DistributedDataParallel, torch.compile, PEFT and pipelines that save all their models.
PREFIXES = ("module.", "_orig_mod.", "base_model.model.", "unet.")


def unwrap(content: object) -> dict[str, object]:
    """Entries of a loaded file by name, without wrappers and prefixes.

    Args:
        content: what the file held. Entries that are no tensors (settings, step counters) are kept, because
            their names help to tell what the file is; `tensors` leaves them out.

    Raises:
        MotionFileError: it is no state dict, or an empty one.
    """
    if not is_mapping(content):
        raise MotionFileError(
            f"this file holds a {type(content).__name__} and no named weights; choose a .safetensors or .ckpt file."
        )
    for wrapper in WRAPPING_KEYS:
        inner = content.get(wrapper)
        if is_mapping(inner):
            return unwrap(inner)
    if not content:
        raise MotionFileError("this file holds no weights at all; download it again.")
    return {_plain(str(name)): value for name, value in content.items()}


def is_mapping(content: object) -> TypeGuard[Mapping[object, object]]:
    """Whether something has entries by name, as a state dict does."""
    return isinstance(content, Mapping)


def tensors(entries: Mapping[str, object]) -> dict[str, Tensor]:
    """The entries that are tensors."""
    return {name: value for name, value in entries.items() if isinstance(value, Tensor)}


def _plain(name: str) -> str:
    for prefix in PREFIXES:
        if name.startswith(prefix):
            return _plain(name.removeprefix(prefix))
    return name
