"""The rules of CONTRIBUTING that a machine can hold: sizes of files, functions and folders, names, shape letters."""

import re
from collections import defaultdict

import pytest

from support.source import FILES, declared_letters, functions, name_of, public_names, used_letters

MOST_FILE_LINES = 400
MOST_FUNCTION_LINES = 40
MOST_ENTRIES = {"video": 12, "nodes": 40}  # 15 elsewhere
SAME_EVERYWHERE = {"log"}  # each module's logger, one object
every_file = pytest.mark.parametrize("path", FILES, ids=name_of)


@every_file
def test_file_is_short_and_ascii(path):
    text = path.read_bytes()
    assert text.count(b"\n") <= MOST_FILE_LINES
    assert text.isascii()


@every_file
def test_functions_are_short(path):
    long = [(name, lines) for name, lines in functions(path) if lines > MOST_FUNCTION_LINES]
    assert [entry for entry in long if entry[0] != "define_schema"] == []  # a list of inputs is as long as it is


@pytest.mark.parametrize("folder", sorted({path.parent for path in FILES}), ids=name_of)
def test_folders_are_small(folder):
    entries = [entry for entry in folder.iterdir() if entry.name != "__pycache__"]
    assert len(entries) <= MOST_ENTRIES.get(name_of(folder), 15)


def test_no_public_name_means_two_things():
    homes = defaultdict(set)
    for path in FILES:
        for name in public_names(path):
            homes[name].add(name_of(path))
    assert len(homes) > 500
    assert {name: files for name, files in homes.items() if len(files) > 1 and name not in SAME_EVERYWHERE} == {}


@every_file
def test_shape_letters_are_declared_and_mean_one_thing(path):
    meanings = defaultdict(set)
    for letter, meaning in declared_letters(path):
        meanings[letter].add(meaning)
    assert {letter: found for letter, found in meanings.items() if len(found) > 1} == {}
    assert [shape for letter, shape in used_letters(path) if letter not in meanings] == []
    text = path.read_text(encoding="utf-8")
    assert [letter for letter in meanings if len(re.findall(rf"\b{letter}\b", text)) < 2] == []  # it says nothing
