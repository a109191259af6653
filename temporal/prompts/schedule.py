"""Prompts over time: a schedule text becomes a share of two prompts for every frame of a clip.

``"0": "a cat", "16": "a dog"`` holds a prompt at each key and goes over from one to the next between keys.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from ...inputs.quoting import plain, quoted
from ..frame_keys import EASINGS, OUTSIDE, FrameKey, blends, outside, read_frame
from .parsing import PROMPT_SCHEDULE_EXAMPLE, Piece, pieces

MOST_KEYS = 10_000
_EXPRESSION = re.compile(r"`[^`\n]*`")


@dataclass(frozen=True)
class PromptKey(FrameKey):
    """One key of a schedule.

    Attributes:
        prompt: prompt at the key.
    """

    prompt: str


@dataclass(frozen=True)
class PromptShare:
    """What one frame takes: ``1 - share`` of one prompt and ``share`` of another, which is the same at a share of 0."""

    first: str
    second: str
    share: float


@dataclass(frozen=True)
class PromptSchedule:
    """Keys of a schedule in the order in which they were written."""

    keys: tuple[PromptKey, ...]

    def at(self, total_frames: int, hold: bool = False) -> list[PromptShare]:
        """The prompts of every frame.

        Args:
            total_frames: frames of the clip.
            hold: jump at the keys instead of going over between them.
        """
        shares: list[PromptShare] = []
        for blend in blends(self.keys, total_frames):
            first, second = self.keys[blend.first].prompt, self.keys[blend.second].prompt
            alone = hold or first == second or not blend.share
            shares.append(PromptShare(first, first, 0.0) if alone else PromptShare(first, second, blend.share))
        return shares

    def between(self, prepend: str, append: str) -> "PromptSchedule":
        """The schedule with text put before and after every prompt.

        Raises:
            ValueError: the text holds what belongs to other packs' schedules.
        """
        for name, text in (("prepend", prepend), ("append", append)):
            if why := _foreign(text):
                raise ValueError(f"{plain(name)} {why}.")
        return PromptSchedule(tuple(replace(key, prompt=joined(prepend, key.prompt, append)) for key in self.keys))


def joined(prepend: str, prompt: str, append: str) -> str:
    """Parts of a prompt joined with single commas; a prompt that nothing is joined to stays as it is."""
    before, after = _trimmed(prepend), _trimmed(append)
    return ", ".join(part for part in (before, _trimmed(prompt), after) if part) if before or after else prompt


def _trimmed(text: str) -> str:
    return text.strip(" \t\r\n,")


def parse_prompt_schedule(text: str) -> PromptSchedule:
    r"""Read a prompt schedule.

    Args:
        text: ``"frames": "prompt" [easing]`` pieces separated by commas or line breaks, quotes and outer braces
            optional; an unquoted prompt ends with its line. Instead of the colon may stand ``=``. Frames are a frame
            number, a negative one counting from the end, or with a decimal point a position from 0.0 to 1.0; several
            with commas; ``a:b`` for all from a up to but not b; ``a:`` to hold until the next key. The easing shapes the
            way to the next key. Inside quotes JSON's escapes are understood and others kept. Lines that start with //
            or # are comments.

    Returns:
        The schedule, equal and of equal hash for equal keys.

    Raises:
        ValueError: a piece cannot be read; the sentence names it and its line and shows an example.

    Source:
        Lists, ranges, ``=`` and the colon that holds: as in ComfyUI-AnimateDiff-Evolved's Prompt Scheduling.
    """
    keys = tuple(islice((key for piece in pieces(text) for key in _keys(piece)), MOST_KEYS + 1))
    if len(keys) > MOST_KEYS:
        raise ValueError(
            f"The prompt schedule has more than {MOST_KEYS:,} keys; write ranges such as 0:16, or fewer keys."
        )
    if not keys:
        raise ValueError(f"The prompt schedule is empty; write for example {PROMPT_SCHEDULE_EXAMPLE}.")
    return PromptSchedule(keys)


def _keys(piece: Piece) -> Iterator[PromptKey]:
    if piece.after not in ("", *EASINGS):
        raise piece.unreadable(
            f"goes on after the prompt with {quoted(piece.after)}, which is no easing ({', '.join(EASINGS)}); "
            r"a quote inside a prompt is written \""
        )
    if why := _foreign(piece.prompt):
        raise piece.unreadable(why)
    for frames in piece.frames.split(","):
        yield from _keys_of(frames, piece)


def _keys_of(frames: str, piece: Piece) -> list[PromptKey]:
    start, colon, stop = (part.strip() for part in frames.partition(":"))
    if not colon:
        return [_key(start, piece)]
    if not stop:
        return [_key(start, piece, piece.after or "hold")]
    first, end = _key(start, piece, "hold"), _key(stop, piece)
    if first.is_position or end.is_position:
        raise piece.unreadable(
            f"has the range {quoted(frames.strip())}, whose ends must be frame numbers without a point"
        )
    if end.at == 0 or (first.at < 0) == (end.at < 0) and end.at <= first.at:
        raise piece.unreadable(
            f"has the range {quoted(frames.strip())}, which is empty: its second frame is not part of it"
        )
    last = replace(end, at=end.at - 1)
    return [last] if last.at == first.at else [first, last]


def _key(frame: str, piece: Piece, easing: str = "") -> PromptKey:
    try:
        at, is_position = read_frame(frame)
    except ValueError:
        raise piece.unreadable(
            f"has {quoted(frame)} where a frame number belongs (sums are not calculated; 0.5 with a point is the middle)"
        ) from None
    if outside(at, is_position):
        raise piece.unreadable(OUTSIDE)
    return PromptKey(at, is_position, easing or piece.after or "linear", piece.prompt)


def _foreign(text: str) -> str:
    """What is wrong with text that other packs would not pass on to the text encoder."""
    if "--neg" in text:
        return "has '--neg', which belongs to other packs; connect a second Prompt Schedule for the negative prompt"
    if found := _EXPRESSION.search(text):
        return f"has the expression {plain(found.group())}, which is not calculated; write weights like (cat:1.2) at their keys"
    return ""
