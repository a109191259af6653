"""Which frames of the clip the current UNet call holds.

One place that knows the two protocols under which a window announces itself, so that motion modules,
ControlNets and everything later work in our windows, in core's Context Windows node and in other packs'.
"""

RUN_KEY = "zoetrope_frames"  # transformer_options: clip length of this run, published by host.run


def chunk_frames(transformer_options: dict) -> tuple[int, ...] | None:
    """Global frame numbers of one conditioning chunk of the current UNet call.

    Returns:
        The frames in batch order, or None when no windows run. Core's ``causal_window_fix`` puts the
        frame before the window in front of it; that anchor frame is listed first.

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


def frames_per_chunk(transformer_options: dict, batch: int) -> int:
    """Frames that belong together in a batch of ``batch`` images.

    ``cond_or_uncond`` tells how many conditionings are stacked. Packs that sample in spatial tiles
    multiply the batch without telling, so a known window or clip length wins when it divides a chunk.
    """
    chunk = batch // max(1, len(transformer_options.get("cond_or_uncond", ())))
    frames = chunk_frames(transformer_options)
    known = len(frames) if frames is not None else transformer_options.get(RUN_KEY)
    return known if known and chunk % known == 0 else chunk


def frames_at_once(handler: object, frames: int) -> tuple[int, int]:
    """How many frames of a clip are sampled together.

    Args:
        handler: the run's context handler, of any pack, or None.
        frames: length of the clip.

    Returns:
        (frames of a window with its anchor, anchors among them); the whole clip where no windows over frames run.
        Core's ``causal_window_fix`` puts one anchor frame in front of each window.
    """
    length = getattr(handler, "context_length", 0)
    if not 0 < length < frames or getattr(handler, "dim", 0) != 0:
        return frames, 0
    anchor = int(bool(getattr(handler, "causal_window_fix", False)))
    return length + anchor, anchor
