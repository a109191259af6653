"""Sizes that frames are brought to, and how they fill them.

Shapes: H, W = size in pixels, C = channels (3 RGB, 4 RGB and alpha). Sizes in names are (width, height).
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..inputs.quoting import quoted

FITS = ("crop", "pad", "stretch")

LARGEST_SOURCE = 2**26  # pixels of a frame in a file; 8K video has half as many
LARGEST_WORDS = "64 million pixels"
LARGEST_SCALED = 2**28  # pixels of a frame while it is scaled
PREVIEW_SIDE = 512
PIXELS_PER_LATENT = 8  # the width and height of an image latent, times this, are those of its picture
SCALER_FLAGS = "flags=bicubic+accurate_rnd+full_chroma_int"  # of ffmpeg's scaler, whatever is read or written

PixelArray = NDArray[Any]  # uint8 or uint16


def check_fit(fit: str) -> None:
    """Raise a ValueError for an unknown fit."""
    if fit not in FITS:
        raise ValueError(f"Unknown fit {quoted(fit)}; choose one of {', '.join(FITS)}.")


def check_source(width: int, height: int) -> None:
    """Raise a ValueError for a size that no real picture has; decoding it would take gigabytes."""
    if min(width, height) < 1:
        raise ValueError(f"The file states no size of its frames, or one above {LARGEST_WORDS}; load another file.")
    if width * height > LARGEST_SOURCE:
        raise ValueError(
            f"The file states frames of {width}x{height} pixels, and at most {LARGEST_WORDS} can be read: load a smaller "
            "version of it."
        )


def wanted_size(own: tuple[int, int], width: int, height: int, multiple_of: int) -> tuple[int, int]:
    """The size that frames are given.

    Args:
        own: of the video as it is shown.
        width: wanted, 0 for the video's; where only one is 0 the proportions are kept.
        height: wanted.
        multiple_of: both are rounded to multiples of this, at least one.
    """
    if multiple_of < 1 or width < 0 or height < 0:
        raise ValueError(
            f"Width {width} and height {height} in multiples of {multiple_of} are no size: give 0 or more, and a "
            "multiple_of from 1."
        )
    if width and not height:
        wanted = (width, width * own[1] / own[0])
    elif height and not width:
        wanted = (height * own[0] / own[1], height)
    else:
        wanted = (width, height) if width else own
    across, down = (max(1, round(side / multiple_of)) * multiple_of for side in wanted)
    return across, down


def scaled_size(own: tuple[int, int], target: tuple[int, int], fit: str) -> tuple[int, int]:
    """The size that a frame is scaled to before ``placed`` cuts it or adds bars.

    Args:
        own: of the frame as it is shown.
        target: that it is fitted into.
        fit: ``crop`` fills the target, ``pad`` shows everything, ``stretch`` changes the proportions.

    Raises:
        ValueError: the fit is unknown, or the frame would become huge on the way.
    """
    check_fit(fit)
    factors = target[0] / own[0], target[1] / own[1]
    if fit == "stretch":
        return target
    factor = max(factors) if fit == "crop" else min(factors)
    width, height = (max(1, round(side * factor)) for side in own)
    if width * height > LARGEST_SCALED:
        raise ValueError(
            f"A frame of {own[0]}x{own[1]} pixels would be scaled to {width}x{height} to fill {target[0]}x{target[1]}: "
            "choose a smaller size, or the fit pad or stretch."
        )
    return width, height


def preview_size(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) of a small video for the node: even, and the longer side at most 512."""
    smaller = min(1.0, PREVIEW_SIDE / max(size))
    width, height = (max(2, round(side * smaller / 2) * 2) for side in size)
    return width, height


def placed(picture: PixelArray, target: tuple[int, int]) -> PixelArray:
    """Cut around the centre, or add black and opaque bars.

    Args:
        picture: (H, W, C), on each side larger than the target, smaller or equal.
        target: (width, height).

    Returns:
        (height, width, C); the same array, or a part of it, where no bars are needed.
    """
    top, left = (max(have - want, 0) // 2 for have, want in zip(picture.shape, target[::-1], strict=False))
    picture = picture[top : top + target[1], left : left + target[0]]
    height, width, channels = picture.shape
    if (width, height) == target:
        return picture
    filled = np.zeros((target[1], target[0], channels), picture.dtype)
    filled[..., 3:] = np.iinfo(picture.dtype).max
    top, left = (target[1] - height) // 2, (target[0] - width) // 2
    filled[top : top + height, left : left + width] = picture
    return filled


def fitted(picture: PixelArray, target: tuple[int, int], fit: str) -> PixelArray:
    """A picture in a size.

    Args:
        picture: (H, W, C).
        target: (width, height).
        fit: one of FITS.

    Returns:
        (height, width, C) of the same type.

    Raises:
        ValueError: as ``scaled_size``.
    """
    own = picture.shape[1], picture.shape[0]
    size = scaled_size(own, target, fit)
    if size != own:
        smaller = size[0] * size[1] < own[0] * own[1]
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    return placed(picture, target)
