"""Tell everybody in a UNet call which frames of the clip it holds."""

from collections.abc import Sequence
from typing import Any

from comfy.context_windows import IndexListContextWindow

from .frames import WINDOWS_KEY


def announcement(frames: Sequence[int], total: int, length: int, windows: int = 1) -> dict[str, Any]:
    """Entries of transformer_options that say it the way core does and the way AnimateDiff-Evolved does.

    IPAdapter packs and ComfyUI-Advanced-ControlNet read ``ad_params``; motion modules need to know how many windows the
    frames are.

    Args:
        frames: numbers of the frames in one conditioning's share of the call.
        total: frames of the clip.
        length: frames that windows of this run have.
        windows: how many windows ``frames`` are.
    """
    numbers = list(frames)
    return {
        "context_window": IndexListContextWindow(numbers, dim=0, total_frames=total),
        "ad_params": {"full_length": total, "context_length": length, "sub_idxs": numbers},
        WINDOWS_KEY: windows,
    }
