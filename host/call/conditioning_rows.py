"""Cut conditionings to the frames of a window, or of several windows stacked on the batch axis."""

from typing import Any

from comfy.conds import CONDConstant
from torch import Tensor

Conditioning = list[list[Any]]  # [prompt tensor, options] pairs, as core's CONDITIONING


def conds_of_window(conds: list[dict] | None, window: list[int], total: int) -> list[dict] | None:
    """Cut what belongs to single frames out of conditionings.

    Args:
        conds: conditionings of a run, or None where the guider needs no result.
        window: F frame numbers, a frame as often as the call holds it.
        total: frames of the clip.

    Returns:
        Copies in which every tensor with one row per frame has the window's rows. Batches of another length than
        the clip are cut where core would repeat them over the clip, so that a frame gets the same row in any window.

    Source:
        Same fields as ComfyUI ``comfy/context_windows.py``, ``IndexListContextHandler.get_resized_cond`` for dim 0.
    """
    if conds is None:
        return None
    return [{key: _field_of_window(key, value, window, total) for key, value in cond.items()} for cond in conds]


def _field_of_window(key: str, value: Any, window: list[int], total: int) -> Any:
    if isinstance(value, Tensor):
        return rows_of_window(value, window, total, repeats=key == "mask")
    if hasattr(value, "_copy_with"):  # COND objects, other packs' included
        return value._copy_with(rows_of_window(value.cond, window, total, repeats=not isinstance(value, CONDConstant)))
    if isinstance(value, dict):
        return {name: _field_of_window(name, item, window, total) for name, item in value.items()}
    return value


def rows_of_window(value: Any, window: list[int], total: int, repeats: bool) -> Any:
    """Rows of the window's frames.

    Args:
        value: a tensor is cut if it has a row per frame; anything else is given back.
        window: F frame numbers.
        total: frames of the clip.
        repeats: also cut several rows of another number than the clip's frames, as if repeated over the clip.
    """
    if not isinstance(value, Tensor) or not value.ndim:
        return value
    rows = value.shape[0]
    return value[[frame % rows for frame in window]] if rows == total or (repeats and rows > 1) else value
