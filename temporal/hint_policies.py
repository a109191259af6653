"""Which hint image belongs to which frame when there are not as many hints as frames."""

from collections.abc import Callable, Sequence


def hold(frame: int, hints: int, total: int) -> int:
    """The first hint before the hints, the last one after them."""
    return min(max(frame, 0), hints - 1)


def loop(frame: int, hints: int, total: int) -> int:
    """From the first hint again after the last, as core's Apply ControlNet does without windows."""
    return frame % hints


def ping_pong(frame: int, hints: int, total: int) -> int:
    """Back and forth, the hints at both ends once each."""
    period = max(1, 2 * (hints - 1))
    place = frame % period
    return min(place, period - place)


def stretch(frame: int, hints: int, total: int) -> int:
    """The hints spread over the clip: the first at its first frame, the last at its last, halves rounded up."""
    last = max(1, total - 1)
    place = min(max(frame, 0), total - 1)
    return (2 * place * (hints - 1) + last) // (2 * last)


# policy -> (frame number, hints, frames of the clip) -> hint number
HINT_POLICIES: dict[str, Callable[[int, int, int], int]] = {
    "hold": hold,
    "loop": loop,
    "ping_pong": ping_pong,
    "stretch": stretch,
    "off": hold,
}


def hint_indexes(policy: str, frames: Sequence[int], hint_count: int, total_frames: int, offset: int = 0) -> list[int]:
    """Hint number of each frame.

    Args:
        policy: one of HINT_POLICIES.
        frames: frame numbers, e.g. those of one window.
        hint_count: number of hints, at least 1; hint i belongs to frame i - ``offset``.
        total_frames: frames of the clip.
        offset: hint of frame 0; negative for hints that start later in the clip.

    Returns:
        One hint number from 0 to ``hint_count`` - 1 per frame.
    """
    pick = HINT_POLICIES[policy]
    return [pick(frame + offset, hint_count, total_frames) for frame in frames]


def hint_shares(policy: str, frames: Sequence[int], hint_count: int, offset: int = 0) -> list[float]:
    """1 for each frame that has a hint, 0 for those without: with ``off``, frames before the first and after the last.

    Args:
        policy: one of HINT_POLICIES.
        frames: frame numbers.
        hint_count: number of hints.
        offset: hint of frame 0.
    """
    if policy != "off":
        return [1.0] * len(frames)
    return [float(0 <= frame + offset < hint_count) for frame in frames]
