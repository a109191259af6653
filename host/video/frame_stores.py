"""Where loaded frames go: pixels, or latents; with memory known before any is taken.

Shapes: F = frames, H, W = size in pixels, C = channels (3 RGB, 4 RGB and alpha), c, h, w = of latents.
"""

from collections.abc import Generator
from contextlib import closing
from itertools import islice
from typing import Any, Protocol

import comfy.utils
import cv2
import numpy as np
import torch
from comfy import model_management
from torch import Tensor

from ...inputs.quoting import plain
from ...video.frame_size import PixelArray
from .load_preview import LoadPreview

NO_MASK = 64  # pixels; what core's Load Image gives for pictures without alpha
FLOAT = 4  # bytes
READ_AT_ONCE = 8  # frames between looks at progress and interrupt, and frames that the VAE gets at a time


class Store(Protocol):
    """Takes frames in order."""

    def put(self, frames: list[PixelArray]) -> None:
        """Append (H, W, C) frames."""
        ...


def require_memory(frames: int, frame_bytes: int, audio_bytes: int, size: tuple[int, int], cures: str) -> None:
    """Refuse what would not fit, before anything is decoded.

    Args:
        frames: how many.
        frame_bytes: of one frame in the result.
        audio_bytes: of the whole sound.
        size: (width, height), for the sentence.
        cures: what helps beside fewer frames.

    Raises:
        ValueError: it does not fit into the memory that is free.
    """
    free: Any = model_management.get_free_memory(torch.device("cpu"))
    needed = frames * frame_bytes + audio_bytes
    if needed <= free:
        return
    fitting = int(free * frames // needed)
    fewer = f"set max_frames to {fitting} or less" if fitting else "close other programs"
    raise ValueError(
        f"{frames} frames of {size[0]}x{size[1]} need {_amount(needed)} of memory and {_amount(free)} are free: "
        f"{fewer}, {cures}."
    )


def _amount(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


class Images:
    """IMAGE and MASK, each in one tensor that is there from the start."""

    def __init__(self, frames: int, size: tuple[int, int], alpha: bool):
        """Take the memory.

        Args:
            frames: how many will come.
            size: (width, height).
            alpha: whether to expect transparency; a mask is made later where it shows up unexpected.
        """
        self.images = torch.empty((frames, size[1], size[0], 3), dtype=torch.float32)
        self._mask = self._masks() if alpha else None
        self._count = 0

    @staticmethod
    def frame_bytes(size: tuple[int, int], alpha: bool) -> int:
        """Bytes of a frame."""
        return FLOAT * (size[0] * size[1] * (4 if alpha else 3) + (0 if alpha else NO_MASK * NO_MASK))

    def put(self, frames: list[PixelArray]) -> None:
        """See Store."""
        for frame in frames:
            most = np.float32(np.iinfo(frame.dtype).max)
            np.divide(frame[..., :3], most, out=self.images[self._count].numpy())
            if frame.shape[2] == 4 and self._mask is None:
                self._mask = self._masks()
            if frame.shape[2] == 4 and self._mask is not None:
                row = self._mask[self._count].numpy()
                np.divide(frame[..., 3], most, out=row)
                np.subtract(np.float32(1), row, out=row)
            self._count += 1

    def result(self) -> tuple[Tensor, Tensor]:
        """IMAGE (F, H, W, 3) and MASK (F, H, W), or (F, 64, 64) zeros where nothing is transparent."""
        device = model_management.intermediate_device()
        mask = torch.zeros((len(self.images), NO_MASK, NO_MASK)) if self._mask is None else self._mask
        return self.images.to(device), mask.to(device)

    def _masks(self) -> Tensor:
        return torch.zeros(self.images.shape[:3], dtype=torch.float32)


def require_image_vae(vae: Any, other_way: str) -> None:
    """Refuse a VAE that is missing from its checkpoint, or that is one for videos.

    Args:
        vae: VAE.
        other_way: what the user can do instead of connecting another.

    Raises:
        ValueError: it cannot be used.
    """
    vae.throw_exception_if_invalid()
    if getattr(vae, "latent_dim", 2) != 2:
        raise ValueError(
            "This VAE encodes videos, whose frames depend on each other: connect that of an image model such as SD1.5, or "
            f"{plain(other_way)}."
        )


def to_floats(frames: list[PixelArray]) -> Tensor:
    """Frames (H, W, C) of 8 or 16 bits as one (F, H, W, C) float32, 0 to 1."""
    stacked = np.stack(frames)
    return torch.from_numpy(np.divide(stacked, np.float32(np.iinfo(stacked.dtype).max)))


class Latents:
    """LATENT of an image VAE and MASK of its size; pixels of a few frames are held at a time."""

    def __init__(self, vae: Any, frames: int, alpha: bool):
        """Check the VAE.

        Raises:
            ValueError: it is missing from its checkpoint, or is one for videos.
        """
        require_image_vae(vae, "disconnect vae and use VAE Encode")
        self.vae, self.frames, self.alpha = vae, frames, alpha
        self._latents: Tensor | None = None
        self._mask: Tensor | None = None
        self._count = 0

    def frame_bytes(self, size: tuple[int, int]) -> int:
        """Bytes of a frame's latent and mask, about."""
        ratio = getattr(self.vae, "downscale_ratio", 8)
        ratio = ratio if isinstance(ratio, int) else 8
        area = -(-size[0] // ratio) * -(-size[1] // ratio)
        mask = area if self.alpha else NO_MASK * NO_MASK
        return FLOAT * (area * getattr(self.vae, "latent_channels", 4) + mask)

    def put(self, frames: list[PixelArray]) -> None:
        """See Store."""
        floats = to_floats(frames)
        new = self.vae.encode(floats[..., :3])
        latents, mask = self._tensors(new)
        rows = slice(self._count, self._count + len(new))
        latents[rows] = new
        if self.alpha:
            size = (new.shape[-1], new.shape[-2])
            shrunk = [cv2.resize(1 - alpha, size, interpolation=cv2.INTER_AREA) for alpha in floats[..., 3].numpy()]
            mask[rows] = torch.from_numpy(np.stack(shrunk))
        self._count += len(new)

    def _tensors(self, new: Tensor) -> tuple[Tensor, Tensor]:
        """Latents and mask of all frames, made when the size of a latent is known."""
        if self._latents is None or self._mask is None:
            self._latents = new.new_empty((self.frames, *new.shape[1:]))
            self._mask = torch.zeros((self.frames, *(new.shape[-2:] if self.alpha else (NO_MASK, NO_MASK))))
        return self._latents, self._mask

    def result(self) -> tuple[dict[str, Tensor], Tensor]:
        """LATENT (F, c, h, w) and MASK (F, h, w), or (F, 64, 64) zeros where nothing is transparent."""
        assert self._latents is not None and self._mask is not None
        return {"samples": self._latents}, self._mask.to(model_management.intermediate_device())


def fill(store: Store, frames: Generator[PixelArray, None, None], count: int, preview: LoadPreview) -> None:
    """Move all frames to their store, and show them."""
    progress = comfy.utils.ProgressBar(count)
    with closing(frames), preview:
        while chunk := list(islice(frames, READ_AT_ONCE)):
            model_management.throw_exception_if_processing_interrupted()
            store.put(chunk)
            for frame in chunk:
                preview.write(frame)
            progress.update(len(chunk))
