"""Blend weights: how much each window counts for each of its frames where windows overlap.

A weight function sees one window of F frames whose numbers have been counted on past the end of the clip where
the window wraps, so that position in the window and frame number agree, the overlap, and whether the window begins
and ends with the clip, which in a closed loop none does.
"""

from collections.abc import Callable

from .settings import WindowSettings

SMALLEST_WEIGHT = 1e-37  # what core uses for "almost none" at the foot of a ramp: a normal number in float32


def window_weights(settings: WindowSettings, window: list[int], total_frames: int) -> list[float]:
    """Weight of a window's result for each of its frames.

    Args:
        settings: the fuse method and the overlap in frames.
        window: F frame numbers, possibly running past the last frame into the first.
        total_frames: frames of the clip.

    Returns:
        F positive weights without unit; the result of a frame is sum(weight * value) / sum(weight).

    Source:
        Same numbers as ComfyUI 0.30 ``comfy/context_windows.py``: ``create_weights_pyramid``,
        ``create_weights_flat``, ``create_weights_overlap_linear`` and, for ``relative``, the bias in
        ``IndexListContextHandler.combine_context_window_results``, whose running average equals this weighted mean.
    """
    frames = _unrolled(window, total_frames)
    open_ends = not settings.joins_ends
    at_start, at_end = open_ends and frames[0] == 0, open_ends and (frames[-1] + 1) % total_frames == 0
    return WEIGHTS_BY_METHOD[settings.fuse](frames, settings.overlap, (at_start, at_end))


def blend_shares(settings: WindowSettings, windows: list[list[int]], total_frames: int) -> list[list[float]]:
    """Weights of all windows of a step, divided by their sum per frame.

    Args:
        settings: the fuse method and the overlap in frames.
        windows: the windows of one step; together they hold every frame.
        total_frames: frames of the clip.

    Returns:
        One list per window with one share per frame of it; the shares of a frame add up to 1, and a frame that
        only one window holds has share 1 exactly.
    """
    weights = [window_weights(settings, window, total_frames) for window in windows]
    sums = [0.0] * total_frames
    for window, values in zip(windows, weights, strict=True):
        for frame, weight in zip(window, values, strict=True):
            sums[frame] += weight
    return [
        [w / sums[frame] for frame, w in zip(win, ws, strict=True)] for win, ws in zip(windows, weights, strict=True)
    ]


def _unrolled(window: list[int], total_frames: int) -> list[int]:
    """Frame numbers that only rise: one clip length is added at each wrap."""
    frames = window[:1]
    for frame in window[1:]:
        while frame < frames[-1]:
            frame += total_frames
        frames.append(frame)
    return frames


def _flat(frames: list[int], overlap: int, clip_ends: tuple[bool, bool]) -> list[float]:
    """Every frame counts the same."""
    return [1.0] * len(frames)


def _pyramid(frames: list[int], overlap: int, clip_ends: tuple[bool, bool]) -> list[float]:
    """1, 2, 3, ... up to the middle of the window and down again."""
    count = len(frames)
    return [float(min(i + 1, count - i)) for i in range(count)]


def _overlap_linear(frames: list[int], overlap: int, clip_ends: tuple[bool, bool]) -> list[float]:
    """1, with a ramp over the overlap at each end that is not the clip's own end."""
    weights = [1.0] * len(frames)
    rise = (
        [max(SMALLEST_WEIGHT, i / (overlap - 1)) for i in range(overlap)]
        if overlap > 1
        else [SMALLEST_WEIGHT] * overlap
    )
    fall = rise if overlap > 1 else [1.0] * overlap
    if not clip_ends[0]:
        for i, weight in enumerate(rise[: len(frames)]):
            weights[i] = weight
    if not clip_ends[1]:
        for i, weight in enumerate(fall[: len(frames)]):
            weights[-1 - i] = weight
    return weights


def _relative(frames: list[int], overlap: int, clip_ends: tuple[bool, bool]) -> list[float]:
    """A tent over the window that falls to a hundredth at both ends."""
    middle = (frames[0] + frames[-1]) / 2
    half = (frames[-1] - frames[0] + 1e-2) / 2
    return [max(1e-2, 1 - abs(frame - middle) / half) for frame in frames]


# keyed by settings.FUSE_METHODS
WEIGHTS_BY_METHOD: dict[str, Callable[[list[int], int, tuple[bool, bool]], list[float]]] = {
    "pyramid": _pyramid,
    "flat": _flat,
    "overlap_linear": _overlap_linear,
    "relative": _relative,
}
