"""What the documents say of files, versions and tools is so."""

import re

import pytest
from comfy_host.source import DEFAULT_VERSION, SOURCES

from support.pack import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "web" / "docs").glob("*.md")])
every_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)(#[^)\s]*)?\)")
QUOTED = re.compile(r"`([\w./-]+)`")
# Folders of ComfyUI or of a user, files of other projects, and what the set-up makes when it is first needed.
ELSEWHERE = (".host/", "models/", "comfy/", "custom_nodes/", "output/", "input/", ".venv/", "user/", "ComfyUI/")


@every_document
def test_links_lead_to_files(path):
    for target, _ in LINK.findall(path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize(
    "name", ["architecture.md", "glossary.md", "../CONTRIBUTING.md", "../README.md", "benchmarks.md"]
)
def test_paths_that_are_named_exist(name):
    """A path counts from the checkout, or from a folder that is named before it on the same line."""
    for line in (ROOT / "docs" / name).read_text(encoding="utf-8").splitlines():
        folders = [ROOT]
        for quoted in QUOTED.findall(line):
            if quoted.startswith(ELSEWHERE) or not ("/" in quoted or quoted.endswith(".py")):
                continue
            assert any((folder / quoted).exists() for folder in folders), quoted
            named = ROOT / quoted
            folders.append(named if named.is_dir() else named.parent)


def test_documents_name_the_versions_that_are_tested():
    *others, newest = SOURCES
    assert newest == DEFAULT_VERSION
    words = f"{', '.join(others)} and {newest}"
    for name in ("README.md", "CONTRIBUTING.md"):
        assert words in " ".join((ROOT / name).read_text(encoding="utf-8").split())


def test_a_commit_is_checked_by_the_tools_that_checks_use():
    pinned = dict(
        re.findall(r"^([\w-]+)==(.+)$", (ROOT / "scripts/requirements-dev.txt").read_text("utf-8"), re.MULTILINE)
    )
    hooks = re.findall(r"\b(ruff|codespell)==([\d.]+)", (ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    assert {name for name, _ in hooks} == {"ruff", "codespell"}
    assert all(pinned[name] == version for name, version in hooks)


def test_every_word_of_the_glossary_is_explained_once():
    rows = re.findall(r"^\| \*\*(.+?)\*\*", (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) >= 50
    words = [word for row in rows for word in row.split(", ")]
    assert len(words) == len(set(words))
