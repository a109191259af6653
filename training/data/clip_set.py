"""A set of clips on disk, of which training reads a few frames a step.

Shapes: F = frames that are read, C = channels, h, w = size of a latent, T = tokens,
D = width of the text encoder.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...inputs.quoting import plain, quoted, reason_of
from .manifest import MANIFEST_FILE, TEXT_FILE, ClipInfo, Manifest, clip_file, read_manifest

LATENTS = "latents"
FLIPPED = "flipped"  # encoded from mirrored pictures: a mirrored latent decodes to something else
CROSS_ATTENTION = "cross_attn"
POOLED = "pooled_output"


class ClipSet:
    """Latents and captions of a folder that `write.ClipSetWriter` made.

    No file stays open: each read maps the file, copies the frames asked for and lets go.

    Attributes:
        folder: where it lies.
        clips: what it holds.
        digest: of the manifest; another set, or one made otherwise, has another.
        flips: the clips are there mirrored as well.
        frames: of the clips that training should draw.
        stride: stored frames from one drawn frame to the next.
        channels: of a latent.
    """

    def __init__(self, folder: str | Path):
        """Open a set, and look whether all of its files are whole.

        Args:
            folder: that holds the manifest.

        Raises:
            ValueError: it is not there, or is not whole; the sentence names it and the cure.
        """
        self.folder = Path(folder)
        self.manifest: Manifest = read_manifest(self.folder)
        self.digest: str = hashlib.sha256((self.folder / MANIFEST_FILE).read_bytes()).hexdigest()
        self.clips: tuple[ClipInfo, ...] = self.manifest.clips
        self.flips: bool = self.manifest.flips
        self.frames: int = self.manifest.frames
        self.stride: int = self.manifest.stride
        self.channels: int = self.manifest.channels
        self._captions = {caption: number for number, caption in enumerate(self.manifest.captions)}
        for number in range(len(self.clips)):
            self._check(number)
        self.text("")

    def latents(self, clip: int, numbers: Sequence[int], flipped: bool = False) -> Tensor:
        """Frames of a clip.

        Args:
            clip: its place in ``clips``.
            numbers: of the frames, 0 to ``frames`` - 1, in any order.
            flipped: those of the mirrored pictures; only where ``flips``.

        Returns:
            (F, C, h, w) float32, as the VAE encoded them.

        Raises:
            ValueError: a frame or the mirrored clip is not there.
        """
        info = self.clips[clip]
        if not numbers or min(numbers) < 0 or max(numbers) >= info.frames:
            raise ValueError(
                f"Frames {plain(list(numbers))} of {quoted(info.name)} were asked for and it has {plain(info.frames)}: give numbers "
                f"from 0 to {info.frames - 1}."
            )
        if flipped and not self.flips:
            raise ValueError("The training clips were made without mirrored ones: make them again with flip.")
        first = min(numbers)
        with self._open(clip_file(clip)) as file:
            stored = file.get_slice(FLIPPED if flipped else LATENTS)[first : max(numbers) + 1]
        return stored[[number - first for number in numbers]].float()

    def text(self, caption: str) -> dict[str, Tensor]:
        """A caption as the text encoder gave it.

        Args:
            caption: of one of the clips, or "".

        Returns:
            ``cross_attn`` (1, T, D), and ``pooled_output`` (1, D) of text encoders that have it.

        Raises:
            ValueError: it was not encoded.
        """
        if caption not in self._captions:
            raise ValueError(
                f"The caption {quoted(caption)} was not encoded with the training clips: use one of their captions."
            )
        start = f"{self._captions[caption]}."
        with self._open(TEXT_FILE) as file:
            keys = [key for key in _names(file) if key.startswith(start)]
            return {key[len(start) :]: file.get_tensor(key).clone() for key in keys}

    def _check(self, number: int) -> None:
        """Look whether the file of a clip has the tensors that the list says; no tensor is read."""
        with self._open(clip_file(number)) as file:
            names = {LATENTS, FLIPPED} if self.flips else {LATENTS}
            found = {name: tuple(file.get_slice(name).get_shape()) for name in _names(file)}
        if found != dict.fromkeys(names, self.manifest.shape(number)):
            raise self._broken(ValueError(f"clip {number} has the sizes {plain(found)}"))

    def _open(self, name: str) -> Any:
        try:
            return safe_open(str(self.folder / name), framework="pt", device="cpu")
        except (OSError, SafetensorError) as error:
            raise self._broken(error) from error

    def _broken(self, error: BaseException) -> ValueError:
        return ValueError(
            f"A file of the training clips {quoted(self.folder.name)} is missing or damaged ({reason_of(error)}): delete their "
            "folder and make them again."
        )


def _names(file: Any) -> list[str]:
    return list(file.keys())  # a file cannot be iterated


def text_tensors(encodings: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Encoded captions as the tensors of `TEXT_FILE`, in the order of their numbers.

    Args:
        encodings: what `ClipSet.text` shall give back.
    """
    named = ((f"{number}.{key}", value) for number, encoding in enumerate(encodings) for key, value in encoding.items())
    return {key: value.detach().to("cpu", torch.float32).contiguous() for key, value in named}
