"""Texts with camera poses in ComfyUI's input folder."""

import os

import folder_paths

from ...inputs.quoting import closest_names, plain, quoted, reason_of
from ...motion_models.camera_poses import LONGEST_POSES, Poses, parse_poses
from ..video.input_files import regular_names


def pose_file_names() -> list[str]:
    """Text files in ComfyUI's input folder."""
    names = regular_names(folder_paths.get_input_directory())
    return [name for name in names if name.lower().endswith(".txt")]


def missing_pose_file(name: str) -> str | None:
    """A sentence when the file is not in the input folder."""
    names = pose_file_names()
    if name in names:
        return None
    return (
        f"{quoted(name)} is not in ComfyUI's input folder (there is: {closest_names(name, names)}); put the .txt file "
        "there and press R to refresh."
    )


def version(name: str) -> float | None:
    """Something that changes when the file does; None while it is not there."""
    try:
        return None if missing_pose_file(name) else os.path.getmtime(_path(name))
    except OSError:
        return None


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
            return parse_poses(file.read(LONGEST_POSES + 1))
    except UnicodeDecodeError as error:
        raise ValueError(f"{quoted(name)} is no plain text; choose a RealEstate10K pose file.") from error
    except OSError as error:
        raise ValueError(f"{quoted(name)} cannot be read ({reason_of(error)}); check the file.") from error
    except ValueError as error:
        raise ValueError(f"{quoted(name)}: {plain(error, 600)}") from error


def _path(name: str) -> str:
    return os.path.join(folder_paths.get_input_directory(), name)
