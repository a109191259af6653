"""Picture files of a folder as frames.

Shapes: H, W = size in pixels, C = channels (3 RGB, 4 RGB and alpha).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ...inputs.quoting import file_name, quoted, reason_of
from ..frame_size import FITS, LARGEST_SOURCE, PixelArray, fitted
from ..metadata.embed import PNG_SIGNATURE

EXTENSIONS = (".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
IMAGE_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")  # Pillow runs a program for some of its others
MISMATCHES = (*FITS, "error")
ORIENTATION = 0x0112  # EXIF
SIXTEEN_BITS = 16

# Quarter turns counterclockwise after mirroring left to right, by EXIF orientation (CIPA DC-008, 4.6.4).
TURNS = {2: (0, True), 3: (2, False), 4: (2, True), 5: (1, True), 6: (3, False), 7: (3, True), 8: (1, False)}


def natural(name: str) -> list[tuple[int, int, str]]:
    """Sorting key that puts frame2 before frame10."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def is_image(name: str) -> bool:
    """Whether a file is taken for a picture; hidden ones are not."""
    return name.lower().endswith(EXTENSIONS) and not name.startswith(".")


def image_names(names: Iterable[str]) -> list[str]:
    """Those of picture files, in natural order."""
    return sorted(filter(is_image, names), key=lambda name: (natural(name), name))


@dataclass(frozen=True)
class ImageHeader:
    """What is known before pixels are decoded: (width, height) upright, and whether it may be transparent."""

    size: tuple[int, int]
    alpha: bool


def read_header(path: str) -> ImageHeader:
    """Raises a ValueError that names the file when it is no picture, or too large."""
    with _opened(path) as image:
        turned = TURNS.get(_orientation(image), (0, False))[0] % 2
        width, height = image.size[::-1] if turned else image.size
        return ImageHeader((width, height), _has_alpha(image))


def read_image(path: str) -> PixelArray:
    """A picture upright.

    Returns:
        (H, W, C), 16 bits for PNG and TIFF files that have them, else 8.

    Raises:
        ValueError: it cannot be read; the sentence names the file.
    """
    try:
        with _opened(path) as image:
            orientation, deep = _orientation(image), _is_deep(image, path)
            pixels = _by_opencv(path) if deep else _by_pillow(image)
    except (OSError, SyntaxError, EOFError, cv2.error) as error:
        raise _unreadable(path, error) from error
    quarters, mirrored = TURNS.get(orientation, (0, False))
    return np.ascontiguousarray(np.rot90(pixels[:, ::-1] if mirrored else pixels, quarters))


def fitted_image(path: str, picture: PixelArray, size: tuple[int, int], mismatch: str) -> PixelArray:
    """A picture in the size of the first one.

    Args:
        path: for the sentence.
        picture: (H, W, C).
        size: (width, height).
        mismatch: one of MISMATCHES.

    Raises:
        ValueError: the size differs and ``mismatch`` is ``error``.
    """
    own = picture.shape[1], picture.shape[0]
    if mismatch not in MISMATCHES:
        raise ValueError(f"Unknown size_mismatch {quoted(mismatch)}; choose one of {', '.join(MISMATCHES)}.")
    if own == size:
        return picture
    if mismatch == "error":
        raise ValueError(
            f"{file_name(path)} is {own[0]}x{own[1]} pixels and the first image {size[0]}x{size[1]}: choose "
            "crop, pad or stretch as size_mismatch, or give all images one size."
        )
    return fitted(picture, size, mismatch)


def _opened(path: str) -> Image.Image:
    Image.init()
    try:
        image = Image.open(path, formats=[name for name in IMAGE_FORMATS if name in Image.OPEN])
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise _unreadable(path, error) from error
    if image.width * image.height > LARGEST_SOURCE:
        image.close()
        raise _unreadable(path, ValueError(f"it states {image.width}x{image.height} pixels"))
    return image


def _unreadable(path: str, error: BaseException) -> ValueError:
    return ValueError(f"{file_name(path)} cannot be read as an image ({reason_of(error)}); replace or remove the file.")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except (ValueError, TypeError, SyntaxError, OSError):
        return 1  # damaged EXIF is no reason to lose the picture


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _is_deep(image: Image.Image, path: str) -> bool:
    """Whether there are 16 bits a channel; Pillow opens such colours with 8."""
    if image.format == "PNG":
        with open(path, "rb") as file:
            header = file.read(25)
        return header[:8] == PNG_SIGNATURE and header[24] == SIXTEEN_BITS
    return image.mode.startswith("I;16")


def _by_pillow(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image.convert("RGBA" if _has_alpha(image) else "RGB"))


def _by_opencv(path: str) -> PixelArray:
    """16 bits; the path goes through NumPy, since OpenCV's own reading fails for names outside ASCII on Windows."""
    picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise OSError("it is damaged")
    if picture.ndim == 2:
        return cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)  # type: ignore[return-value]
    return cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA if picture.shape[2] == 4 else cv2.COLOR_BGR2RGB)  # type: ignore[return-value]
