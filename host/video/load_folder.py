"""From a folder of images to frames.

Shapes: F = frames, H, W = size in pixels.
"""

import os
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from torch import Tensor

from ...inputs.quoting import file_name
from ...video.decode.image_files import fitted_image, image_names, read_header, read_image
from ...video.frame_size import PixelArray
from .frame_stores import Images, fill, require_memory
from .input_files import regular_names
from .load_preview import LoadPreview

FOLDER_RATE = Fraction(8)  # of the preview of images, which have no rate; AnimateDiff's


def folder_files(folder: str) -> list[str]:
    """Paths of the images in a folder, in natural order; links that lead out of it are left out."""
    return [os.path.join(folder, name) for name in image_names(regular_names(folder))]


@dataclass(frozen=True, kw_only=True)
class FolderSettings:
    """The widgets of Load Frames, as the user set them.

    Attributes:
        start: images left out at the start.
        every_nth: 1 uses each image, 2 every other.
        max_frames: at most so many, 0 for all.
        size_mismatch: what happens to images of another size than the first, one of `MISMATCHES`.
    """

    start: int = 0
    every_nth: int = 1
    max_frames: int = 0
    size_mismatch: str = "crop"

    def chosen(self, files: list[str]) -> list[str]:
        """The files that are used.

        Raises:
            ValueError: there are none.
        """
        if self.every_nth < 1 or self.start < 0 or self.max_frames < 0:
            raise ValueError(
                f"start {self.start}, every_nth {self.every_nth} and max_frames {self.max_frames} make no sense together: "
                "give 0 or more, and 1 or more for every_nth."
            )
        chosen = files[self.start :: self.every_nth][: self.max_frames or None]
        if not chosen:
            raise ValueError(f"The folder has {len(files)} images and start {self.start} leaves none: lower it.")
        return chosen


def load_frames(folder: str, settings: FolderSettings) -> tuple[Tensor, Tensor, int, dict[str, list[Any]]]:
    """Read the images of a folder, in the size of the first.

    Args:
        folder: path.
        settings: the widgets.

    Returns:
        IMAGE (F, H, W, 3), MASK (F, H, W) or (F, 64, 64), the number of frames, and what the node shows.

    Raises:
        ValueError: there is none, one cannot be read, or they do not fit into memory.
    """
    files = folder_files(folder)
    if not files:
        raise ValueError(f"The folder {file_name(folder)} has no images; choose one that has.")
    files = settings.chosen(files)
    first = read_header(files[0])
    each = Images.frame_bytes(first.size, first.alpha)
    require_memory(len(files), each, 0, first.size, "raise every_nth, or make the images smaller")
    store = Images(len(files), first.size, first.alpha)
    preview = LoadPreview(first.size, FOLDER_RATE)
    fill(store, _images(files, first.size, settings.size_mismatch), len(files), preview)
    return *store.result(), len(files), preview.ui()


def _images(files: Iterable[str], size: tuple[int, int], mismatch: str) -> Generator[PixelArray, None, None]:
    for path in files:
        yield fitted_image(path, read_image(path), size, mismatch)
