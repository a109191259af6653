"""Model folders: the community's names, so that files people already have are found."""

import os
from typing import Any

import folder_paths

from ...inputs.quoting import closest_names, quoted
from .read_model import read_path as read_path  # beside `read_file`, for files that were found before

MOTION_MODELS = "animatediff_models"
MOTION_LORAS = "animatediff_motion_lora"


def register_model_folders() -> None:
    """Tell ComfyUI about the two folders; paths from extra_model_paths.yaml are kept."""
    for name in (MOTION_MODELS, MOTION_LORAS):
        folder_paths.add_model_folder_path(name, os.path.join(folder_paths.models_dir, name))
        extensions = folder_paths.folder_names_and_paths[name][1]
        if extensions is not folder_paths.supported_pt_extensions:
            # A folder that ComfyUI learns of this way lists every file until it has extensions.
            extensions.update(folder_paths.supported_pt_extensions)


def file_names(folder: str) -> list[str]:
    """File names a loader offers, in ComfyUI's order; empty while the folder is unknown."""
    if folder not in folder_paths.folder_names_and_paths:
        return []
    return folder_paths.get_filename_list(folder)


def missing_file(folder: str, name: str) -> str | None:
    """A sentence that says the file is not there and what is, or None when it is there."""
    if name in file_names(folder):
        return None
    there = closest_names(name, file_names(folder))
    return f"{quoted(name)} is not in models/{folder} (there is: {there}); put the file there and press R to refresh."


def read_file(folder: str, name: str) -> tuple[str, dict[str, Any]]:
    """Read a model file on the CPU.

    Args:
        folder: model folder key.
        name: file name as listed by `file_names`.

    Returns:
        (absolute path, entries by name); see `read_path`.

    Raises:
        ValueError: the file is missing, is no model file, or holds pickled code.
    """
    path = folder_paths.get_full_path(folder, name) if name in file_names(folder) else None
    if path is None:
        raise ValueError(
            missing_file(folder, name) or f"{quoted(name)} is gone from models/{folder}; put it there again."
        )
    return path, read_path(path)
