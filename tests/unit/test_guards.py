"""What the structure tests are built of, on files whose faults are known: a guard that sees nothing passes for ever."""

import pytest

from support import source

FAULTY = '''"""Bad.

Shapes: F = frames, Q = what nobody uses.
"""

import nodes
from zoetrope.host import call
from ..host.call import frames

LEFT, RIGHT = 1, 2
TABLE: dict = {}


def long(x):
    """(F or Z, C) of x."""
    return (
        x
    )


class Thing:
    pass
'''


@pytest.fixture
def faulty(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "ROOT", tmp_path)
    for path in ("host/call/frames.py", "host/call/__init__.py", "host/__init__.py", "temporal/__init__.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    path = tmp_path / "temporal" / "bad.py"
    path.write_text(FAULTY)
    return path


def test_imports_are_seen(faulty, tmp_path):
    assert source.outside_names(faulty) == {"nodes", "zoetrope"}
    assert source.imported_files(faulty) == {tmp_path / "host/call/frames.py"}


def test_names_and_lengths_are_seen(faulty):
    assert list(source.public_names(faulty)) == ["LEFT", "RIGHT", "TABLE", "long", "Thing"]
    assert list(source.functions(faulty)) == [("long", 5)]


def test_shape_letters_are_seen(faulty):
    assert list(source.declared_letters(faulty)) == [("F", "frames"), ("Q", "what nobody uses")]
    assert [letter for letter, _ in source.used_letters(faulty)] == ["F", "Z", "C"]


def test_every_package_is_looked_at():
    """Each package has files, and most files import others and define something."""
    assert {path.relative_to(source.ROOT).parts[0] for path in source.FILES} == set(source.PACKAGES)
    assert len([path for path in source.FILES if source.imported_files(path)]) > len(source.FILES) / 2
    assert len([path for path in source.FILES if list(source.declared_letters(path))]) > 50
