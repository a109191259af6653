"""One published motion module -> ours, every weight checked.

Shapes: F = frames of the positional encoding, C = channels of the module.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from ...inputs.quoting import plain
from ..errors import MotionFileError
from ..networks.positions import sinusoidal_positions
from ..spec import MotionSpec
from .state_dict import sizes, sound
from .weight_names import QKV, KeyTable


def convert_module(
    module: Mapping[str, Tensor], label: str, channels: int, spec: MotionSpec, table: KeyTable, stored_positions: bool
) -> dict[str, Tensor]:
    """Rename, check and fuse the weights of one motion module.

    Args:
        module: the file's tensors, named from behind the module's own name.
        label: published name of the module, for messages.
        channels: C.
        spec: number of attentions, and F.
        table: layout of the file.
        stored_positions: the file has positional encodings; else they are made here.

    Returns:
        Tensors in the file's dtype, named from behind the module's own name in our layout.

    Raises:
        MotionFileError: a weight is missing, of the wrong shape, or unknown.
    """
    left = dict(module)
    ours: dict[str, Tensor] = {}
    for theirs, mine, widths in _rows(spec.attentions, table):
        ours[mine] = take(left, theirs, tuple(width * channels for width in widths), f"{label}.")
    for n in range(spec.attentions):
        prefix = f"attentions.{n}."
        ours[prefix + "to_qkv.weight"] = concatenate([ours.pop(f"{prefix}{part}.weight") for part in QKV])
        ours[prefix + "positions"] = (
            take(left, table.positions.format(n=n), (1, spec.max_frames, channels), f"{label}.")
            if stored_positions
            else sinusoidal_positions(spec.max_frames, channels)
        )
    if left:
        raise MotionFileError(
            f"this file has a weight that no published motion module has, {plain(label)}.{plain(min(left))}; "
            "choose a motion module without additions."
        )
    return ours


def _rows(attentions: int, table: KeyTable) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    yield from table.module
    for n in range(attentions):
        for theirs, mine, widths in table.attention:
            yield theirs.format(n=n), mine.format(n=n), widths


def take(left: dict[str, Tensor], name: str, shape: tuple[int, ...], label: str = "", kind: str = "file") -> Tensor:
    """Take a weight out of ``left``.

    Args:
        left: weights that are not used yet, by name.
        name: of the weight.
        shape: that it must have.
        label: what stands before the name in messages.
        kind: of the file, in messages.

    Raises:
        MotionFileError: it is missing, of another shape, or holds no numbers that a layer can use.
    """
    tensor = left.pop(name, None)
    if tensor is None:
        raise incomplete(f"{label}{name} is missing", kind)
    if tensor.shape != shape:
        wanted = " x ".join(map(str, shape))
        raise incomplete(f"{label}{name} is {sizes(tensor)} and should be {wanted}", kind)
    return sound(f"{label}{name}", tensor)


def size_of(name: str, tensor: Tensor | None, axis: int, axes: int, kind: str = "file", multiple: int = 1) -> int:
    """A size that a network is built from.

    Args:
        name: of the weight, for messages.
        tensor: the weight, or None where the file has none.
        axis: whose size it is.
        axes: that the weight must have.
        kind: of the file, in messages.
        multiple: what the size must be divisible by.

    Raises:
        MotionFileError: the weight is missing, of another number of axes, or of no fit size.
    """
    if tensor is None:
        raise incomplete(f"{name} is missing", kind)
    if tensor.ndim != axes or not tensor.numel():
        raise incomplete(f"{name} is {sizes(tensor)} and should have {axes} sizes above 0", kind)
    if tensor.shape[axis] % multiple:
        raise incomplete(f"{name} has {tensor.shape[axis]} channels, no multiple of {multiple}", kind)
    return tensor.shape[axis]


def concatenate(parts: list[Tensor]) -> Tensor:
    """Rows of all parts; fp8 goes as bytes, because older torch cannot concatenate it."""
    dtype = parts[0].dtype
    if dtype.itemsize == 1 and all(part.dtype == dtype for part in parts):
        return torch.cat([part.view(torch.uint8) for part in parts]).view(dtype)
    return torch.cat(parts)


def incomplete(finding: str, kind: str = "file") -> MotionFileError:
    """The error for a file that was cut off or damaged."""
    return MotionFileError(f"this {kind} is incomplete or damaged: {plain(finding, 400)}; download it again.")
