"""Benchmarks and GPU tests, which no check runs on every machine, still import what exists."""

import ast
import importlib

import pytest

from support.pack import ROOT

SCRIPTS = sorted([*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "tests" / "gpu").rglob("*.py")])


def imported(path):
    """(module, name) of everything that a script takes from the pack and from the tests' support."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("zoetrope", "support"):
            yield from ((node.module, alias.name) for alias in node.names)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_import_what_exists(path):
    for module, name in imported(path):
        if not hasattr(importlib.import_module(module), name):
            importlib.import_module(f"{module}.{name}")


def test_some_are_looked_at():
    assert sum(1 for path in SCRIPTS for _ in imported(path)) > 20
