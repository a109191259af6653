"""Sliding context windows: which frames go through the UNet together at each step.

Frame numbers count from 0; a window is a list of frame numbers in the order in which the UNet sees them.

Shapes: N = frames of the clip, L = frames of a window, s = dilation (every s-th frame).
"""

import math
from collections.abc import Callable, Iterator
from itertools import accumulate, pairwise

from .settings import WindowSettings


def windows_for_step(settings: WindowSettings, total_frames: int, step: int) -> list[list[int]]:
    """Cut a clip into windows.

    Every frame is in at least one window and no window holds a frame twice.

    Args:
        settings: valid settings.
        total_frames: frames of the clip, N >= 1.
        step: sampling step from 0; most schedules place their windows differently at each step.

    Returns:
        Windows in the order in which they run. A clip that fits one window is that one window, in a closed loop with
        another first frame at each step.

    Source:
        Without ``closed_loop`` the same windows as ComfyUI 0.30 ``comfy/context_windows.py`` and
        ComfyUI-AnimateDiff-Evolved for schedules of the same name, which follow animatediff-cli ``context.py``; with
        it, for ``looped_uniform``. Their defects are cured: a dilated window longer than the clip repeated frames or
        left the clip, here it holds each of its frames once; with a stride ``standard_uniform`` left frames out, here
        a window over them is added; an overlap as long as the window divided by zero, here ``validate`` refuses it.
    """
    if total_frames <= settings.length:
        first = int(step_phase(step) * total_frames) if settings.joins_ends else 0
        return [[*range(first, total_frames), *range(first)]]
    return WINDOWS_BY_SCHEDULE[settings.schedule](settings, total_frames, step)


def step_phase(step: int) -> float:
    """Where in the clip the windows of a step start, as a fraction: 0, 1/2, 1/4, 3/4, 1/8, ...

    The bits of the step number mirrored at the binary point (van der Corput sequence in base 2), so that the
    seams between windows are spread over the clip as evenly as the steps so far allow.
    """
    phase, place = 0.0, 0.5
    while step:
        phase += place * (step & 1)
        step, place = step >> 1, place / 2
    return phase


def _uniform_starts(settings: WindowSettings, total: int, step: int, closed: bool) -> Iterator[tuple[int, int]]:
    """Yield (first frame, dilation) of evenly spread windows; frames count on past the end of the clip."""
    phase = step_phase(step)
    shift = round(total * phase)
    end = total + shift - (0 if closed else settings.overlap)
    for power in range(min(settings.stride, math.ceil(math.log2(total / settings.length)) + 1)):
        dilation = 2**power
        advance = settings.length * dilation - settings.overlap
        for start in range(int(phase * dilation) + shift, end, advance):
            yield start, dilation


def _looped_uniform(settings: WindowSettings, total: int, step: int) -> list[list[int]]:
    """Windows that run on from the last frame into the first."""
    windows: list[list[int]] = []
    for start, dilation in _uniform_starts(settings, total, step, settings.closed_loop):
        frames = [(start + dilation * i) % total for i in range(settings.length)]
        windows.append(list(dict.fromkeys(frames)))
    return windows


def _standard_uniform(settings: WindowSettings, total: int, step: int) -> list[list[int]]:
    """As looped, but a window that would wrap moves back to the end of the clip.

    Where the move uncovers the first frames, a window over them is added. A closed loop has no end to move back to.
    """
    if settings.closed_loop:
        return _looped_uniform(settings, total, step)
    spreads = [
        ([(start + dilation * i) % total for i in range(settings.length)], dilation)
        for start, dilation in _uniform_starts(settings, total, step, closed=False)
    ]
    windows: list[list[int]] = []
    for number, (frames, dilation) in enumerate(spreads):
        wrapped_to = next((b for a, b in zip(frames, frames[1:], strict=False) if b < a), None)
        if wrapped_to is None:
            windows.append(frames)
            continue
        fitting = min(settings.length, (total - 1) // dilation + 1)
        windows.append(list(range(total - 1 - dilation * (fitting - 1), total, dilation)))
        following = spreads[number + 1][0] if number + 1 < len(spreads) else windows[0]
        if wrapped_to not in following:
            windows.append(_window_from(wrapped_to, settings.length, total))
    unique = [list(window) for window in dict.fromkeys(map(tuple, windows))]
    missing = sorted(set(range(total)).difference(*unique))
    return unique if not missing else [*unique, _window_from(missing[0], settings.length, total)]


def _window_from(start: int, length: int, total: int) -> list[int]:
    """Neighbouring frames from ``start`` on, moved back where the clip ends earlier."""
    start = min(start, total - length)
    return list(range(start, start + length))


def _standard_static(settings: WindowSettings, total: int, step: int) -> list[list[int]]:
    """The same windows at every step; the last one moves back to end with the clip, or runs on into a closed loop."""
    advance = settings.length - settings.overlap
    if settings.closed_loop:
        return [_on_ring(start, settings.length, total) for start in range(0, total, advance)]
    last = total - settings.length
    return [_window_from(start, settings.length, total) for start in [*range(0, last, advance), last]]


def _shifted(settings: WindowSettings, total: int, step: int) -> list[list[int]]:
    """Pieces without overlap whose borders move at each step, none longer than L or shorter than half of it.

    In an open clip the pieces have L frames between a first and a last one that take what is left; where that is too
    little, it is shared evenly with the neighbour. So a border comes to every place in turn, except within half a
    window of the clip's ends. The fewest pieces that go around a closed loop are about equally long.
    """
    phase = step_phase(step)
    if settings.closed_loop:
        pieces = math.ceil(total / settings.length)
        borders = [math.floor((number + phase) * total / pieces) for number in range(pieces + 1)]
        return [_on_ring(start, end - start, total) for start, end in pairwise(borders)]
    first = int(phase * settings.length)
    full, rest = divmod(total - first, settings.length)
    lengths = [length for length in (first, *[settings.length] * full, rest) if length]
    lengths = _without_short_first(lengths, settings.length)
    lengths = _without_short_first(lengths[::-1], settings.length)[::-1]
    return [list(range(end - length, end)) for length, end in zip(lengths, accumulate(lengths), strict=True)]


def _without_short_first(lengths: list[int], longest: int) -> list[int]:
    """Piece lengths whose first, if below half of ``longest``, is joined with the second or shares evenly with it."""
    if len(lengths) == 1 or lengths[0] >= (longest + 1) // 2:
        return lengths
    both = lengths[0] + lengths[1]
    shared = [both] if both <= longest else [both // 2, both - both // 2]
    return [*shared, *lengths[2:]]


def _on_ring(start: int, length: int, total: int) -> list[int]:
    """Neighbouring frames from ``start`` on, the first frame following the last."""
    return [frame % total for frame in range(start, start + length)]


def _batched(settings: WindowSettings, total: int, step: int) -> list[list[int]]:
    """Pieces without overlap, the last one possibly shorter."""
    return [list(range(start, min(start + settings.length, total))) for start in range(0, total, settings.length)]


# keyed by settings.SCHEDULES
WINDOWS_BY_SCHEDULE: dict[str, Callable[[WindowSettings, int, int], list[list[int]]]] = {
    "standard_uniform": _standard_uniform,
    "standard_static": _standard_static,
    "looped_uniform": _looped_uniform,
    "batched": _batched,
    "shifted": _shifted,
}
