"""Which frames of the clip the current UNet call holds.

One place that knows the two protocols under which a window announces itself, so that motion modules,
ControlNets and everything later work in our windows, in core's Context Windows node and in other packs'.
"""

from typing import Protocol, runtime_checkable

RUN_KEY = "zoetrope_frames"  # transformer_options: clip length of this run, published by host.run
WINDOWS_KEY = "zoetrope_windows"  # transformer_options: windows stacked in a chunk, published by host.windows


@runtime_checkable
class StagedHandler(Protocol):
    """A context handler of ours, whose windows depend on the step."""

    def frames_at_once(self, frames: int) -> int:
        """Frames of the longest window; the whole clip if any step samples it whole."""
        ...

    def frames_per_call(self, frames: int) -> int:
        """The most frames of one conditioning in one UNet call."""
        ...


def chunk_frames(transformer_options: dict) -> tuple[int, ...] | None:
    """Global frame numbers of one conditioning chunk of the current UNet call.

    Returns:
        The frames in batch order, or None when no windows run; with stacked windows those of the first, then those
        of the next. Core's ``causal_window_fix`` puts the frame before the window in front of it; that anchor frame
        is listed first.

    Source:
        ``transformer_options["context_window"]`` as set by ComfyUI ``comfy/context_windows.py``, else
        ``transformer_options["ad_params"]["sub_idxs"]`` as set by ComfyUI-AnimateDiff-Evolved.
    """
    window = transformer_options.get("context_window")
    if window is not None and getattr(window, "dim", 0) == 0:
        anchor = getattr(window, "causal_anchor_index", None)
        lead = () if anchor is None or anchor < 0 else (anchor,)
        return (*lead, *window.index_list)
    indexes = transformer_options.get("ad_params", {}).get("sub_idxs")
    return None if indexes is None else tuple(indexes)


def total_frames(transformer_options: dict) -> int | None:
    """Length of the whole clip in frames, or None when nothing announced it."""
    window = transformer_options.get("context_window")
    if window is not None and getattr(window, "dim", 0) == 0 and getattr(window, "total_frames", 0):
        return window.total_frames
    full = transformer_options.get("ad_params", {}).get("full_length")
    return full if full is not None else transformer_options.get(RUN_KEY)


def windows_per_chunk(transformer_options: dict) -> int:
    """How many windows of equal length a conditioning chunk of the current UNet call holds, one after the other."""
    return transformer_options.get(WINDOWS_KEY, 1)


def frames_per_chunk(transformer_options: dict, batch: int) -> int:
    """Frames that belong together in a batch of ``batch`` images.

    ``cond_or_uncond`` tells how many conditionings are stacked. Packs that sample in spatial tiles
    multiply the batch without telling, so a known window or clip length wins when it divides a chunk.
    """
    chunk = batch // max(1, len(transformer_options.get("cond_or_uncond", ())))
    frames = chunk_frames(transformer_options)
    known = len(frames) if frames is not None else transformer_options.get(RUN_KEY)
    return known if known and chunk % known == 0 else chunk


def frames_of_rows(transformer_options: dict, rows: int) -> tuple[tuple[int, ...], int]:
    """Frame numbers of the ``rows`` latents of one chunk, and the clip's length.

    Where nothing of that length is announced, the rows are the clip's first frames.
    """
    frames = chunk_frames(transformer_options)
    if frames is None or len(frames) != rows:
        frames = tuple(range(rows))
    return frames, max(total_frames(transformer_options) or 0, max(frames, default=0) + 1)


def frames_at_once(handler: object, frames: int) -> tuple[int, int]:
    """How many frames of a clip motion modules see together.

    Args:
        handler: the run's context handler, of any pack, or None.
        frames: length of the clip.

    Returns:
        (frames of a window with its anchor, anchors among them); the whole clip where no windows over frames run.
        Core's ``causal_window_fix`` puts one anchor frame in front of each window. Ours may change its windows while
        it samples: the most frames at any step.
    """
    if isinstance(handler, StagedHandler):
        return handler.frames_at_once(frames), 0
    length = getattr(handler, "context_length", 0)
    if not 0 < length < frames or getattr(handler, "dim", 0) != 0:
        return frames, 0
    anchor = int(bool(getattr(handler, "causal_window_fix", False)))
    return length + anchor, anchor


def frames_per_call(handler: object, frames: int) -> int:
    """Frames of one conditioning that lie in memory in one UNet call: those of all windows stacked in it.

    Args:
        handler: the run's context handler, of any pack, or None.
        frames: length of the clip.
    """
    if isinstance(handler, StagedHandler):
        return handler.frames_per_call(frames)
    together, anchor = frames_at_once(handler, frames)
    return together - anchor
