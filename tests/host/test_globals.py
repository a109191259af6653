"""No global of torch or ComfyUI is replaced, ever."""

import subprocess
import sys

from support.pack import ROOT


def test_no_global_is_replaced():
    probe = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "support" / "globals_probe.py")],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert probe.returncode == 0, probe.stderr
    lines = probe.stdout.strip().splitlines()
    assert lines[-1].startswith("watched ")
    assert int(lines[-1].split()[1]) > 1000
    assert lines[:-1] == []
