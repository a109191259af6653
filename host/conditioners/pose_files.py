"""Texts with camera poses in ComfyUI's input folder."""

import os

import folder_paths

from ...motion_models.camera_poses import Poses, parse_poses


def pose_file_names() -> list[str]:
    """Text files in ComfyUI's input folder."""
    folder = folder_paths.get_input_directory()
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_file() and entry.name.lower().endswith(".txt"))


def missing_pose_file(name: str) -> str | None:
    """A sentence when the file is not in the input folder."""
    if name in pose_file_names():
        return None
    return f"'{name}' is not in ComfyUI's input folder; put the .txt file there and press R to refresh."


def version(name: str) -> float | None:
    """Something that changes when the file does; None while it is not there."""
    return None if missing_pose_file(name) else os.path.getmtime(_path(name))


def read_pose_file(name: str) -> Poses:
    """Poses of a RealEstate10K text in ComfyUI's input folder.

    Raises:
        ValueError: the file is not there, is no text, or a line cannot be read; the sentence names it.
    """
    problem = missing_pose_file(name)
    if problem:
        raise ValueError(problem)
    try:
        with open(_path(name), encoding="utf-8") as file:
            return parse_poses(file.read())
    except UnicodeDecodeError as error:
        raise ValueError(f"'{name}' is no plain text; choose a RealEstate10K pose file.") from error
    except ValueError as error:
        raise ValueError(f"'{name}': {error}") from error


def _path(name: str) -> str:
    return os.path.join(folder_paths.get_input_directory(), name)
