"""A small share of the storm of scripts/fuzz.py: every odd input and damaged file ends in a sentence or in a clip."""

from pathlib import Path

import pytest

from support.e2e.fuzz.files import Folders, bad_files
from support.e2e.fuzz.judge import ACCEPTED, SENTENCE
from support.e2e.fuzz.prompts import odd_prompts
from support.e2e.fuzz.report import broken, table
from support.e2e.fuzz.storm import Storm, results
from support.e2e.server import MODELS

SEED, PROMPTS, FILES = 12, 60, 40
PATIENCE = 10.0  # the machine is shared with other tests


@pytest.fixture(scope="module")
def weather(running, base) -> Storm:
    return Storm(base, running, PATIENCE)


def test_odd_inputs_end_in_a_sentence_or_a_clip(weather):
    seen = list(results(weather, odd_prompts(SEED, PROMPTS)))
    print(table(seen))
    assert not broken(seen)
    assert {SENTENCE, ACCEPTED} == {result.verdict.kind for result in seen}  # else the storm is too weak or too strong


def test_damaged_files_end_in_a_sentence_or_a_clip(weather, models: Path, base):
    folders = Folders((MODELS, models), models, base / "input")
    seen = list(results(weather, bad_files(folders, SEED, FILES)))
    print(table(seen))
    assert not broken(seen)
    assert SENTENCE in {result.verdict.kind for result in seen}
    assert not weather.leftovers()
