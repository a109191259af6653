"""The text of a prompt schedule, cut into pieces: where a key, its prompt and what follows it begin and end.

A piece is ``frames: prompt`` or ``frames = prompt``. Everything here works on positions in the text, so that a message
can name the line. Servers read schedules before anything runs and while others wait: no part of the text may be looked
through more than a few times, however it is written.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ...inputs.quoting import plain
from ...inputs.written import LONGEST_PROMPTS, readable_text

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
_KEY_COMES = re.compile(rf"[ \t]*{_NEXT}")
_NUMBERS_COME = re.compile(rf"[ \t]*[\"'\u201c]?{_FRAMES}(?:,{_FRAMES})*")
_BETWEEN = re.compile(r"(?:[\s,]|//[^\n]*|#[^\n]*)*")
_BLANKS = re.compile(r"[ \t]*")
_PIECE_ENDS = re.compile(r",|\n|\Z|//|#")
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
        ValueError: the text is too long, something is no key, or a quote is not closed.
    """
    text = _without_braces(readable_text("The prompt schedule", text, LONGEST_PROMPTS))
    line, counted = 1, 0
    position = _skip(text, 0)
    while position < len(text):
        line, counted = line + text.count("\n", counted, position), position
        piece, position = _piece(text, position, line)
        yield piece
        position = _skip(text, position)


def unreadable(line: int, text: str, why: str) -> ValueError:
    """One sentence for what cannot be read in a schedule."""
    return ValueError(
        f"Line {line} of the prompt schedule: {plain(text)} {why}; write for example {PROMPT_SCHEDULE_EXAMPLE}."
    )


def _piece(text: str, start: int, line: int) -> tuple[Piece, int]:
    shown = _shown(text, start)
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
    end = _unquoted_end(text, head.end())
    prompt = text[head.end() : end].strip(" \t,")
    if not prompt:
        raise unreadable(line, shown, 'has no prompt (an empty one is written "")')
    return Piece(frames, prompt, "", line, shown), end


def _unquoted_end(text: str, start: int) -> int:
    """Where an unquoted prompt ends: at a comma before the next key, else with its line."""
    line_end = text.find("\n", start)
    line_end = len(text) if line_end < 0 else line_end
    position = start
    while (comma := text.find(",", position, line_end)) >= 0:
        if _KEY_COMES.match(text, comma + 1):
            return comma
        # Numbers in a row that are no key are none from their second one on either.
        numbers = _NUMBERS_COME.match(text, comma + 1)
        position = comma + 1 if numbers is None else numbers.end()
    return line_end


def _after(text: str, start: int) -> tuple[str, int]:
    """What follows a quoted prompt, and where to go on; a forgotten comma before the next key is no matter."""
    blanks = _BLANKS.match(text, start)
    if blanks is None or _HEAD.match(text, blanks.end()):
        return "", start
    ends = _PIECE_ENDS.search(text, blanks.end())
    end = len(text) if ends is None else ends.start()
    return text[blanks.end() : end].strip(" \t"), end


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
    return plain(text[start : start + 200].partition("\n")[0].strip(), 60)


def _unescaped(body: str) -> str:
    r"""A quoted prompt without its escapes: those of JSON, and others as they are, so that ``\(`` stays core's."""

    def meaning(escape: re.Match[str]) -> str:
        code = escape.group(1)
        return chr(int(code[1:], 16)) if len(code) > 1 else _MEANS.get(code, escape.group())

    # json.dumps writes characters beyond U+FFFF as two escapes
    return _ESCAPE.sub(meaning, body).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
