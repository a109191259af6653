"""Files and folders that users put into ComfyUI's input folder, by the names that nodes show."""

import os
import stat
import struct
from collections.abc import Callable
from contextlib import suppress

import folder_paths

from ...inputs.quoting import quoted, reason_of
from ...video.decode.image_files import is_image

ANIMATIONS = (".gif", ".webp", ".apng", ".mkv")  # beside what the host takes for video; not every system knows .mkv
DEEPEST = 2  # levels of folders
CHUNKS = 16  # of a PNG, looked at for the one that says it moves


def video_names() -> list[str]:
    """Video files and animations at the top of the input folder."""
    return moving_names(folder_paths.get_input_directory())


def moving_names(folder: str) -> list[str]:
    """Names of the video files and animations in a folder, sorted."""
    files = regular_names(folder)
    videos = set(_video_names(files))
    return [
        name
        for name in files
        if name in videos or (name.lower().endswith(".png") and _moves(os.path.join(folder, name)))
    ]


def _video_names(names: list[str]) -> list[str]:
    """Those that are names of videos or animations."""
    videos = set(folder_paths.filter_files_content_types(names, ["video"]))
    return [name for name in names if name in videos or name.lower().endswith(ANIMATIONS)]


def regular_names(folder: str) -> list[str]:
    """Names of the regular files in a folder, sorted; this never raises.

    Left out are links that lead out of the folder or in circles, pipes and devices, on which a reader would wait for ever,
    and what the system cannot look at, such as a mount that is gone. Where that is the folder itself there are none.
    """
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    paths = {name: os.path.join(folder, name) for name in names}
    return [name for name, path in paths.items() if _is_regular(path) and is_inside(path, folder)]


def _is_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def folder_names() -> list[str]:
    """Folders below the input folder that hold pictures, up to two deep, with ``/`` between."""
    return _folders_with(lambda files: any(map(is_image, files)))


def video_folder_names() -> list[str]:
    """Folders below the input folder that hold videos, as `folder_names`."""
    return _folders_with(lambda files: bool(_video_names(files)))


def _folders_with(wanted: Callable[[list[str]], bool]) -> list[str]:
    root = folder_paths.get_input_directory()
    found: list[str] = []
    for folder, folders, files in os.walk(root):
        name = os.path.relpath(folder, root).replace(os.sep, "/")
        depth = 0 if name == "." else name.count("/") + 1
        folders[:] = sorted(f for f in folders if not f.startswith(".")) if depth < DEEPEST else []
        if depth and wanted(files):
            found.append(name)
    return sorted(found)


def input_path(name: str, folder: bool = False) -> str:
    """Where a name leads.

    Args:
        name: from the list, or of a prompt.
        folder: it is one of a folder.

    Raises:
        ValueError: out of the input (or, with ComfyUI's annotation, the output or temporary) folder, to nothing, or to
            something else than a regular file or a folder.
    """
    plain, root = folder_paths.annotated_filepath(name)
    root = os.path.realpath(root or folder_paths.get_input_directory())
    try:
        path = os.path.realpath(os.path.join(root, plain.strip()))
    except ValueError:  # characters that no file system takes
        path = root
    if not is_inside(path, root) or path == root:
        raise ValueError(f"{quoted(name)} is no name inside the input folder: choose one from the list.")
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ValueError(
            f"{quoted(name)} is not in ComfyUI's input folder: put it there (a file can be uploaded) and press R to see it."
        ) from error
    except OSError as error:
        raise ValueError(
            f"{quoted(name)} cannot be read ({reason_of(error)}): replace it, or choose another."
        ) from error
    if stat.S_ISDIR(mode) != folder:
        raise ValueError(f"{quoted(name)} is {'no folder' if folder else 'a folder'}: choose one from the list.")
    if not folder and not stat.S_ISREG(mode):
        raise ValueError(f"{quoted(name)} is a pipe or a device, not a file: choose one from the list.")
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
        input_path(name, folder)
    except ValueError as error:
        return str(error)
    return True


def fingerprint(paths: list[str]) -> str:
    """Changes when one of the files does."""
    facts = []
    for path in paths:
        state = os.stat(path)
        facts.append(f"{os.path.basename(path)}:{state.st_mtime_ns}:{state.st_size}")
    return "|".join(facts)


def folder_fingerprint(folder: str) -> str:
    """Changes when a file comes to a folder, goes, or changes."""
    return fingerprint([os.path.join(folder, name) for name in regular_names(folder)])


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
