"""No message shows a text of a user, a file or a library as it is (see ``inputs/quoting.py``)."""

from pathlib import Path

import pytest

from support import source
from support.messages import Messages

# Folders and files that are not held yet.
NOT_YET: tuple[str, ...] = ()
ALL = Messages(source.FILES)

PLANTED = """
import logging
from ..inputs.quoting import quoted

KNOWN = ("a", "b")


def problem(text: str, number: int, frames) -> str | None:
    if number:
        raise ValueError(f"{number} of {text} is not in {', '.join(KNOWN)}, {quoted(text)}.")  # 1: text
    try:
        word = text.split()[0]
        last = len(text)
    except OSError as error:
        logging.warning("cannot read %s", error)  # 2: error
        raise ValueError(str(error)) from error  # 3: str(error)
    for known in KNOWN:
        logging.info(f"{known} {last} {frames.shape} {frames.rate:g}")
    if word:
        raise wrong(word, "is wrong")
    return f"{word!r} and {_both(text)} and {_both(quoted(text))} are wrong"  # 4, 5, 6: word, and _both twice


def _both(text):
    return f"both {text}"


def wrong(piece, why):
    return ValueError(f"{quoted(piece)} {why}")


def wrong_too(piece) -> ValueError:
    return ValueError(f"{piece}")  # 7: nobody calls it
"""


def test_planted_faults_are_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "ROOT", tmp_path)
    path = tmp_path / "planted.py"
    path.write_text(PLANTED)
    found = [fault.split(": ", 1)[1] for fault in Messages([path]).faults(path)]
    assert sorted(found) == sorted(
        ["text", "error", "str(error)", "word", "_both(text)", "_both(quoted(text))", "piece"]
    )


def held() -> list[Path]:
    return [path for path in source.FILES if not source.name_of(path).startswith(NOT_YET)]


def test_most_files_are_held():
    assert len(held()) > 50


@pytest.mark.parametrize("path", held(), ids=source.name_of)
def test_messages_quote_what_others_wrote(path):
    assert list(ALL.faults(path)) == []
