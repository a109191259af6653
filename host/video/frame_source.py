"""Frames by number, from IMAGE or LATENT.

Shapes: F = frames, B = batch, C = channels, H = height, W = width, T = time axis of video latents.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from comfy.ldm.modules.temporal_ae import VideoDecoder


@dataclass(frozen=True, eq=False)
class FrameSource:
    """Frames by number: ``at([3, 4])`` returns those frames as (F, H, W, C) floats 0-1.

    Attributes:
        frames: how many there are.
        at: gives them.
        tells_progress: the source makes its frames when they are asked for and tells the progress itself.
        in_memory: asking again costs nothing; else frames are asked for once, in order.
    """

    frames: int
    at: Callable[[list[int]], torch.Tensor]
    tells_progress: bool = False
    in_memory: bool = False


def frame_source(
    images: torch.Tensor | None, samples: Mapping[str, Any] | None, vae: Any, video: object = None
) -> FrameSource:
    """Return the frames of exactly one of IMAGE and LATENT.

    Args:
        images: (F, H, W, C) floats 0-1, or None.
        samples: a LATENT, or None.
        vae: decodes the latents; needed with samples.
        video: a finished film, which must not be there beside them.

    Raises:
        ValueError: both or none are connected, the VAE is missing or does not fit, or there are no frames.
    """
    if (images is None) == (samples is None):
        found = "Both images and samples are" if images is not None else "Neither images nor samples is"
        raise ValueError(f"{found} connected: connect exactly one of them.")
    if video is not None:
        raise ValueError("A video and frames are connected: connect exactly one of images, samples and video.")
    if samples is not None:
        if vae is None:
            raise ValueError("There are samples but no vae to decode them: connect the checkpoint's VAE to vae.")
        source = _latent_source(samples["samples"], vae)
    else:
        assert images is not None
        source = _image_source(images)
    if source.frames == 0:
        raise ValueError("There are 0 frames to write: connect at least one.")
    return source


def _image_source(images: torch.Tensor) -> FrameSource:
    return FrameSource(len(images), lambda numbers: images[numbers], in_memory=True)


def _latent_source(latents: torch.Tensor, vae: Any) -> FrameSource:
    """Decode frames when they are asked for, or all at once where the VAE couples them.

    Args:
        latents: (F, C, H, W), or (B, C, T, H, W) for video VAEs.
        vae: comfy.sd.VAE.
    """
    if latents.is_nested:
        latents = latents.unbind()[0]
    dims = getattr(vae, "latent_dim", 2)
    if dims == 3 or _couples_frames(vae):
        pixels = vae.decode(latents)
        return _image_source(pixels.reshape(-1, *pixels.shape[-3:]))
    if latents.ndim == 5 and latents.shape[2] == 1:
        latents = latents[:, :, 0]
    if dims != 2 or latents.ndim != 4:
        raise ValueError(
            f"Latents of shape {tuple(latents.shape)} are not what this VAE decodes to frames: connect the VAE of the "
            "model that made them."
        )
    return FrameSource(len(latents), lambda numbers: vae.decode(latents[numbers]))


def _couples_frames(vae: Any) -> bool:
    """SVD's image VAE has a decoder that mixes the frames of its batch, so it must see the whole clip."""
    return isinstance(getattr(vae.first_stage_model, "decoder", None), VideoDecoder)
