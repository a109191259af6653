"""Which hint image belongs to which frame when there are fewer hints than frames."""

from collections.abc import Callable, Sequence

# policy -> (frame number, hints, frames of the clip) -> hint number
HINT_POLICIES: dict[str, Callable[[int, int, int], int]] = {
    "hold": lambda frame, hints, total: min(frame, hints - 1),
}


def hint_indexes(policy: str, frames: Sequence[int], hint_count: int, total_frames: int) -> list[int]:
    """Hint number of each frame.

    Args:
        policy: one of HINT_POLICIES; ``hold`` repeats the last hint.
        frames: frame numbers, e.g. those of one window.
        hint_count: number of hints, at least 1; hint i belongs to frame i.
        total_frames: frames of the clip.

    Returns:
        One hint number from 0 to ``hint_count`` - 1 per frame.
    """
    pick = HINT_POLICIES[policy]
    return [pick(frame, hint_count, total_frames) for frame in frames]
