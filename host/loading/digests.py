"""What tells one model or one picture from another, whatever file it came from."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

DIGEST_BYTES = 16


def model_digest(patcher: ModelPatcher, below: str | None = None) -> str:
    """A digest of a model's weights as its files gave them, and of the LoRAs that are put on them.

    Where the weights lie, and whether LoRAs are merged into them at the moment, makes no difference.

    Args:
        patcher: of the model.
        below: only weights whose names begin so.
    """
    return weights_digest(patcher.get_key_patches(below))


def weights_digest(weights: Mapping[str, Any]) -> str:
    """A digest of weights by name."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for name in sorted(weights):
        _add(digest, [name, weights[name]])
    return digest.hexdigest()


def pictures_digest(pictures: Iterable[Tensor]) -> str:
    """A digest of pictures, taken one at a time."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for picture in pictures:
        _add(digest, picture)
    return digest.hexdigest()


def bytes_digest(content: bytes | memoryview) -> str:
    """A digest of a file in memory."""
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).hexdigest()


def _add(digest: Any, value: Any) -> None:
    """Tensors, numbers and names count, in their order; functions of the host do not."""
    if isinstance(value, Tensor):
        digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    elif isinstance(value, list | tuple):
        for part in value:
            _add(digest, part)
    elif isinstance(value, str | int | float):
        digest.update(f"{type(value).__name__}{value}".encode())
    elif hasattr(value, "weights"):  # an adapter: a LoRA or one of its kin
        _add(digest, [type(value).__name__, value.weights])
