"""File work of the set-up: a lock between processes, stamps, hashes, and linking the pack into a host."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from .errors import SetupError

NEVER_COPIED = (".git", ".host", "__pycache__", "artefacts", ".pytest_cache", ".ruff_cache")


def _try_lock(handle) -> bool:
    """Take an operating system lock that vanishes with the process, however it ends."""
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415 (exists on Windows only)

            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415 (exists on POSIX only)

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def locked(path: Path, say=print, wait_seconds: float = 3600) -> Iterator[None]:
    """Hold the lock file ``path``; a second process waits for the first.

    Args:
        path: the lock file, made when missing and left in place.
        say: called once with a sentence when another process holds the lock.
        wait_seconds: give up after this long.

    Raises:
        SetupError: the other process did not finish in time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+b") as handle:
        told, end = False, time.monotonic() + wait_seconds
        while not _try_lock(handle):
            if not told:
                say("Waiting for another Zoetrope process to finish ...")
                told = True
            if time.monotonic() > end:
                raise SetupError(
                    f"Another process has held {path} for {wait_seconds:.0f} s: end that process and retry."
                )
            time.sleep(0.5)
        yield


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def write_atomic(path: Path, text: str) -> None:
    """Write a small text file so that readers see all of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def stamped(path: Path, text: str) -> bool:
    """Whether the stamp ``path`` says ``text``: that step is done and its inputs have not changed."""
    try:
        return path.read_text(encoding="utf-8") == text
    except OSError:
        return False


def _remove_link(link: Path) -> None:
    if link.is_symlink():
        link.unlink()
    elif os.path.lexists(link):  # also a junction whose target is gone
        # A junction must be unlinked by rmdir: rmtree would empty the folder that it points to.
        try:
            os.rmdir(link)
        except OSError:
            shutil.rmtree(link)


def _junction(target: Path, link: Path) -> bool:
    if sys.platform != "win32":
        return False
    done = subprocess.run(["cmd", "/c", "mklink", "/J", str(link), str(target)], capture_output=True, check=False)
    return done.returncode == 0


def link_pack(pack: Path, custom_nodes: Path) -> Path:
    """Make the pack appear as ``custom_nodes/zoetrope``: a symlink, else a junction, else a fresh copy.

    Args:
        pack: root of the checkout.
        custom_nodes: folder of the host, made when missing.

    Returns:
        The path inside ``custom_nodes``.
    """
    custom_nodes.mkdir(parents=True, exist_ok=True)
    link = custom_nodes / "zoetrope"
    if link.exists() and link.resolve() == pack.resolve():
        return link
    _remove_link(link)
    try:
        link.symlink_to(pack, target_is_directory=True)
    except OSError:
        if not _junction(pack, link):
            shutil.copytree(pack, link, ignore=shutil.ignore_patterns(*NEVER_COPIED))
    return link
