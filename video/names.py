"""File names: portable, inside their folder, and never taken twice."""

import os
import re
from pathlib import Path, PurePosixPath, PureWindowsPath

UNPORTABLE = re.compile(r'[<>:"|?*\x00-\x1f]')  # Windows refuses these, and ':' would name a hidden stream


def part_path(path: Path) -> Path:
    """Return where a file lies while it is being written."""
    return path.with_name(path.name + ".part")


def clean_prefix(prefix: str) -> str:
    """Return a file name prefix that every system can store.

    Args:
        prefix: folder and start of the name, relative to the output folder, as the user typed it.

    Raises:
        ValueError: it is empty, absolute or leads out of the folder.
    """
    parts = prefix.replace("\\", "/").split("/")
    absolute = PurePosixPath(prefix).is_absolute() or PureWindowsPath(prefix).anchor != ""
    if absolute or ".." in parts or parts[-1].strip(" .") == "":
        raise ValueError(
            f"filename_prefix {prefix!r} is no name inside the output folder: use a relative one such as zoetrope/animation."
        )
    return UNPORTABLE.sub("_", "/".join(parts))


def reserve(folder: Path, stem: str, counter: int, extension: str) -> Path:
    """Claim a free ``<stem>_<counter>_.<extension>`` by creating its ``.part`` file.

    Args:
        folder: existing folder.
        stem: start of the name.
        counter: first number to try.
        extension: without the dot.

    Returns:
        The path of the finished file. Two runs at the same time get different ones: ``.part`` is created exclusively,
        and a file that was finished in between is noticed because its name exists by then.
    """
    while True:
        path = folder / f"{stem}_{counter:05}_.{extension}"
        counter += 1
        try:
            os.close(os.open(part_path(path), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            continue
        if not path.exists():
            return path
        part_path(path).unlink(missing_ok=True)  # another run that lost the same race may be quicker
