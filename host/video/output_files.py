"""Where files go: names inside ComfyUI's output and temporary folders, claimed before anything is written."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import folder_paths

from ...inputs.quoting import quoted, reason_of
from ...video.encode.job import FRAME_NAME
from ...video.file_names import clean_prefix, part_path, remove, reserve
from ...video.metadata.filename_tokens import fill_tokens

log = logging.getLogger("zoetrope")

SHOWN_EXTENSION = "mp4"  # of the small videos that nodes show


@dataclass(frozen=True, eq=False)
class OutputFile:
    """A file that will be written, or a folder of one file a frame.

    Attributes:
        path: of the finished file or folder.
        subfolder: below the folder of its type.
        folder_type: "output" or "temp", ComfyUI's names.
        extension: of the files in the folder; empty for a file.
    """

    path: Path
    subfolder: str
    folder_type: str
    extension: str = ""

    def entry(self) -> dict[str, str]:
        """What ``/view`` takes to show it: the file, or the first of the folder."""
        name, subfolder = self.path.name, self.subfolder
        if self.extension:
            subfolder = f"{subfolder}/{name}" if subfolder else name
            name = f"{FRAME_NAME % 1}.{self.extension}"
        return {"filename": name, "subfolder": subfolder, "type": self.folder_type}


def temporary_folder() -> Path:
    """ComfyUI's folder for files that go away when it starts anew."""
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def claimed_output(
    prefix: str, extension: str, size: tuple[int, int], *, save: bool, is_folder: bool = False
) -> Iterator[OutputFile]:
    """Claim a name that nothing else has; whatever is unfinished at the end is deleted.

    Args:
        prefix: folder and start of the name, below the output or the temporary folder.
        extension: without the dot, of the file or of the files in the folder.
        size: (width, height) in pixels, which the prefix may name.
        save: in the output folder; else in the temporary one.
        is_folder: what is written is a folder.

    Raises:
        ValueError: the prefix is no name inside the folder, or the system makes no file there.
    """
    root = folder_paths.get_output_directory() if save else str(temporary_folder())
    try:
        folder, stem, counter, subfolder, _ = folder_paths.get_save_image_path(clean_prefix(prefix), root, *size)
        os.makedirs(folder, exist_ok=True)
        path = reserve(Path(folder), stem, counter, "" if is_folder else extension)
    except OSError as error:
        raise ValueError(
            f"No file can be made at filename_prefix {quoted(prefix)} ({reason_of(error)}): choose another name, or a folder that "
            "lets ComfyUI write."
        ) from error
    try:
        yield OutputFile(path, subfolder, "output" if save else "temp", extension if is_folder else "")
    finally:
        remove(part_path(path))


def claimed_preview(stem: str, size: tuple[int, int]) -> AbstractContextManager[OutputFile]:
    """Claim a temporary name for the small video that a node shows; see `claimed_output`."""
    return claimed_output(stem, SHOWN_EXTENSION, size, save=False)


def shown(file: OutputFile, moves: bool = True) -> dict[str, list[Any]]:
    """What the frontend draws in a node.

    Args:
        file: an image or a video.
        moves: the browser plays it.
    """
    return {"images": [file.entry()], "animated": [moves]}


def filled_prefix(prefix: str, prompt: Any, extra_pnginfo: Mapping[str, Any] | None) -> str:
    """Fill in ``%date:...%`` and ``%Node.widget%``; core fills in the rest.

    A token that cannot be filled in stays, and the log says why: a clip that took minutes is not lost over its name.

    Args:
        prefix: as the user typed it.
        prompt: the API prompt, or None.
        extra_pnginfo: ComfyUI's, whose "workflow" has the titles, or None.
    """
    workflow = extra_pnginfo.get("workflow") if isinstance(extra_pnginfo, Mapping) else None
    return fill_tokens(prefix, datetime.now(), prompt, workflow, log.warning)
