"""File names: portable, inside their folder, and never taken twice."""

import os
import re
import shutil
from pathlib import Path, PurePosixPath, PureWindowsPath

from ..inputs.quoting import quoted

# Windows refuses these, ':' would name a hidden stream there, and lone surrogates are no text.
UNPORTABLE = re.compile(r'[<>:"|?*\x00-\x1f\x7f\ud800-\udfff]')
MOST_PARTS = 32  # folders and the name; each is made, and removing a tree goes down once a folder
LONGEST_PREFIX = 1000  # bytes of UTF-8 in all; systems allow a path of 4,096, Windows mostly 260
LONGEST_PART = 200  # bytes of UTF-8; systems allow 255, and a number and an extension follow


def part_path(path: Path) -> Path:
    """Return where a file lies while it is being written."""
    return path.with_name(path.name + ".part")


def clean_prefix(prefix: str) -> str:
    """Return a file name prefix that every system can store.

    Args:
        prefix: folder and start of the name, relative to the output folder, as the user typed it.

    Raises:
        ValueError: it is empty, absolute, too long or leads out of the folder.
    """
    if len(prefix) > LONGEST_PREFIX or prefix.count("/") + prefix.count("\\") >= MOST_PARTS:
        raise _too_long(prefix)
    parts = [UNPORTABLE.sub("_", part) for part in prefix.replace("\\", "/").split("/")]
    absolute = PurePosixPath(prefix).is_absolute() or PureWindowsPath(prefix).anchor != ""
    upward = any(part.startswith("..") and part.strip(" .") == "" for part in parts)  # Windows takes ".. " for ".."
    if absolute or upward or parts[-1].strip(" .") == "":
        raise ValueError(
            f"filename_prefix {quoted(prefix)} is no name inside the output folder: use a relative one such as zoetrope/animation."
        )
    longest = max(parts, key=lambda part: len(part.encode()))
    if len(longest.encode()) > LONGEST_PART:
        raise ValueError(
            f"filename_prefix has a name of {len(longest.encode())} bytes that starts with {quoted(longest, 40)}: make it "
            f"at most {LONGEST_PART} long."
        )
    if len("/".join(parts).encode()) > LONGEST_PREFIX:
        raise _too_long(prefix)
    return "/".join(parts)


def _too_long(prefix: str) -> ValueError:
    return ValueError(
        f"filename_prefix {quoted(prefix, 40)} has more than {MOST_PARTS} parts or {LONGEST_PREFIX:,} bytes: use a shorter "
        "one such as zoetrope/animation."
    )


def reserve(folder: Path, stem: str, counter: int, extension: str) -> Path:
    """Claim a free ``<stem>_<counter>_.<extension>`` by creating its ``.part`` file.

    Args:
        folder: existing folder.
        stem: start of the name.
        counter: first number to try.
        extension: without the dot; empty for a folder ``<stem>_<counter>_``, whose ``.part`` is a folder too.

    Returns:
        The path of the finished file. Two runs at the same time get different ones: ``.part`` is created exclusively,
        and a file that was finished in between is noticed because its name exists by then.
    """
    while True:
        path = folder / f"{stem}_{counter:05}_{'.' if extension else ''}{extension}"
        counter += 1
        part = part_path(path)
        try:
            if extension:
                os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            else:
                part.mkdir()
        except FileExistsError:
            continue
        if not path.exists():
            return path
        remove(part)  # another run that lost the same race may be quicker


def remove(path: Path) -> None:
    """Delete a file, or a folder with what is in it, if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
