"""Where bars of frames go when they are drawn: which lie beside each other and which need a lane of their own."""

import math
from collections.abc import Iterable, Sequence


def rising_runs(frames: Sequence[int]) -> list[list[int]]:
    """Cut a row of frame numbers where it starts again further left.

    Returns:
        One list where the frames only rise; a window that goes on from the last frame into the first gives two.
    """
    runs: list[list[int]] = []
    for frame in frames:
        if runs and frame > runs[-1][-1]:
            runs[-1].append(frame)
        else:
            runs.append([frame])
    return runs


def pack(bars: Sequence[Sequence[int]]) -> list[int]:
    """The lane of each bar, so that bars of a lane do not meet and there are few lanes.

    Args:
        bars: frames of each bar; from the first to the last frame of a run the lane is taken, frames left out included.

    Returns:
        Lanes from 0, in the order of the bars.
    """
    runs = [rising_runs(bar) for bar in bars]
    lanes = [0] * len(runs)
    free: list[tuple[int, float]] = []  # of each lane, the last frame taken and the first of a tail at the clip's end
    # Bars that go on at the other end first: they meet at the clip's end, so each has a lane of its own.
    for number in sorted(range(len(runs)), key=lambda n: (-len(runs[n]), runs[n][0][0])):
        first, last = runs[number][0][0], runs[number][-1][-1]
        if len(runs[number]) > 1:
            lanes[number] = len(free)
            apart = len(runs[number]) == 2 and last < first
            free.append((last, first) if apart else (first, -1))
            continue
        fits = (place for place, (end, tail) in enumerate(free) if end < first and last < tail)
        lanes[number] = next(fits, len(free))
        if lanes[number] == len(free):
            free.append((-1, math.inf))
        free[lanes[number]] = (last, free[lanes[number]][1])
    return lanes


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers from ``low`` to ``high`` for an axis: steps of 1, 2 or 5 times a power of ten.

    Args:
        low: lower end.
        high: upper end, above ``low``.
        most: how many numbers there may be, at least 1.
    """
    step = next(s for s in _round_steps() if (high - low) / s < most)
    first = -int(-low / step + 1e-9) if low < 0 else int(low / step + 1 - 1e-9)
    numbers = [round(number * step, 9) for number in range(first, first + most)]
    return [number for number in numbers if low - 1e-9 <= number <= high + 1e-9]


def _round_steps() -> Iterable[float]:
    for power in range(-9, 40):
        for factor in (1, 2, 5):
            yield factor * 10.0**power
