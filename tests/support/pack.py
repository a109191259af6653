"""Pytest plugin: expose the checkout as package ``zoetrope`` without running its root __init__."""

import os
import sys
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# "python -m pytest" puts the checkout on sys.path, where nodes/ would hide ComfyUI's nodes.py.
sys.path[:] = [p for p in sys.path if Path(p).resolve() != ROOT]

_pack = types.ModuleType("zoetrope")
_pack.__path__ = [str(ROOT)]
sys.modules.setdefault("zoetrope", _pack)


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect the root as a plain directory; as a Package, pytest 8+ would import its __init__."""
    return pytest.Dir.from_parent(parent, path=path) if path == ROOT else None


def pytest_report_header() -> str:
    return f"ComfyUI: {os.environ.get('COMFYUI_DIR', 'COMFYUI_DIR not set, tests/host not collected')}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-contract", action="store_true", help="write tests/golden/nodes.json anew")
