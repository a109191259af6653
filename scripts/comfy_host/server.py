"""Starting and stopping a headless ComfyUI on a free loopback port."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from . import Host
from .errors import SetupError
from .files import locked
from .python import runs

START_SECONDS = 300
_HAS_GPU = (
    "import torch; m = getattr(torch.backends, 'mps', None); x = getattr(torch, 'xpu', None); "
    "print(bool(torch.cuda.is_available() or (m and m.is_available()) or (x and x.is_available())))"
)


def has_gpu(python: str) -> bool:
    """Whether torch sees a GPU; without one ComfyUI must be told to use the CPU."""
    return runs([python], _HAS_GPU) == "True"


def free_port() -> int:
    """A loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def command(host: Host, port: int, base: Path, extra: list[str]) -> list[str]:
    """The command line that runs ComfyUI on loopback with everything it writes below ``base``."""
    line = [host.python, str(host.comfyui / "main.py"), "--listen", "127.0.0.1", "--port", str(port)]
    line += ["--base-directory", str(base), "--disable-auto-launch", "--disable-api-nodes"]
    # The default database lies in the ComfyUI folder, which may be a user's and in use.
    line += ["--database-url", "sqlite:///" + (base / "user" / "comfyui.db").as_posix()]
    if host.model_paths is not None:
        line += ["--extra-model-paths-config", str(host.model_paths)]
    return [*line, *extra]


class Server:
    """A ComfyUI process that we started.

    Attributes:
        url: its address.
        log: file with everything it prints.
    """

    def __init__(self, process: subprocess.Popen, url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self.log = log

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Return when it answers.

        Raises:
            SetupError: it ended or did not answer in time; the sentence has its last words.
        """
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise SetupError(
                    f"ComfyUI ended with code {self.process.returncode}: {self.last_words()} (log: {self.log})"
                )
            try:
                with opener.open(f"{self.url}/system_stats", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.3)
        raise SetupError(f"ComfyUI did not answer within {seconds:.0f} s: {self.last_words()} (log: {self.log})")

    def last_words(self) -> str:
        """The last line of the log that says something."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")

    def stop(self) -> None:
        """End the process and its children, gently at first."""
        if self.process.poll() is not None:
            return
        self._signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))
            self.process.wait(timeout=10)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            if sys.platform == "win32":
                subprocess.run(
                    ["taskkill", "/F", "/T", "/PID", str(self.process.pid)], capture_output=True, check=False
                )
            else:
                os.killpg(self.process.pid, number)


def start(host: Host, base: Path | None = None, extra: list[str] | None = None) -> Server:
    """Start ComfyUI without waiting for it.

    Args:
        host: what to run.
        base: base directory; the host's own by default. The pack must be in its ``custom_nodes``.
        extra: more command line options, for example ``--cpu``.

    Returns:
        The server; call ``wait_until_ready`` and, in the end, ``stop``.
    """
    base = base or host.base
    (base / "user").mkdir(parents=True, exist_ok=True)
    # ComfyUI lists this folder at start and ends when it is missing.
    (base / "custom_nodes").mkdir(exist_ok=True)
    port, log = free_port(), base / "server.log"
    # A group of its own: Ctrl-C in our terminal must reach us and not the server.
    own_group = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    with open(log, "wb") as file:
        process = subprocess.Popen(
            command(host, port, base, extra or []),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=host.comfyui,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            creationflags=own_group,
            start_new_session=sys.platform != "win32",
        )
    return Server(process, f"http://127.0.0.1:{port}", log)


@contextlib.contextmanager
def running(host: Host, base: Path | None = None, extra: list[str] | None = None) -> Iterator[Server]:
    """A ready server for the duration of a ``with`` block."""
    # A second ComfyUI on the same folder would empty the first one's temporary files.
    with locked((base or host.base) / "running.lock"):
        server = start(host, base, extra)
        try:
            server.wait_until_ready()
            yield server
        finally:
            server.stop()
