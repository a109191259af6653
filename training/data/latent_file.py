"""The file of one clip, written a few frames at a time.

The layout is that of safetensors (its README, "Format": eight bytes of length, a JSON header, the tensors), whose own
writer wants whole tensors in memory.

Shapes: F = frames of a chunk, C = channels, h, w = size of a latent.
"""

import json
import os
from collections.abc import Iterator
from itertools import chain
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from .clip_set import FLIPPED, LATENTS

FLOAT16_BYTES = 2  # bytes
ALIGNMENT = 8  # bytes, of where the tensors begin

LatentChunk = tuple[
    Tensor, ...
]  # latents (F, C, h, w) of a few frames, then those of the mirrored pictures where wanted


def write_latents(path: Path, frames: int, chunks: Iterator[LatentChunk]) -> tuple[int, ...]:
    """Write the latents of a clip as half precision.

    Args:
        path: of a file that does not exist yet.
        frames: of the whole clip.
        chunks: of the frames in order.

    Returns:
        (C, h, w).

    Raises:
        ValueError: there are more or fewer frames, or a latent is not finite in half precision.
        OSError: the file cannot be written; what is there then is no file of latents.
    """
    first = next(chunks)
    shape = (frames, *first[0].shape[1:])
    size, step = prod(shape) * FLOAT16_BYTES, prod(shape[1:]) * FLOAT16_BYTES
    head = _header((LATENTS, FLIPPED)[: len(first)], shape, size)
    done = 0
    with path.open("xb") as file:
        file.write(head)
        for chunk in chain((first,), chunks):
            for place, part in enumerate(chunk):
                file.seek(len(head) + place * size + done * step)
                file.write(_bytes(part, shape[1:]))
            done += len(chunk[0])
        if done != frames:
            raise ValueError(f"{done} frames came where {frames} were expected: look whether the file is damaged.")
        file.flush()
        os.fsync(file.fileno())
    return shape[1:]


def _header(names: tuple[str, ...], shape: tuple[int, ...], size: int) -> bytes:
    rows = {
        name: {"dtype": "F16", "shape": shape, "data_offsets": (place * size, (place + 1) * size)}
        for place, name in enumerate(names)
    }
    text = json.dumps(rows).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def _bytes(latents: Tensor, shape: tuple[int, ...]) -> bytes:
    half = latents.detach().to("cpu", torch.float16)
    if half.shape[1:] != shape:
        raise ValueError(f"Latents of {tuple(half.shape[1:])} came after some of {shape}: connect another VAE.")
    if not half.isfinite().all():
        raise ValueError("The VAE gave NaN or infinity: start ComfyUI with --fp32-vae, or connect another VAE.")
    return half.contiguous().numpy().tobytes()
