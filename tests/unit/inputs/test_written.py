"""Texts with a grammar before they are read: line ends, length, NUL, pieces, whole numbers."""

import json

import pytest

from zoetrope.inputs.written import LONGEST_TEXT, readable_text, whole_number, written_pieces


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_are_one_kind(end):
    assert readable_text("x", f"\ufeffa{end}{end}b{end}") == "a\n\nb\n"
    assert written_pieces("x", f" a {end}b,, c{end}") == ["a", "b", "c"]


def test_what_is_too_long_or_holds_a_nul_is_told():
    assert len(readable_text("x", "a" * LONGEST_TEXT)) == LONGEST_TEXT
    with pytest.raises(ValueError, match=r"^keys is 100,001 characters long; make it at most 100,000 long\.$"):
        readable_text("keys", "a" * (LONGEST_TEXT + 1))
    with pytest.raises(ValueError, match=r"^keys has a NUL, which is no text, behind '0: 1'; write it anew"):
        readable_text("keys", "0: 1\0")


def test_half_of_a_character_is_told():
    """A program that counts in UTF-16 cut a text of emoji: JSON and Python carry it, no tokenizer and no file name does."""
    with pytest.raises(
        ValueError, match=r"^prompt has half of a character behind 'a cat '; write that character anew\.$"
    ):
        readable_text("prompt", "a cat " + json.loads('"\\ud83d"'))
    assert readable_text("prompt", json.loads('"\\ud83d\\ude00"')) == "\U0001f600"


def test_pieces_end_at_every_separator():
    assert written_pieces("x", "a;b,c\nd", ",\n;") == ["a", "b", "c", "d"]


def test_whole_numbers_are_of_a_length_that_means_something():
    assert (whole_number("-12"), whole_number("9" * 20)) == (-12, 10**20 - 1)
    for text in ("9" * 400, "1.5", ""):
        with pytest.raises(ValueError):
            whole_number(text)
