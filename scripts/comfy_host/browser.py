"""Finding (or on Debian installing) a Chromium for the browser tests."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from .errors import SetupError
from .install import run_logged

NAMES = ("google-chrome", "google-chrome-stable", "chromium", "chromium-browser", "chrome")
MAC = ("Google Chrome.app/Contents/MacOS/Google Chrome", "Chromium.app/Contents/MacOS/Chromium")
WINDOWS = ("Google/Chrome/Application/chrome.exe", "Chromium/Application/chrome.exe")


def find_browser() -> str | None:
    """Path of an installed Chrome or Chromium; ``CHROME`` names one explicitly."""
    named = os.environ.get("CHROME")
    if named:
        return named if Path(named).is_file() else None
    paths = [shutil.which(name) for name in NAMES]
    if sys.platform == "darwin":
        paths += [str(Path("/Applications") / path) for path in MAC]
    if sys.platform == "win32":
        bases = [os.environ.get(name) for name in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA")]
        paths += [str(Path(base) / path) for base in bases if base for path in WINDOWS]
    return next((path for path in paths if path and Path(path).is_file()), None)


def ensure_browser(log: Path) -> str:
    """As ``find_browser``, but installs Debian's package when nothing is there and we are root on Debian.

    Raises:
        SetupError: no browser, and none can be installed here.
    """
    found = find_browser()
    if found:
        return found
    debian = shutil.which("apt-get") and Path("/etc/debian_version").exists()
    if not (debian and hasattr(os, "geteuid") and os.geteuid() == 0):
        raise SetupError("No Chrome or Chromium was found: install one, name it in CHROME, or use --skip browser.")
    print("Installing Debian's chromium package ...", flush=True)
    run_logged(["apt-get", "update"], log, "updating the package lists")
    install = ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]
    run_logged(["env", "DEBIAN_FRONTEND=noninteractive", *install], log, "installing chromium")
    found = find_browser()
    if not found:
        raise SetupError(f"apt-get installed chromium, but no browser was found afterwards (details in {log}).")
    return found
