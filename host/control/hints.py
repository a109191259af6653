"""The hints of the frames in a UNet call, for a control that believes them to be all.

Shapes: n = hints of the call, C = channels, H, W = size of the hints.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

# (number of the hint, shape of the picture) -> latents of the hint on the CPU
EncodedHints = dict[tuple[int, tuple[int, ...]], Tensor]


class EncodedOnce:
    """A VAE that encodes each hint once a run; everything else is the VAE's.

    Args:
        vae: the user's.
        encoded: what has been encoded, kept by the caller.
        numbers: n numbers of the hints that it will be asked to encode.
    """

    def __init__(self, vae: Any, encoded: EncodedHints, numbers: Sequence[int]):
        self._vae, self._encoded, self._numbers = vae, encoded, numbers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vae, name)

    def encode(self, pixels: Tensor) -> Tensor:
        """Latents of (n, H, W, C) pictures."""
        keys = [(number, tuple(pixels.shape[1:])) for number in self._numbers]
        if len(keys) != len(pixels):
            return self._vae.encode(pixels)
        missing = {key: row for row, key in enumerate(keys) if key not in self._encoded}
        if missing:
            encoded = self._vae.encode(pixels[list(missing.values())]).cpu()
            if len(encoded) != len(missing):  # a video VAE, for which the pictures are one clip
                return self._vae.encode(pixels)
            self._encoded.update(zip(missing, encoded.clone(), strict=True))
        return torch.stack([self._encoded[key] for key in keys])


@contextmanager
def only_hints(inner: Any, numbers: Sequence[int], device: torch.device, encoded: EncodedHints) -> Iterator[None]:
    """Let a control see some of its hints only; the full batch stays where it is.

    Args:
        inner: a control with hints.
        numbers: n numbers of hints; ignored for what there is only one of, which is for all frames and not repeated.
        device: where the hints are resized.
        encoded: see `EncodedOnce`.
    """
    kept = {"cond_hint_original": inner.cond_hint_original, "extra_concat_orig": inner.extra_concat_orig}
    count = len(inner.cond_hint_original)
    inner.cond_hint_original = rows_of(inner.cond_hint_original, numbers, count).to(device)
    inner.extra_concat_orig = [rows_of(extra, numbers, count) for extra in inner.extra_concat_orig]
    if getattr(inner, "vae", None) is not None and inner.latent_format is not None:
        kept["vae"] = inner.vae
        inner.vae = EncodedOnce(inner.vae, encoded, numbers if count > 1 else [0])
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(inner, name, value)


def rows_of(images: Tensor, numbers: Sequence[int], hints: int) -> Tensor:
    """Images of these numbers; a single image is for all frames.

    Args:
        images: hints, or what belongs to them, such as masks of their own number, the last held.
        numbers: numbers of hints.
        hints: how many hints the numbers count.
    """
    count = len(images)
    if count == 1 or (count == hints and list(numbers) == list(range(count))):
        return images
    return images[[min(number, count - 1) for number in numbers]]


def picks_hints(control: Any) -> bool:
    """Whether a control takes the hints of a window itself, as SparseCtrl and ComfyUI-Advanced-ControlNet's do."""
    return hasattr(control, "sub_idxs") or getattr(control, "frames_interact", False)


def is_prepared(inner: Any, x: Tensor) -> bool:
    """Whether a control will take the hint it has prepared as it is, by core's own test."""
    hint, ratio = inner.cond_hint, getattr(inner, "compression_ratio", None)
    return hint is not None and ratio is not None and tuple(hint.shape[-2:]) == tuple(n * ratio for n in x.shape[-2:])


def drop_prepared(inner: Any) -> None:
    """Let a control prepare its hint anew; so goes what a T2I-Adapter keeps of its residuals."""
    inner.cond_hint = None
    if hasattr(inner, "control_input"):
        inner.control_input = None
