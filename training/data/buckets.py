"""Sizes that clips are brought to, and how long they must be."""

import math
from collections.abc import Sequence

from ...inputs.quoting import plain, quoted

BUCKET_STEP = 64  # pixels
MOST_NAMED = 10


def bucket_size(own: tuple[int, int], base: int) -> tuple[int, int]:
    """The size of a clip: the area of a square of side ``base``, in the proportions of the source, in steps of 64.

    Args:
        own: (width, height) of the source.
        base: pixels.

    Returns:
        (width, height).

    Raises:
        ValueError: the base is below 64.
    """
    if base < BUCKET_STEP:
        raise ValueError(f"size is {plain(base)}: give {BUCKET_STEP} or more.")
    factor = base / math.sqrt(own[0] * own[1])
    width, height = (max(1, math.floor(side * factor / BUCKET_STEP + 0.5)) * BUCKET_STEP for side in own)
    return width, height


def require_length(clips: Sequence[tuple[str, int]], frames: int) -> None:
    """Refuse clips that hold fewer frames than are drawn at a time.

    Args:
        clips: name and number of frames of each.
        frames: that are drawn.

    Raises:
        ValueError: some are too short; the sentence names them.
    """
    short = [(name, count) for name, count in clips if count < frames]
    if not short:
        return
    named = ", ".join(f"{quoted(name)} has {plain(count)}" for name, count in short[:MOST_NAMED])
    more = f" and {len(short) - MOST_NAMED} more are too short" if len(short) > MOST_NAMED else ""
    raise ValueError(
        f"{len(short)} of {len(clips)} clips have fewer than {plain(frames)} frames: {named}{more}; remove them, lower frames to "
        f"{plain(min(count for _, count in short))}, or raise fps (0 keeps all frames)."
    )
