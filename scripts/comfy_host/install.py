"""The private virtual environment: made once, filled by uv (or pip where uv fails)."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from .errors import SetupError
from .files import stamped, write_atomic
from .python import find_python, runs, venv_python

TORCH = ("torch==2.11.0", "torchvision==0.26.0", "torchaudio==2.11.0")
UV = "uv>=0.9,<1"
NO_NETWORK = (
    "name resolution",
    "failed to establish a new connection",
    "error sending request",
    "dns error",
    "connection refused",
    "network is unreachable",
    "getaddrinfo failed",
    "timed out",
    "client error (connect)",
)


def run_logged(command: list[str], log: Path, what: str) -> None:
    """Run a command with its output in a log file and a sign of life on the terminal.

    Args:
        command: program and arguments.
        log: file that the output is added to.
        what: the step in words, as in "installing torch".

    Raises:
        SetupError: the command failed; the sentence says whether the network is missing.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    start = log.stat().st_size if log.exists() else 0
    with open(log, "ab") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        began = time.monotonic()
        try:
            while process.poll() is None:
                try:
                    process.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    print(f"  ... {what}, {time.monotonic() - began:.0f} s", flush=True)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if process.returncode == 0:
        return
    with open(log, "rb") as file:
        file.seek(start)
        output = file.read().decode("utf-8", "replace")
    if any(sign in output.lower() for sign in NO_NETWORK):
        raise SetupError(
            f"The network is missing or the package index did not answer while {what} (details in {log}): "
            "run the same command again when it is back, finished steps are kept."
        )
    last = next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "no output")
    raise SetupError(f"The set-up failed while {what}: {last} (details in {log}).")


def pip_install(python: str, arguments: list[str], log: Path, what: str, again: bool = False) -> None:
    """Install with uv; a machine where uv cannot work (its own certificates, old libc) falls back to pip.

    Args:
        python: interpreter to install into.
        arguments: requirements and options that both tools know.
        log: file for the output.
        what: the step in words.
        again: install anew what seems installed; neither tool notices files that an interrupted run left out.
    """
    uv, pip = (["--reinstall"], ["--force-reinstall"]) if again else ([], [])
    try:
        run_logged([python, "-m", "uv", "pip", "install", "--python", python, *uv, *arguments], log, what)
    except SetupError:
        run_logged([python, "-m", "pip", "install", *pip, *arguments], log, what)


def _stamp(home: Path, name: str) -> Path:
    """Stamps of packages lie in the environment, so that they go with it when it is made anew."""
    return home / "venv" / "stamps" / name


def ensure_venv(home: Path) -> str:
    """Make ``home/venv`` with uv in it.

    Returns:
        Path of the environment's interpreter.
    """
    python = venv_python(home / "venv")
    stamp, log = _stamp(home, "venv"), home / "setup.log"
    if stamped(stamp, UV) and runs([str(python)], "import pip._internal.cli.main") is not None:
        return str(python)
    if runs([str(python)], "import pip._internal.cli.main") is None:
        found = find_python()
        print(f"Making a virtual environment with {found} ...", flush=True)
        run_logged([found, "-m", "venv", "--clear", str(home / "venv")], log, "making a virtual environment")
    run_logged([str(python), "-m", "pip", "install", UV], log, "installing uv")
    write_atomic(stamp, UV)
    return str(python)


def ensure_packages(home: Path, python: str, name: str, requirements: list[Path], extra: tuple[str, ...] = ()) -> None:
    """Install requirement files unless the stamp ``name`` says that exactly these are installed already.

    Args:
        home: the private host's folder.
        python: interpreter of its environment.
        name: stamp and step name.
        requirements: requirement files.
        extra: pinned requirements on top.
    """
    text = "\n".join([*extra, *(path.read_text(encoding="utf-8") for path in requirements)])
    stamp = _stamp(home, name)
    if stamped(stamp, text):
        return
    unfinished = stamp.with_name(f"{name}.unfinished")
    torn = unfinished.exists()
    write_atomic(unfinished, "")
    print(f"Installing {name} packages{' (several GB with torch)' if extra else ''} ...", flush=True)
    arguments = [*extra, *(part for path in requirements for part in ("-r", str(path)))]
    pip_install(python, arguments, home / "setup.log", f"installing {name} packages", again=torn)
    write_atomic(stamp, text)
    unfinished.unlink()


def ensure_user_packages(python: str, requirements: Path) -> None:
    """Install the pack's own requirements into a user's Python when one cannot be imported.

    Raises:
        SetupError: pip failed there.
    """
    modules = {"opencv-python": "cv2", "opencv-python-headless": "cv2", "imageio-ffmpeg": "imageio_ffmpeg"}
    lines = [line.split("#")[0].strip() for line in requirements.read_text(encoding="utf-8").splitlines()]
    names = [modules.get(line, line) for line in lines if line]
    code = f"import importlib.util as u, sys; sys.exit(not all(u.find_spec(name) for name in {names!r}))"
    if runs([python], code) is not None:
        return
    print(f"Installing the pack's requirements into {python} ...", flush=True)
    done = subprocess.run([python, "-m", "pip", "install", "-r", str(requirements)], stdout=sys.stderr, check=False)
    if done.returncode:
        raise SetupError(f"pip could not install {requirements}: run '{python} -m pip install -r {requirements}'.")
