"""Unwrapping what ``torch.load`` or safetensors returned into plain names and tensors, and weights that are none.

Everything here is bounded: a small file may name a million weights, wrap them a thousand times or state shapes that no
memory holds, and is told in a sentence before anything is made of it.
"""

from collections.abc import Iterator, Mapping
from typing import TypeGuard

import torch
from torch import Tensor

from ...inputs.quoting import plain, quoted
from ..errors import MotionFileError

# Entries that hold the weights when a file wraps them: official releases and training scripts use
# state_dict, CameraCtrl's training motion_module_state_dict, DeepSpeed module, SparseCtrl controlnet.
WRAPPING_KEYS = ("state_dict", "motion_module_state_dict", "module", "model", "unet", "controlnet")

# Put before every name by DistributedDataParallel, torch.compile, PEFT and pipelines that save all their models.
PREFIXES = ("module.", "_orig_mod.", "base_model.model.", "unet.")

MOST_WRAPPERS = 8
MOST_ENTRIES = 20_000  # a whole SDXL checkpoint has 2,600
LONGEST_NAME = 1_000  # characters; published names have up to 150
MOST_AXES = 5  # of a weight, that of a convolution over time and picture
CHECKED_AT_ONCE = 1 << 22  # numbers
# Without their sign, from these bytes on fp8 has no finite numbers; turning them into fp16 takes longer than reading them.
# Source: "FP8 Formats for Deep Learning" (arXiv 2209.05433), table 1.
_FP8_NONE = {torch.float8_e4m3fn: 0x7F, torch.float8_e5m2: 0x7C}


def unwrap(content: object) -> dict[str, object]:
    """Entries of a loaded file by name, without wrappers and prefixes; see `without_wrappers`."""
    return {_plain(name): value for name, value in without_wrappers(content).items()}


def without_wrappers(content: object) -> dict[str, object]:
    """Entries of a loaded file by name, as they are inside the file's wrappers.

    Args:
        content: what the file held. Entries that are no tensors (settings, step counters) are kept, because
            their names help to tell what the file is; `tensors` leaves them out.

    Raises:
        MotionFileError: it is no state dict, or an empty one, or none that anybody trained.
    """
    for _ in range(MOST_WRAPPERS + 1):
        entries = named(content)
        wrapping = entries if len(entries) == 1 else WRAPPING_KEYS  # a single wrapper may have any name
        inner = next((entries[key] for key in wrapping if is_mapping(entries.get(key))), None)
        if inner is None:
            return entries
        content = inner
    raise MotionFileError(f"this file wraps its weights more than {MOST_WRAPPERS} times; choose the original file.")


def named(content: object) -> dict[str, object]:
    """Entries of a loaded file by name, as they are.

    Raises:
        MotionFileError: it is no state dict, or an empty one, or its names are none that anybody gave.
    """
    if not is_mapping(content):
        raise MotionFileError(
            f"this file holds a {type(content).__name__} and no named weights; choose a .safetensors or .ckpt file."
        )
    if not content:
        raise MotionFileError("this file holds no weights at all; download it again.")
    if len(content) > MOST_ENTRIES:
        raise MotionFileError(
            f"this file has {len(content):,} entries, and a model at most {MOST_ENTRIES:,}; choose another file."
        )
    entries: dict[str, object] = {}
    for name, value in content.items():
        text = name if isinstance(name, str) else quoted(name)
        if len(text) > LONGEST_NAME:
            raise MotionFileError(
                f"this file has a weight whose name is {len(text):,} characters long ({quoted(text, 40)}); choose "
                "another file."
            )
        entries[text] = value
    return entries


def is_mapping(content: object) -> TypeGuard[Mapping[object, object]]:
    """Whether something has entries by name, as a state dict does."""
    return isinstance(content, Mapping)


def tensors(entries: Mapping[str, object]) -> dict[str, Tensor]:
    """The entries that are tensors.

    Raises:
        MotionFileError: one of them is none that a layer can take, or is said to be larger than the file; see `sound`
            for the numbers in them.
    """
    found = {name: value for name, value in entries.items() if isinstance(value, Tensor)}
    if not found:
        first = next(iter(entries.items()))
        raise MotionFileError(
            f"this file holds no weights: {quoted(first[0])} is {quoted(type(first[1]).__name__)} and not a tensor; "
            "choose another file."
        )
    for name, tensor in found.items():
        if why := _no_weight(tensor):
            raise MotionFileError(f"this file's weight {quoted(name)} {plain(why, 600)}; choose the original file.")
    return found


def _no_weight(tensor: Tensor) -> str:
    """What is wrong with a tensor, from what is said about it; its numbers are not read."""
    if tensor.is_meta:
        return "is a placeholder without numbers"
    if tensor.layout != torch.strided or tensor.is_nested:
        return f"is stored as {str(tensor.layout).removeprefix('torch.')} and not as plain numbers"
    if tensor.is_quantized:
        return f"is quantised ({str(tensor.dtype).removeprefix('torch.')})"
    if tensor.ndim > MOST_AXES:
        return f"has {tensor.ndim} axes, and no layer more than {MOST_AXES}"
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        return f"is said to be {sizes(tensor)}, and the file has only a part of that"
    return ""


def sizes(tensor: Tensor) -> str:
    """A shape for a message."""
    return " x ".join(map(str, tensor.shape)) or "a single number"


def sound(name: str, tensor: Tensor) -> Tensor:
    """The tensor, whose numbers are real and finite.

    Args:
        name: in the file.
        tensor: of any size; it is read once, piece by piece.

    Raises:
        MotionFileError: it holds whole numbers, truth values or complex numbers, or some that are not finite.
    """
    if not tensor.dtype.is_floating_point:
        kind = str(tensor.dtype).removeprefix("torch.")
        raise MotionFileError(
            f"this file's weight {quoted(name)} holds {kind} where a network has floating-point numbers; choose the "
            "original file, or one in fp32, fp16, bf16 or fp8."
        )
    if not all(map(_finite, _pieces(tensor))):
        raise MotionFileError(
            f"this file's weight {quoted(name)} holds numbers that are none (NaN or infinite), so nothing but black "
            "frames would come out; the training or the conversion failed: choose another file."
        )
    return tensor


def _pieces(tensor: Tensor) -> Iterator[Tensor]:
    """The numbers, some at a time, so that nothing of the weight's size is made."""
    for part in [tensor] if tensor.is_contiguous() else tensor:
        numbers = part.reshape(-1)
        for start in range(0, numbers.numel(), CHECKED_AT_ONCE):
            yield numbers[start : start + CHECKED_AT_ONCE]


def _finite(numbers: Tensor) -> bool:
    if (first := _FP8_NONE.get(numbers.dtype)) is not None:
        return not numbers.numel() or int((numbers.view(torch.uint8) & 0x7F).max()) < first
    if numbers.dtype.itemsize == 1:
        numbers = numbers.half()
    # One pass; a sum of finite numbers can overflow, so a second look decides.
    return bool(numbers.sum(dtype=torch.float32).isfinite()) or bool(numbers.isfinite().all())


def _plain(name: str) -> str:
    while True:
        prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), None)
        if prefix is None:
            return name
        name = name.removeprefix(prefix)
