"""Texts with a grammar, as people write them and programs send them, before anything reads them.

Every such text comes through here once: it is of a bounded length, its lines end as they do everywhere, and what nobody can
see and nothing can store is told.
"""

import re

from .quoting import quoted

LONGEST_TEXT = 100_000  # characters of schedules, lists and camera poses; 10,000 keys are about that long
LONGEST_PROMPTS = 1_000_000  # of a prompt schedule: thousands of long prompts
LONGEST_NUMBER = 20  # digits of a whole number; any clip is shorter
_HALF = re.compile(r"[\ud800-\udfff]")


def readable_text(name: str, text: str, longest: int = LONGEST_TEXT) -> str:
    """A text with the line ends of this system's files, of Windows or of an old Mac made newlines.

    Args:
        name: of the text; begins the sentence.
        text: as it was written.
        longest: characters that it may have.

    Raises:
        ValueError: it is too long, or holds a NUL or half of a character.
    """
    if len(text) > longest:
        raise ValueError(f"{name} is {len(text):,} characters long; make it at most {longest:,} long.")
    nul = text.find("\0")
    if nul >= 0:
        raise ValueError(
            f"{name} has a NUL, which is no text, behind {quoted(text[max(nul - 20, 0) : nul])}; write it anew as plain text."
        )
    require_characters(name, text)
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def require_characters(name: str, text: str) -> None:
    """Refuse a text that was cut inside a character, as programs cut that count in UTF-16: no file and no tokenizer takes it.

    Args:
        name: of the text; begins the sentence.
        text: as it was written.

    Raises:
        ValueError: it has one half of a surrogate pair.
    """
    if half := _HALF.search(text):
        at = half.start()
        raise ValueError(
            f"{name} has half of a character behind {quoted(text[max(at - 20, 0) : at])}; write that character anew."
        )


def written_pieces(name: str, text: str, separators: str = ",\n") -> list[str]:
    """What stands between commas and line ends, without blanks around it; empty pieces are left out.

    Args:
        name: of the text; begins the sentence.
        text: as it was written.
        separators: characters that end a piece.

    Raises:
        ValueError: see `readable_text`.
    """
    text = readable_text(name, text)
    for separator in separators[1:]:
        text = text.replace(separator, separators[0])
    return [piece for piece in (part.strip() for part in text.split(separators[0])) if piece]


def whole_number(text: str) -> int:
    """A whole number of at most `LONGEST_NUMBER` digits.

    Raises:
        ValueError: the text is none.
    """
    if len(text) > LONGEST_NUMBER:
        raise ValueError("the number is too long")
    return int(text)
