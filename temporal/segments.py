"""A long clip as a row of segments, each beginning with frames that the one before has finished."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Segment:
    """Frames that are sampled together.

    Attributes:
        start: number of the first frame.
        frames: how many.
        held: how many of them, from the first, are finished already.
    """

    start: int
    frames: int
    held: int

    @property
    def numbers(self) -> list[int]:
        """Frame numbers."""
        return list(range(self.start, self.start + self.frames))


def check_segments(window: int, overlap: int) -> None:
    """Raise a ValueError whose sentence names the wrong value and the cure."""
    if window < 1:
        raise ValueError(f"window {window} must be at least 1 frame; 16 suits most motion models.")
    if not 0 <= overlap < window:
        raise ValueError(
            f"overlap {overlap} must be at least 0 and smaller than window {window}, else the segments never move on; "
            f"set it to {window - 1} or less."
        )


def segments(total: int, window: int, overlap: int) -> Iterator[Segment]:
    """Cut a clip; every frame is new in exactly one segment.

    Args:
        total: frames of the clip, at least 1.
        window: frames of a segment; a clip that is shorter is one segment.
        overlap: frames of a segment that the one before has finished. The last segment moves back to be as long as
            the others, so it may hold more.
    """
    check_segments(window, overlap)
    window = min(window, total)
    end = 0
    while end < total:
        start = min(max(0, end - overlap), total - window)
        yield Segment(start, window, end - start)
        end = start + window
