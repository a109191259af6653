"""The text of a prompt schedule, cut into pieces: where a key, its prompt and what follows it begin and end.

A piece is ``frames: prompt`` or ``frames = prompt``. Everything here works on positions in the text, so that a message
can name the line.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

PROMPT_SCHEDULE_EXAMPLE = '"0": "a cat", "16": "a dog"'

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)"
_FRAMES = rf"{_NUMBER}(?::(?:{_NUMBER})?)?"
_LIST = rf"{_FRAMES}(?:[ \t]*,[ \t]*{_FRAMES})*"
# Word processors turn straight quotes into curly ones (U+201C, U+201D).
_HEAD = re.compile(
    r"(?:\"(?P<straight>[^\"\n]*)\"|[\u201c\u201d](?P<curly>[^\u201c\u201d\n]*)[\u201c\u201d]"
    rf"|'(?P<single>[^'\n]*)'|(?P<bare>{_LIST}))\s*[:=][ \t]*"
)
_QUOTED = re.compile(
    r"\s*(?:\"((?:[^\"\\]|\\.)*)\"|[\u201c\u201d]((?:[^\u201c\u201d\\]|\\.)*)[\u201c\u201d])", re.DOTALL
)
_QUOTED_SINGLE = re.compile(r"\s*'((?:[^'\\]|\\.)*)'", re.DOTALL)
_UNCLOSED = re.compile(r"\s*[\"\u201c\u201d]")
# An unquoted prompt goes on to the end of its line, or to a comma and the next key; ", 16:9, " is no key.
_NEXT = rf"[\"'\u201c]?{_FRAMES}(?:,{_FRAMES})*[\"'\u201d]?[ \t]*[:=](?!\d)"
_UNQUOTED = re.compile(rf"[^\n]*?(?=,[ \t]*{_NEXT}|\n|\Z)")
_BETWEEN = re.compile(r"(?:[\s,]|//[^\n]*|#[^\n]*)*")
_AFTER = re.compile(r"[ \t]*([^\n,]*?)[ \t]*(?=,|\n|\Z|//|#)")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_MEANS = {'"': '"', "'": "'", "\\": "\\", "/": "/", "n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True)
class Piece:
    """One key as it is written.

    Attributes:
        frames: what stands before the colon.
        prompt: the prompt, without quotes and escapes.
        after: what stands after a quoted prompt, up to the comma or the line's end.
        line: number of the line, from 1.
        text: start of the piece, for messages.
    """

    frames: str
    prompt: str
    after: str
    line: int
    text: str

    def unreadable(self, why: str) -> ValueError:
        """The error that names the piece."""
        return unreadable(self.line, self.text, why)


def pieces(text: str) -> Iterator[Piece]:
    """The pieces of a schedule in the order in which they are written.

    Raises:
        ValueError: something is no key, or a quote is not closed.
    """
    text = _without_braces(text)
    position = _skip(text, 0)
    while position < len(text):
        piece, position = _piece(text, position)
        yield piece
        position = _skip(text, position)


def unreadable(line: int, text: str, why: str) -> ValueError:
    """One sentence for what cannot be read in a schedule."""
    return ValueError(f"Line {line} of the prompt schedule: {text} {why}; write for example {PROMPT_SCHEDULE_EXAMPLE}.")


def _piece(text: str, start: int) -> tuple[Piece, int]:
    line, shown = text.count("\n", 0, start) + 1, _shown(text, start)
    head = _HEAD.match(text, start)
    if head is None:
        raise unreadable(line, shown, "does not start with a frame number and a colon (quote prompts of several lines)")
    frames: str = next(group for group in head.groups() if group is not None)
    quoted = _QUOTED.match(text, head.end())
    if quoted is None and head["single"] is not None:
        quoted = _QUOTED_SINGLE.match(text, head.end())
    if quoted is not None:
        body = next(group for group in quoted.groups() if group is not None)
        after, end = _after(text, quoted.end())
        return Piece(frames, _unescaped(body), after, line, shown), end
    if _UNCLOSED.match(text, head.end()):
        raise unreadable(line, shown, "has a quote that is not closed")
    unquoted = _UNQUOTED.match(text, head.end())
    prompt = "" if unquoted is None else unquoted.group().strip(" \t\r,")
    if not prompt:
        raise unreadable(line, shown, 'has no prompt (an empty one is written "")')
    return Piece(frames, prompt, "", line, shown), head.end() if unquoted is None else unquoted.end()


def _after(text: str, start: int) -> tuple[str, int]:
    """What follows a quoted prompt, and where to go on; a forgotten comma before the next key is no matter."""
    found = _AFTER.match(text, start)
    rest = "" if found is None else found.group(1)
    if found is None or not rest or _HEAD.match(text, found.start(1)):
        return "", start
    return rest, found.end()


def _skip(text: str, position: int) -> int:
    between = _BETWEEN.match(text, position)
    return position if between is None else between.end()


def _without_braces(text: str) -> str:
    """The text with the outer braces of JSON blanked out."""
    body = text.strip(" \t\r\n,")
    if not (body.startswith("{") and body.endswith("}")):
        return text
    first, last = text.index("{"), text.rindex("}")
    return f"{text[:first]} {text[first + 1 : last]} {text[last + 1 :]}"


def _shown(text: str, start: int) -> str:
    line = text[start:].partition("\n")[0].strip()
    return line if len(line) <= 60 else line[:57] + "..."


def _unescaped(body: str) -> str:
    r"""A quoted prompt without its escapes: those of JSON, and others as they are, so that ``\(`` stays core's."""

    def plain(escape: re.Match[str]) -> str:
        code = escape.group(1)
        return chr(int(code[1:], 16)) if len(code) > 1 else _MEANS.get(code, escape.group())

    # json.dumps writes characters beyond U+FFFF as two escapes
    return _ESCAPE.sub(plain, body).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
