"""Condition images: from pictures to latents of the clip's size.

Shapes: N = images, H, W = latent height and width.
"""

import comfy.utils
from comfy.model_base import BaseModel
from comfy.sd import VAE
from torch import Tensor

from ...motion_models.spec import LATENT_CHANNELS


def encode_image(image: Tensor, vae: VAE, latent: dict) -> Tensor:
    """Latents of pictures at the size of a clip.

    Args:
        image: (N, height, width, 3 or 4) IMAGE; alpha is left out.
        vae: the VAE of the checkpoint.
        latent: LATENT of the clip; only its size is used.

    Returns:
        (N, 4, H, W) as VAE Encode gives them. Pictures are cut to the aspect ratio around the centre and resized
        with Lanczos, as AnimateLCM-I2V's authors do.

    Raises:
        ValueError: the VAE or the clip is not of the kind of SD1.5.
    """
    size = latent["samples"].shape
    if len(size) != 4:
        raise ValueError(f"latent has the shape {tuple(size)}; connect an image latent of (frames, 4, height, width).")
    scale = vae.spacial_compression_encode()
    pixels = image[..., :3].movedim(-1, 1)
    pixels = comfy.utils.common_upscale(pixels, size[-1] * scale, size[-2] * scale, "lanczos", "center")
    encoded = vae.encode(pixels.movedim(1, -1))
    if encoded.ndim != 4 or encoded.shape[1] != LATENT_CHANNELS:
        raise ValueError(
            f"This VAE makes latents of the shape {tuple(encoded.shape)}, not (images, 4, height, width); "
            "connect the VAE of an SD1.5 checkpoint."
        )
    return encoded


def for_unet(latent: Tensor, x: Tensor, base: BaseModel) -> Tensor:
    """(N, 4, H, W) latents in the range, size, device and dtype in which the UNet computes.

    Args:
        latent: from `encode_image`.
        x: (..., H, W) noisy latents of the call. Another size, as of a second pass over an upscaled clip, is met by
            resizing the latent.
        base: the model about to run.
    """
    if latent.shape[-2:] != x.shape[-2:]:
        latent = comfy.utils.common_upscale(latent, x.shape[-1], x.shape[-2], "nearest-exact", "center")
    return base.process_latent_in(latent).to(x.device, base.get_dtype_inference())
