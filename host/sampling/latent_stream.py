"""Clips that are sampled while they are written: latents in, frames by rising number out, nothing kept.

Shapes: F = frames, C = latent channels, h, w = latent size, H, W = size in pixels.
"""

from collections.abc import Iterator
from typing import Any

import comfy.utils
import latent_preview
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...inputs.quoting import plain
from ..video.frame_source import FrameSource, frame_source


class LatentStream:
    """The frames of a clip whose latents come piece by piece.

    A piece is asked for when a frame of it is, so sampling and decoding take turns and never nest: loading the VAE may
    unload the UNet.

    Args:
        pieces: (F, C, h, w) latents, in the order of the frames.
        vae: decodes them.
    """

    def __init__(self, pieces: Iterator[Tensor], vae: Any):
        self.pieces, self.vae = pieces, vae
        self.first = 0
        self.latents: Tensor | None = None

    def at(self, numbers: list[int]) -> Tensor:
        """Frames (F, H, W, 3) in 0..1 of rising numbers; frames before the first of them are dropped."""
        while self.latents is None or self.first + len(self.latents) <= numbers[-1]:
            self._add(next(self.pieces), numbers[0])
        rows = [number - self.first for number in numbers]
        return frame_source(None, {"samples": self.latents}, self.vae).at(rows)

    def _add(self, piece: Tensor, wanted: int) -> None:
        if self.latents is None:
            self.latents = piece
            return
        past = min(wanted - self.first, len(self.latents))
        self.latents = torch.cat([self.latents[past:], piece])
        self.first += past


def streamed(total: int, pieces: Iterator[Tensor], vae: Any) -> FrameSource:
    """The frames of a clip for ``save_video``; progress is told by whoever makes the pieces."""
    return FrameSource(total, LatentStream(pieces, vae).at, tells_progress=True)


class FrameProgress:
    """The node's progress bar in frames, with core's picture of the frame under way.

    Args:
        model: that samples.
        total: frames, or whatever is counted.
    """

    def __init__(self, model: ModelPatcher, total: int):
        self.bar = comfy.utils.ProgressBar(total)
        self.previewer = latent_preview.get_previewer(model.load_device, model.model.latent_format)

    def show(self, done: float, x0: Tensor) -> None:
        """Say how far it is.

        Args:
            done: frames that are finished.
            x0: (F, C, h, w) expected clean latents as the model has them; the first is shown.
        """
        picture = self.previewer and self.previewer.decode_latent_to_preview_image("JPEG", x0[:1])
        self.bar.update_absolute(int(done), preview=picture)


def check_image_vae(vae: Any, model: ModelPatcher) -> None:
    """Raise in words when the VAE is missing from its checkpoint or is not one for the frames of this model."""
    vae.throw_exception_if_invalid()
    wanted = model.model.latent_format.latent_channels
    channels = getattr(vae, "latent_channels", wanted)
    if getattr(vae, "latent_dim", 2) != 2 or channels != wanted:
        raise ValueError(
            f"This VAE makes latents of {plain(channels)} channels and {plain(getattr(vae, 'latent_dim', 2))} dimensions, but the "
            f"model samples images of {plain(wanted)} channels: connect the VAE of the checkpoint."
        )
    if model.model.latent_format.latent_dimensions != 2:
        raise ValueError("This MODEL samples videos, not batches of frames: connect an image model such as SD1.5.")
