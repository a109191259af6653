"""Keys at frames of a clip of any length, and what each frame takes from the two keys around it."""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..inputs.written import whole_number

# How far the way to the next key has gone (0 to 1) when the fraction u of the time between two keys has passed.
EASINGS: dict[str, Callable[[float], float]] = {
    "linear": lambda u: u,
    "ease_in": lambda u: u * u,
    "ease_out": lambda u: 1 - (1 - u) ** 2,
    "ease_in_out": lambda u: (1 - math.cos(math.pi * u)) / 2,
    "hold": lambda u: 0.0,
}

OUTSIDE = "has a position outside 0.0 to 1.0 (frame numbers are written without a point)"


@dataclass(frozen=True)
class FrameKey:
    """Where a key lies and how the way from it goes.

    Attributes:
        at: frame number (negative counts from the end, -1 is the last frame), or position in the clip from 0 to 1.
        is_position: whether ``at`` is a position.
        easing: one of EASINGS, the way from this key to the next.
    """

    at: float
    is_position: bool
    easing: str

    def frame(self, total_frames: int) -> float:
        """Frame number of the key in a clip; between frames for a position, outside the clip where it says so."""
        if self.is_position:
            return self.at * (total_frames - 1)
        return self.at if self.at >= 0 else total_frames + self.at


@dataclass(frozen=True)
class Blend:
    """What one frame takes: ``1 - share`` of one key and ``share`` of the next.

    Attributes:
        first: number of the earlier key in the order in which keys were written.
        second: number of the later one; equal to ``first`` before the first key and after the last.
        share: 0 to 1.
    """

    first: int
    second: int
    share: float


def blends(keys: Sequence[FrameKey], total_frames: int) -> list[Blend]:
    """The blend of every frame of a clip.

    Args:
        keys: in any order, at least one. Of two keys at one frame the later in the sequence counts.
        total_frames: frames of the clip.

    Returns:
        One blend per frame: between neighbouring keys by the earlier key's easing; the first key alone before it and
        the last alone after it.
    """
    placed = {key.frame(total_frames): number for number, key in enumerate(keys)}
    frames = sorted(placed)
    order = [placed[frame] for frame in frames]
    return [_blend_at(frame, frames, order, keys) for frame in range(total_frames)]


def _blend_at(frame: int, frames: list[float], order: list[int], keys: Sequence[FrameKey]) -> Blend:
    after = bisect_right(frames, frame)
    first = order[max(after - 1, 0)]
    if after in (0, len(order)):
        return Blend(first, first, 0.0)
    passed = (frame - frames[after - 1]) / (frames[after] - frames[after - 1])
    return Blend(first, order[after], EASINGS[keys[first].easing](passed))


def read_frame(text: str) -> tuple[float, bool]:
    """Frame number, or position where a point is written, and whether it is a position.

    Raises:
        ValueError: the text is no number, or a frame number longer than any clip.
    """
    is_position = "." in text
    return (float(text) if is_position else whole_number(text)), is_position


def outside(at: float, is_position: bool) -> bool:
    """Whether a position lies outside the clip; OUTSIDE says it in words."""
    return is_position and not 0 <= at <= 1
