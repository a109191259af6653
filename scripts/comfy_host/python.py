"""Finding Python interpreters that really run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from .errors import SetupError

NEWEST_FIRST = ((3, 12), (3, 11), (3, 13), (3, 10))
WINDOWS = sys.platform == "win32"


def runs(command: list[str], code: str) -> str | None:
    """Standard output of ``command -c code``, or None when it fails: a shim may exist and not work."""
    try:
        done = subprocess.run([*command, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _candidates(version: tuple[int, int]) -> Iterator[list[str]]:
    name = f"{version[0]}.{version[1]}"
    if sys.version_info[:2] == version:
        yield [sys.executable]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for folder in sorted(pyenv.glob(f"versions/{name}*"), reverse=True):
        yield [str(folder / "bin" / "python")]
    for folder in sorted(pyenv.glob(f"pyenv-win/versions/{name}*"), reverse=True):
        yield [str(folder / "python.exe")]
    if WINDOWS:
        yield ["py", f"-{name}"]
    for path in (f"/opt/homebrew/bin/python{name}", f"/usr/local/bin/python{name}", shutil.which(f"python{name}")):
        if path and Path(path).exists():
            yield [path]


def find_python() -> str:
    """Path of a Python for the private host, 3.12 when there is one.

    Raises:
        SetupError: no Python 3.10 to 3.13 with the venv module works here.
    """
    code = "import ensurepip, sys, venv; print(sys.version_info[0], sys.version_info[1], sys.executable)"
    for version in NEWEST_FIRST:
        for command in _candidates(version):
            answer = runs(command, code)
            if answer and answer.split(" ", 2)[:2] == [str(version[0]), str(version[1])]:
                return answer.split(" ", 2)[2]
    raise SetupError(
        "No working Python 3.10 to 3.13 with venv and pip was found: install Python 3.12 "
        "(on Debian and Ubuntu also the package python3-venv) and run this command again."
    )


def venv_python(folder: Path) -> Path:
    """The interpreter inside a virtual environment."""
    return folder / "Scripts" / "python.exe" if WINDOWS else folder / "bin" / "python"


def host_python(comfyui: Path) -> str:
    """The interpreter that an existing ComfyUI uses.

    Args:
        comfyui: folder of ``main.py``.

    Raises:
        SetupError: none of the usual places has a Python with torch.
    """
    around = [comfyui, comfyui.parent]
    paths = [comfyui.parent / "python_embeded" / "python.exe", comfyui.parent / "python_embedded" / "python.exe"]
    paths += [venv_python(base / name) for base in around for name in ("venv", ".venv")]
    active = [os.environ[name] for name in ("VIRTUAL_ENV", "CONDA_PREFIX") if os.environ.get(name)]
    paths += [venv_python(Path(base)) for base in active]
    paths += [Path(base) / "python.exe" for base in active if WINDOWS]
    for path in [*map(str, paths), sys.executable]:
        # find_spec is enough: importing torch takes seconds.
        code = "import importlib.util as u, sys; sys.exit(not (u.find_spec('torch') and u.find_spec('aiohttp')))"
        if Path(path).exists() and runs([path], code) is not None:
            return path
    raise SetupError(
        f"No Python with torch was found for the ComfyUI in {comfyui}: run this command with the Python that "
        "starts your ComfyUI."
    )
