"""Which frames of the clip a UNet call holds: read once, the same answer for everybody.

One place knows the protocols under which windows are announced, so that motion modules, ControlNets, LoRAs and guidance
work in our windows, in core's Context Windows node and in other packs'.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import index
from typing import Any

from comfy.context_windows import IndexListContextWindow

from . import evolved, keys

MOST_ANNOUNCED = 2**20  # far more than any clip; beyond it an announcement is a mistake


@dataclass(frozen=True)
class CallFrames:
    """The frames of one UNet call; its batch holds all frames of one chunk, then those of the next.

    Attributes:
        numbers: frame numbers of a chunk; with stacked windows those of the first window, then those of the next.
        total: frames of the clip.
        chunks: how often the batch repeats them: once a conditioning, or more where a pack stacks spatial tiles. Such
            packs stack whole batches: all conditionings of a tile, then those of the next.
        windows: how many windows of equal length the frames are.
        announced: the numbers were announced; else they count from 0.
        misfit: how many frames were announced where they do not fit the batch, else 0.
    """

    numbers: tuple[int, ...]
    total: int
    chunks: int = 1
    windows: int = 1
    announced: bool = False
    misfit: int = 0

    @property
    def length(self) -> int:
        """Frames of one window."""
        return len(self.numbers) // self.windows

    @property
    def by_window(self) -> tuple[tuple[int, ...], ...]:
        """Frame numbers of each window."""
        starts = range(0, len(self.numbers), self.length)
        return tuple(self.numbers[start : start + self.length] for start in starts)


def call_frames(
    transformer_options: Mapping[str, Any],
    rows: int,
    conditionings: int | None = None,
    window: Sequence[int] | None = None,
    total: int = 0,
) -> CallFrames:
    """The frames of a batch.

    Packs that sample in spatial tiles multiply the batch without telling, so a window or a clip length that is known
    wins where it divides the share of a conditioning. Where nothing that fits is announced, the rows are the clip's first
    frames.

    Args:
        transformer_options: of the call.
        rows: images in the batch, or latents of the clip outside of UNet calls.
        conditionings: how many are stacked in the rows; as ``cond_or_uncond`` tells by default.
        window: frame numbers that were announced in another way, for calls whose options say nothing.
        total: the clip's length that was announced with them.
    """
    frames, full = _announced(transformer_options)
    if frames is None and window is not None:
        frames, full = tuple(window), total
    if conditionings is None:
        conditionings = max(1, len(transformer_options.get("cond_or_uncond", ())))
    share = rows // conditionings
    known = transformer_options.get(keys.CLIP_LENGTH) if frames is None else len(frames)
    count = known if known and share % known == 0 else share
    announced = frames is not None and len(frames) == count
    numbers = frames if frames is not None and announced else tuple(range(count))
    return CallFrames(
        numbers,
        max(full, max(numbers, default=0) + 1),
        rows // max(1, count),
        transformer_options.get(keys.WINDOWS_PER_CHUNK, 1) if announced else 1,
        announced,
        len(frames) if frames is not None and not announced else 0,
    )


def _announced(transformer_options: Mapping[str, Any]) -> tuple[tuple[int, ...] | None, int]:
    """Frame numbers of one conditioning's share, None where no windows run, and the clip's length, 0 where unknown.

    Core's ``causal_window_fix`` puts the frame before the window in front of it; that anchor is listed first.

    Source:
        ``transformer_options["context_window"]`` as set by ComfyUI ``comfy/context_windows.py``, else
        ``transformer_options["ad_params"]`` as set by ComfyUI-AnimateDiff-Evolved.
    """
    window = transformer_options.get("context_window")
    others = transformer_options.get(evolved.FRAMES)
    others = others if isinstance(others, Mapping) else {}
    total = _clip_length(others.get("full_length"))
    total = transformer_options.get(keys.CLIP_LENGTH, 0) if total is None else total
    if window is not None and getattr(window, "dim", 0) == 0:
        anchor = getattr(window, "causal_anchor_index", None)
        lead = () if anchor is None or anchor < 0 else (anchor,)
        return (*lead, *window.index_list), getattr(window, "total_frames", 0) or total
    return _frame_numbers(others.get("sub_idxs")), total


def _frame_numbers(announced: object) -> tuple[int, ...] | None:
    """Frame numbers that another pack announces; what makes no sense is as if it were not there."""
    if not isinstance(announced, Iterable):
        return None
    try:
        numbers = tuple(index(number) for number in islice(announced, MOST_ANNOUNCED + 1))
    except (TypeError, ValueError, RuntimeError):  # of what is no number, and of tensors of several
        return None
    fits = 0 < len(numbers) <= MOST_ANNOUNCED and all(0 <= number < MOST_ANNOUNCED for number in numbers)
    return numbers if fits else None


def _clip_length(announced: object) -> int | None:
    numbers = _frame_numbers((announced,))
    return None if numbers is None else numbers[0]


def published_frames(frames: Sequence[int], total: int, length: int, windows: int = 1) -> dict[str, Any]:
    """Entries of transformer_options that announce frames the way core does and the way AnimateDiff-Evolved does.

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
        evolved.FRAMES: {"full_length": total, "context_length": length, "sub_idxs": numbers},
        keys.WINDOWS_PER_CHUNK: windows,
    }
