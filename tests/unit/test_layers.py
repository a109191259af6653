"""Imports point one way: nodes -> host -> the pure packages."""

import ast

import pytest

from support.pack import ROOT

HOST = {
    "comfy",
    "comfy_extras",
    "comfy_execution",
    "folder_paths",
    "latent_preview",
    "server",
    "execution",
    "node_helpers",
}
PURE = {"motion_models", "temporal", "video", "charts", "preprocessors"}
MAY_IMPORT = {
    **{pure: set() for pure in PURE},
    "host": PURE | HOST | {"comfy_api"},
    "nodes": PURE | {"host", "comfy_api"},
}
GUARDED = HOST | PURE | {"host", "nodes", "comfy_api", "comfy_api_nodes"}
FILES = sorted(path for layer in MAY_IMPORT for path in (ROOT / layer).rglob("*.py"))


def imported(path):
    """Top-level names a file imports; ``from ..host import x`` counts as ``host``."""
    depth = len(path.relative_to(ROOT).parts) - 1
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level in (0, depth + 1):
            yield from ([node.module.split(".")[0]] if node.module else [a.name for a in node.names])


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path):
    layer = path.relative_to(ROOT).parts[0]
    assert set(imported(path)) & GUARDED <= MAY_IMPORT[layer]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_file_is_short_and_ascii(path):
    text = path.read_bytes()
    assert text.count(b"\n") <= 400
    assert text.isascii()
