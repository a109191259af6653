"""From a video file, or a folder of pictures, to frames.

Shapes: F = frames, H, W = size in pixels.
"""

import os
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import Any

import comfy.utils
import torch
from comfy import model_management
from comfy_execution.graph_utils import ExecutionBlocker
from torch import Tensor

from ...video.decode.frame_times import Selection, TimeMap
from ...video.decode.image_files import fitted_picture, picture_names, read_header, read_picture
from ...video.decode.reader import Frames, open_frames
from ...video.frame_size import Pixels, check_fit, wanted_size
from .frame_stores import Images, Latents, Store, require_memory
from .input_files import is_inside
from .load_preview import LoadPreview

CHUNK = 8  # frames between looks at progress and interrupt, and frames that the VAE gets at a time
FOLDER_RATE = Fraction(8)  # of the preview of pictures, which have no rate; AnimateDiff's


@dataclass(frozen=True)
class LoadSettings:
    """The widgets of Load Video; see the node for their meaning."""

    frame_rate: float = 0.0
    start: float = 0.0
    skip_frames: int = 0
    every_nth: int = 1
    max_frames: int = 0
    width: int = 0
    height: int = 0
    fit: str = "crop"
    multiple_of: int = 8
    untagged_colors: str = "auto"

    @property
    def selection(self) -> Selection:
        """Which frames."""
        return Selection(
            self.frame_rate, self.start, self.skip_frames, every_nth=self.every_nth, max_frames=self.max_frames
        )


@dataclass(frozen=True)
class LoadedVideo:
    """What Load Video gives; images or latents is None."""

    images: Tensor | None
    latents: dict[str, Tensor] | None
    mask: Tensor
    audio: dict[str, Any] | None
    count: int
    rate: Fraction
    ui: dict[str, list[Any]]


def blocked(sentence: str) -> ExecutionBlocker:
    """An output that is not there; whoever uses it is told why."""
    return ExecutionBlocker(sentence)


def load_video(path: str, settings: LoadSettings, vae: Any = None) -> LoadedVideo:
    """Read the selected frames, and the sound of the same time.

    Args:
        path: of the file.
        settings: the widgets.
        vae: encodes the frames a few at a time, so that their pixels are never held together.

    Raises:
        ValueError: the file cannot be read, a setting makes no sense, or the frames do not fit into memory.
    """
    settings.selection.check()
    check_fit(settings.fit)
    film = open_frames(path, model_management.throw_exception_if_processing_interrupted)
    plan = TimeMap(film.timeline, settings.selection)
    size = wanted_size(film.size, settings.width, settings.height, settings.multiple_of)
    store = _store(film, plan, size, vae)
    sound = film.sound(plan.start, plan.seconds)
    pictures = film.pictures(plan, size, settings.fit, settings.untagged_colors)
    preview = LoadPreview(size, plan.rate, sound)
    _fill(store, pictures, plan.count, preview)
    made, mask = store.result()
    return LoadedVideo(
        made if isinstance(made, Tensor) else None,
        None if isinstance(made, Tensor) else made,
        mask,
        None if sound is None else {"waveform": torch.from_numpy(sound[0])[None], "sample_rate": sound[1]},
        plan.count,
        plan.rate,
        preview.ui(),
    )


def _store(film: Frames, plan: TimeMap, size: tuple[int, int], vae: Any) -> Images | Latents:
    """Latents with a VAE, else images, once it is known that they fit."""
    sound = film.sound_bytes(plan.seconds)
    if vae is None:
        each = Images.frame_bytes(size, film.alpha)
        require_memory(
            plan.count, each, sound, size, "choose a smaller width and height, or connect vae to get latents"
        )
        return Images(plan.count, size, film.alpha)
    latents = Latents(vae, plan.count, film.alpha)
    require_memory(plan.count, latents.frame_bytes(size), sound, size, "choose a smaller width and height")
    return latents


def _fill(store: Store, pictures: Generator[Pixels, None, None], count: int, preview: LoadPreview) -> None:
    """Move all pictures to their store, and show them."""
    progress = comfy.utils.ProgressBar(count)
    with closing(pictures), preview:
        while chunk := list(islice(pictures, CHUNK)):
            model_management.throw_exception_if_processing_interrupted()
            store.put(chunk)
            for picture in chunk:
                preview.write(picture)
            progress.update(len(chunk))


def folder_files(folder: str) -> list[str]:
    """Paths of the pictures in a folder, in natural order; links that lead out of it are left out."""
    paths = (os.path.join(folder, name) for name in picture_names(os.listdir(folder)))
    return [path for path in paths if os.path.isfile(path) and is_inside(path, folder)]


@dataclass(frozen=True)
class FolderSettings:
    """The widgets of Load Frames; see the node for their meaning."""

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
    """Read the pictures of a folder, in the size of the first.

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
        raise ValueError(f"The folder '{os.path.basename(folder)}' has no images; choose one that has.")
    files = settings.chosen(files)
    first = read_header(files[0])
    each = Images.frame_bytes(first.size, first.alpha)
    require_memory(len(files), each, 0, first.size, "raise every_nth, or make the images smaller")
    store = Images(len(files), first.size, first.alpha)
    preview = LoadPreview(first.size, FOLDER_RATE)
    _fill(store, _pictures(files, first.size, settings.size_mismatch), len(files), preview)
    return *store.result(), len(files), preview.ui()


def _pictures(files: Iterable[str], size: tuple[int, int], mismatch: str) -> Generator[Pixels, None, None]:
    for path in files:
        yield fitted_picture(path, read_picture(path), size, mismatch)
