"""Files and folders that users put into ComfyUI's input folder, by the names that nodes show."""

import os
import struct
from contextlib import suppress

import folder_paths

from ...video.decode.image_files import is_image

ANIMATIONS = (".gif", ".webp", ".apng", ".mkv")  # beside what the host takes for video; not every system knows .mkv
DEEPEST = 2  # levels of folders
CHUNKS = 16  # of a PNG, looked at for the one that says it moves


def video_names() -> list[str]:
    """Video files and animations at the top of the input folder."""
    root = folder_paths.get_input_directory()
    with os.scandir(root) as entries:
        files = sorted(e.name for e in entries if e.is_file() and not (e.is_symlink() and not is_inside(e.path, root)))
    videos = set(folder_paths.filter_files_content_types(files, ["video"]))
    return [
        name
        for name in files
        if name in videos
        or name.lower().endswith(ANIMATIONS)
        or (name.lower().endswith(".png") and _moves(os.path.join(root, name)))
    ]


def folder_names() -> list[str]:
    """Folders below the input folder that hold pictures, up to two deep, with ``/`` between."""
    root = folder_paths.get_input_directory()
    found: list[str] = []
    for folder, folders, files in os.walk(root):
        name = os.path.relpath(folder, root).replace(os.sep, "/")
        depth = 0 if name == "." else name.count("/") + 1
        folders[:] = sorted(f for f in folders if not f.startswith(".")) if depth < DEEPEST else []
        if depth and any(map(is_image, files)):
            found.append(name)
    return sorted(found)


def input_path(name: str) -> str:
    """Where a name leads.

    Raises:
        ValueError: out of the input (or, with ComfyUI's annotation, the output or temporary) folder, or to nothing.
    """
    plain, root = folder_paths.annotated_filepath(name)
    root = os.path.realpath(root or folder_paths.get_input_directory())
    try:
        path = os.path.realpath(os.path.join(root, plain.strip()))
    except ValueError:  # characters that no file system takes
        path = root
    if not is_inside(path, root) or path == root:
        raise ValueError(f"{name!r} is no name inside the input folder: choose one from the list.")
    if not os.path.exists(path):
        raise ValueError(
            f"{name!r} is not in ComfyUI's input folder: put it there (a file can be uploaded) and press R to see it."
        )
    return path


def is_inside(path: str, folder: str) -> bool:
    """Whether a path lies in a folder, with links followed."""
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    try:
        return os.path.commonpath((path, folder)) == folder
    except ValueError:  # two drives of Windows
        return False


def input_problem(name: str | None, folder: bool = False) -> str | bool:
    """What ``validate_inputs`` of a node returns: True, or a sentence."""
    if name is None:  # linked, and not known yet
        return True
    try:
        path = input_path(name)
    except ValueError as error:
        return str(error)
    if os.path.isdir(path) != folder:
        return f"{name!r} is {'no folder' if folder else 'a folder'}: choose one from the list."
    return True


def fingerprint(paths: list[str]) -> str:
    """Changes when one of the files does."""
    facts = []
    for path in paths:
        state = os.stat(path)
        facts.append(f"{os.path.basename(path)}:{state.st_mtime_ns}:{state.st_size}")
    return "|".join(facts)


def _moves(path: str) -> bool:
    """Whether a PNG has the chunk that animations have before their pixels (PNG Specification 3, acTL)."""
    with suppress(OSError), open(path, "rb") as file:  # one that vanished or cannot be read is not offered
        file.seek(8)
        for _ in range(CHUNKS):
            header = file.read(8)
            if len(header) < 8 or header[4:] == b"IDAT":
                return False
            if header[4:] == b"acTL":
                return True
            file.seek(struct.unpack(">I", header[:4])[0] + 4, os.SEEK_CUR)
    return False
