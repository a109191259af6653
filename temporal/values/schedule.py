"""Values over time: a schedule string becomes one number per frame of a clip of any length.

``0: 1.0, 16: 0.2 ease_in_out, -1: 0`` holds a value at each key and interpolates between keys.
"""

from dataclasses import dataclass

from ...inputs.numbers import LARGEST_WRITTEN, fits
from ...inputs.quoting import quoted
from ...inputs.written import written_pieces
from ..frame_keys import EASINGS, OUTSIDE, FrameKey, blends, outside, read_frame

VALUE_SCHEDULE_EXAMPLE = "0: 1.0, 16: 0.2 ease_in_out, -1: 0"


@dataclass(frozen=True)
class ValueKey(FrameKey):
    """One key of a schedule.

    Attributes:
        value: value at the key.
    """

    value: float


@dataclass(frozen=True)
class ValueSchedule:
    """Keys of a schedule in the order in which they were written."""

    keys: tuple[ValueKey, ...]

    def at(self, total_frames: int) -> list[float]:
        """Value of every frame.

        Args:
            total_frames: frames of the clip.

        Returns:
            One value per frame: interpolated between neighbouring keys by the earlier key's easing, the first
            key's value before it and the last key's after it. Of two keys at one frame the later written counts.
        """
        values = [key.value for key in self.keys]
        return [
            values[blend.first] + (values[blend.second] - values[blend.first]) * blend.share
            for blend in blends(self.keys, total_frames)
        ]

    @property
    def numbered_frames(self) -> int:
        """Frames up to the last key with a frame number from the start, at least 1."""
        return 1 + max((int(key.at) for key in self.keys if not key.is_position and key.at >= 0), default=0)

    def is_always(self, value: float) -> bool:
        """Whether every frame of every clip has this value."""
        return all(key.value == value for key in self.keys)


def parse_value_schedule(text: str) -> ValueSchedule:
    """Read a schedule string.

    Args:
        text: ``key: value [easing]`` pieces separated by commas or line breaks. A key is a frame number, a negative
            number counting from the end, or with a decimal point a position from 0.0 (first frame) to 1.0 (last).
            The easing shapes the way to the next key: linear, ease_in, ease_out, ease_in_out, hold.

    Returns:
        The schedule, equal and of equal hash for equal keys.

    Raises:
        ValueError: a piece cannot be read; the sentence names it and shows an example.

    Source:
        Easings: u^2, 1 - (1 - u)^2 and (1 - cos(pi u)) / 2, the usual quadratic and cosine curves, which
        ComfyUI-Advanced-ControlNet's keyframe interpolation uses as well.
    """
    keys = tuple(_parse_key(piece) for piece in written_pieces("The value schedule", text))
    if not keys:
        raise ValueError(f"The value schedule is empty; write for example '{VALUE_SCHEDULE_EXAMPLE}'.")
    return ValueSchedule(keys)


def _parse_key(piece: str) -> ValueKey:
    where, colon, rest = (part.strip() for part in piece.partition(":"))
    words = rest.split()
    if not colon or not 1 <= len(words) <= 2:
        raise _unreadable(piece, "is not 'frame: value' or 'frame: value easing'")
    easing = words[1] if len(words) == 2 else "linear"
    if easing not in EASINGS:
        raise _unreadable(piece, f"has the unknown easing {quoted(easing)} (known: {', '.join(EASINGS)})")
    try:
        (at, is_position), value = read_frame(where), float(words[0])
    except (ValueError, OverflowError):
        raise _unreadable(piece, "needs a frame number before the colon and a number after it") from None
    if outside(at, is_position):
        raise _unreadable(piece, OUTSIDE)
    if not fits(value, LARGEST_WRITTEN):
        raise _unreadable(piece, f"needs a finite value of at most {LARGEST_WRITTEN:,.0f} in size")
    return ValueKey(at, is_position, easing, value)


def _unreadable(piece: str, why: str) -> ValueError:
    return ValueError(f"Schedule piece {quoted(piece)} {why}; write for example '{VALUE_SCHEDULE_EXAMPLE}'.")
