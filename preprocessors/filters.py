"""Pictures with less in them: less detail, less colour, or things in other places.

Shapes: H = height, W = width. Pictures are (H, W, 3) bytes in RGB. A strength of 0 leaves the picture.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from .edges import Bytes, Floats, scaled, smoothed

BLUR = 8.0  # pixels, Gaussian sigma at a shorter side of 512
GRAIN = 256.0  # pixels, size of the patches that a shuffle moves, at a shorter side of 512

Places = tuple[Floats, Floats]


def tile(picture: Bytes, strength: float) -> Bytes:
    """The picture made 4 times smaller and large again: 1 is 4 times, 2 is 16 times, 0.5 is 2 times."""
    height, width = picture.shape[:2]
    factor = 4.0**strength
    small = (max(round(width / factor), 1), max(round(height / factor), 1))
    shrunk = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.uint8, copy=False)


def blur(picture: Bytes, strength: float) -> Bytes:
    """Gaussian blur."""
    return smoothed(picture, scaled(BLUR, picture) * strength)


def recolor(picture: Bytes, strength: float) -> Bytes:
    """Brightness only, ITU-R BT.601 as in Pillow's mode L; a strength below 1 keeps some colour."""
    grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    share = min(strength, 1.0)
    return cv2.addWeighted(grey, share, picture, 1 - share, 0).astype(np.uint8, copy=False)


def shuffle_places(height: int, width: int, strength: float, seed: int) -> Places:
    """Where each pixel of a shuffled picture comes from: smooth random waves, the same for all frames of a clip.

    Returns:
        x and y, (H, W) each, in pixels.
    """
    random = np.random.default_rng(seed)
    share = np.float32(min(strength, 1.0))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return x + share * (_waves(random, y) * (width - 1) - x), y + share * (_waves(random, y) * (height - 1) - y)


def _waves(random: np.random.Generator, like: NDArray[np.generic]) -> Floats:
    """Smooth noise of the shape of ``like``, from 0 to 1."""
    height, width = like.shape
    grain = max(scaled(GRAIN, like), 1.0)
    points = random.random((round(height / grain) + 3, round(width / grain) + 3), dtype=np.float32)
    waves: Floats = cv2.resize(points, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32, copy=False)
    low, high = float(waves.min()), float(waves.max())
    return ((waves - low) / max(high - low, 1e-6)).astype(np.float32, copy=False)


def shuffle(picture: Bytes, places: Places) -> Bytes:
    """The picture with its parts in other places."""
    moved = cv2.remap(picture, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return moved.astype(np.uint8, copy=False)
