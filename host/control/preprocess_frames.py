"""From an IMAGE to an IMAGE of hints, with progress and interrupt.

Shapes: F = frames, H = height, W = width, C = channels (1 grey, 3 RGB, 4 RGB + alpha).
"""

import comfy.utils
import cv2
import numpy as np
import torch
from comfy import model_management
from numpy.typing import NDArray

from ...preprocessors.clip import preprocess_clip
from ...preprocessors.methods import PreprocessSettings
from ...video.frame_size import PIXELS_PER_LATENT


def preprocess_frames(images: torch.Tensor, settings: PreprocessSettings) -> torch.Tensor:
    """Turn every frame into a hint.

    Args:
        images: (F, H, W, C) floats 0-1.
        settings: the widgets.

    Returns:
        (F, H, W, 3) floats 0-1, of the size that ``settings.resolution`` asks for.

    Raises:
        ValueError: the images are none, or a setting makes no sense.
    """
    settings.check()
    _check_images(images)
    frames, height, width, _ = images.shape
    size = hint_size(height, width, settings.resolution)
    result = torch.empty((frames, *size, 3), dtype=torch.float32)
    hints = result.numpy()
    progress = comfy.utils.ProgressBar(frames)

    def tick() -> None:
        model_management.throw_exception_if_processing_interrupted()
        progress.update(1)

    preprocess_clip(
        lambda number: _picture(images[number], size),
        frames,
        settings,
        lambda number, hint: _store(hint, hints[number]),
        tick,
    )
    return result.to(model_management.intermediate_device())


def hint_size(height: int, width: int, resolution: int) -> tuple[int, int]:
    """Height and width of hints whose shorter side is ``resolution``, both multiples of 8; 0 leaves the size."""
    if not resolution:
        return height, width
    factor = resolution / min(height, width) / PIXELS_PER_LATENT
    return max(round(height * factor), 1) * PIXELS_PER_LATENT, max(round(width * factor), 1) * PIXELS_PER_LATENT


def _check_images(images: torch.Tensor) -> None:
    if images.ndim != 4 or images.shape[-1] not in (1, 3, 4):
        raise ValueError(
            f"Images of shape {tuple(images.shape)} are no frames: give (frames, height, width, channels) with 1 (grey), "
            "3 (RGB) or 4 (RGB and alpha) channels."
        )
    if 0 in images.shape:
        raise ValueError(f"Images of shape {tuple(images.shape)} are empty: connect at least one frame.")


def _picture(image: torch.Tensor, size: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W, 3) bytes in RGB of (H, W, C) floats, rounded and clipped; alpha is dropped."""
    floats = image.detach().to("cpu", torch.float32).contiguous().numpy()
    height, width, channels = floats.shape
    row = floats.reshape(1, -1)  # as one colour, which takes the number for all; OpenCV 4.8 would not for (4, 1)
    picture = cv2.multiply(row, 255.0, dtype=cv2.CV_8U).reshape(floats.shape)  # type: ignore[call-overload]
    if channels != 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB if channels == 1 else cv2.COLOR_RGBA2RGB)
    if size != (height, width):
        smaller = size[0] * size[1] < height * width
        picture = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    return picture.astype(np.uint8, copy=False)


def _store(hint: NDArray[np.uint8], place: NDArray[np.float32]) -> None:
    """Write (H, W) or (H, W, 3) bytes into (H, W, 3) floats 0-1."""
    colours = cv2.cvtColor(hint, cv2.COLOR_GRAY2RGB) if hint.ndim == 2 else hint
    np.divide(colours, np.float32(255), out=place)
