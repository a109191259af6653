"""Run a Python script or module with the host's Python and COMFYUI_DIR set, making the host first if needed.

    python scripts/in_host.py benchmarks/overhead.py --size 128
    python scripts/in_host.py --comfyui 0.20.1 -m pytest tests/host/call/test_frames.py

Everything after the options goes to that Python, which has the packages for developers too.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from comfy_host import DEFAULT_VERSION, SOURCES, SetupError, ensure_developer_packages, ensure_private_host


def main(arguments: list[str]) -> int:
    version = DEFAULT_VERSION
    if arguments[:1] == ["--comfyui"] and len(arguments) > 1:
        version, arguments = arguments[1], arguments[2:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"{__doc__}\nPinned versions of ComfyUI: {', '.join(SOURCES)}.")
        return 0
    try:
        host = ensure_private_host(version)
        ensure_developer_packages(host)
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    environment = {**os.environ, "COMFYUI_DIR": str(host.comfyui)}
    child = subprocess.Popen([host.python, *arguments], env=environment)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())  # what it started ends with it
    try:
        return child.wait()
    except KeyboardInterrupt:  # the child got it too, and has servers of its own to end
        child.wait()
        raise


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
