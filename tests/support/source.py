"""The pack's source as data, for the tests that hold its structure."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from support.pack import ROOT

CODE = ("nodes", "host", "motion_models", "temporal", "video", "charts", "preprocessors")
FUTURE = ("training", "evaluation", "migration")  # pure packages that are planned; each joins the rules when it exists
PACKAGES = tuple(name for name in (*CODE, *FUTURE) if (ROOT / name).is_dir())
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    """As text, for example ``host/call/frames.py``."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def file_of(module: tuple[str, ...]) -> Path | None:
    """The file of a module of the pack, None where there is none."""
    base = ROOT.joinpath(*module)
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def outside_names(path: Path) -> Iterator[str]:
    """First names of what a file imports by absolute name."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


@cache
def imported_files(path: Path) -> frozenset[Path]:
    """Files of the pack that a file imports, also those for type checkers only."""
    package = path.relative_to(ROOT).parts[:-1]
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            module = (*package[: len(package) - node.level + 1], *(node.module.split(".") if node.module else ()))
            for alias in node.names:
                found.add(file_of((*module, alias.name)) or file_of(module))
    return frozenset(file for file in found - {None, path} if file is not None)
