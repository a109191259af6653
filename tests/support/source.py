"""The pack's source as data, for the tests that hold its structure."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from support.pack import ROOT

PURE = ("inputs", "motion_models", "temporal", "video", "charts", "preprocessors")
PLANNED = ("training", "evaluation", "migration")  # pure as well: the rules hold for each from its first file on
PACKAGES = tuple(name for name in ("nodes", "host", *PURE, *PLANNED) if (ROOT / name).is_dir())
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
SHAPE = re.compile(r"\(([A-Za-z0-9 *+/.,-]+)\)")
LENGTH = re.compile(
    r"(?:\.\.\.|\w|\d+|\w ?[*+/-] ?\w(?: ?[*+/-] ?\w)*|\w or \w)?"
)  # F, 3, B * F, W // 2 + 1 without the slashes, 1 or F
DECLARED = re.compile(r"((?:\b[A-Za-z]\b(?:, | and )?)+) = ([^,.;]*)")


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


def outside_names(path: Path) -> set[str]:
    """First names of what a file imports by absolute name."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


@cache
def imported_files(path: Path) -> frozenset[Path]:
    """Files of the pack that a file imports, also those that only type checkers import."""
    package, found = path.relative_to(ROOT).parts[:-1], set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            module = (*package[: len(package) - node.level + 1], *(node.module.split(".") if node.module else ()))
            found |= {file_of((*module, alias.name)) or file_of(module) for alias in node.names}
    return frozenset(file for file in found if file is not None and file != path)


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Names of all functions of a file, with their length in lines."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def public_names(path: Path) -> Iterator[str]:
    """What a file defines at its top for others: functions, classes, types and constants."""
    for node in tree(path).body:
        names = []
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]
        yield from (name for name in names if not name.startswith("_"))


def prose(path: Path) -> list[str]:
    """Docstrings and comments of a file."""
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = [ast.get_docstring(node) for node in ast.walk(tree(path)) if isinstance(node, owners)]
    return [doc for doc in docs if doc] + re.findall(r"#.*", path.read_text(encoding="utf-8"))


def declared_letters(path: Path) -> Iterator[tuple[str, str]]:
    """Letters that ``Shapes:`` paragraphs of a file explain, each with its meaning."""
    for text in prose(path):
        for legend in re.findall(r"Shapes: (.*?)(?:\n\n|\Z)", text, re.DOTALL):
            for letters, meaning in DECLARED.findall(legend):
                yield from ((letter, " ".join(meaning.split())) for letter in re.findall(r"\b[A-Za-z]\b", letters))


def used_letters(path: Path) -> Iterator[tuple[str, str]]:
    """Letters of shapes such as (B * F, C, H, W) in the prose of a file, each with that shape."""
    for text in prose(path):
        for match in SHAPE.finditer(text):
            lengths = [length.strip() for length in match.group(1).split(",")]
            if len(lengths) > 1 and all(map(LENGTH.fullmatch, lengths)):
                yield from ((letter, match.group(0)) for letter in re.findall(r"\b[A-Za-z]\b", match.group(1)))
