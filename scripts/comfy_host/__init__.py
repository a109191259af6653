"""A ComfyUI to run the pack in: the user's own, or a private one below ``.host``. Standard library only."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from .errors import SetupError
from .files import link_pack, locked, write_atomic
from .install import TORCH, ensure_packages, ensure_user_packages, ensure_venv
from .python import host_python
from .source import DEFAULT_VERSION, SOURCES, ensure_comfyui

__all__ = ["DEFAULT_VERSION", "HOME", "PACK", "SOURCES", "Host", "SetupError", "ensure_host", "ensure_private_host"]

# Not resolved: a checkout that is linked into custom_nodes must be seen there.
_SEEN_AT = Path(os.path.abspath(__file__)).parents[2]
PACK = _SEEN_AT.resolve()
HOME = PACK / ".host"
OLDEST = (0, 20, 0)


@dataclass(frozen=True)
class Host:
    """A ComfyUI and what starts it.

    Attributes:
        python: interpreter that can run it.
        comfyui: folder of ``main.py``.
        base: base directory for our runs (models, input, output, user, custom_nodes with the pack).
        private: made by us below ``.host``.
        model_paths: an extra model paths file naming the user's model folders, or None.
    """

    python: str
    comfyui: Path
    base: Path
    private: bool
    model_paths: Path | None = None


def _is_comfyui(folder: Path) -> bool:
    return (folder / "main.py").is_file() and (folder / "comfy").is_dir()


def users_comfyui() -> Path | None:
    """The ComfyUI that ``COMFYUI_DIR`` names or whose ``custom_nodes`` holds this pack.

    Raises:
        SetupError: ``COMFYUI_DIR`` is set and is no ComfyUI.
    """
    named = os.environ.get("COMFYUI_DIR")
    if named:
        folder = Path(named).expanduser().resolve()
        if not _is_comfyui(folder):
            raise SetupError(
                f"COMFYUI_DIR is {named!r}, where no ComfyUI (main.py and comfy/) was found: mend or unset it."
            )
        return folder
    around = _SEEN_AT.parents[1]
    return around if _SEEN_AT.parent.name == "custom_nodes" and _is_comfyui(around) else None


def _check_version(comfyui: Path) -> None:
    try:
        text = (comfyui / "comfyui_version.py").read_text(encoding="utf-8")
    except OSError:
        text = ""
    found = re.search(r'"(\d+)\.(\d+)\.(\d+)', text)
    if found is None or tuple(map(int, found.groups())) < OLDEST:
        seen = found.group(0).strip('"') if found else "of unknown version"
        raise SetupError(f"The ComfyUI in {comfyui} is {seen}; Zoetrope needs 0.20.0 or newer: update it.")


def _model_paths(comfyui: Path, base: Path) -> Path:
    """Name every model folder of a user's ComfyUI, so that a run with our base directory still finds them."""
    models = comfyui / "models"
    names = {"animatediff_models", "animatediff_motion_lora", "checkpoints", "controlnet", "loras", "vae"}
    names |= {path.name for path in models.iterdir() if path.is_dir()} if models.is_dir() else set()
    lines = [f"  {name}: {name}" for name in sorted(names) if re.fullmatch(r"\w+", name) and name != "custom_nodes"]
    path = base / "model_paths.yaml"
    # A JSON string is a YAML string: backslashes of Windows paths survive.
    quoted = '"' + str(models).replace("\\", "\\\\").replace('"', '\\"') + '"'
    write_atomic(path, "\n".join(["users_models:", f"  base_path: {quoted}", *lines, ""]))
    return path


def ensure_private_host(version: str = DEFAULT_VERSION, home: Path = HOME) -> Host:
    """Make (or find) the private host with one pinned ComfyUI.

    Args:
        version: ComfyUI version, a key of ``SOURCES``.
        home: where everything goes.
    """
    with locked(home / "lock"):
        python = ensure_venv(home)
        # The newest version's requirements serve all pinned versions, so the environment never flips.
        newest = ensure_comfyui(home, DEFAULT_VERSION, python)
        comfyui = newest if version == DEFAULT_VERSION else ensure_comfyui(home, version, python)
        ensure_packages(home, python, "ComfyUI", [newest / "requirements.txt", PACK / "requirements.txt"], TORCH)
        link_pack(PACK, home / "base" / "custom_nodes")
    return Host(python, comfyui, home / "base", private=True)


def ensure_developer_packages(host: Host, home: Path = HOME) -> None:
    """Put what tests and scripts for developers need into the private host's environment."""
    with locked(home / "lock"):
        requirements = [PACK / "scripts" / f"requirements-{name}.txt" for name in ("unit", "dev")]
        ensure_packages(home, host.python, "developer", requirements)


def ensure_host(version: str = DEFAULT_VERSION) -> Host:
    """Find or make a host that can run the pack.

    Args:
        version: ComfyUI version of the private host; a user's own ComfyUI is taken as it is.

    Returns:
        The user's ComfyUI when the pack lies in it or ``COMFYUI_DIR`` names it, else the private one.

    Raises:
        SetupError: no network, no Python, a broken download: one sentence with the cure.
    """
    comfyui = users_comfyui()
    if comfyui is None:
        return ensure_private_host(version)
    _check_version(comfyui)
    base = HOME / "base"
    with locked(HOME / "lock"):
        python = host_python(comfyui)
        ensure_user_packages(python, PACK / "requirements.txt")
        link_pack(PACK, base / "custom_nodes")
        paths = _model_paths(comfyui, base)
    return Host(python, comfyui, base, private=False, model_paths=paths)
