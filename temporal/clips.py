"""Taking frames out of clips and joining clips, for every kind of clip that a wire carries.

Shapes: F = frames, H, W = size in pixels, C = channels, h, w = latent size. An IMAGE is (F, H, W, C), a MASK (F, H, W)
or (H, W). A LATENT is a dict whose ``samples`` are (F, C, h, w), and whose ``noise_mask``, ``batch_index`` and other
entries may have one row or item per frame.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.functional import interpolate

Latent = dict[str, Any]
Clip = Tensor | Latent


def length(clip: Clip, name: str = "frames") -> int:
    """Frames of a clip.

    Args:
        clip: IMAGE, MASK or LATENT.
        name: of the input, for messages.

    Raises:
        ValueError: it is none of these, or a latent whose frames are not on the batch axis.
    """
    return len(_pictures(clip, name))


def select(clip: Clip, indexes: Sequence[int]) -> Clip:
    """The frames ``indexes`` of a clip, as new data; the clip itself when these are all its frames in order.

    Of a latent, ``batch_index`` tells which noise a frame gets and is added when it is missing, as core's Latent From
    Batch does: a frame keeps the noise that it would have had in the whole clip.
    """
    count, chosen = length(clip), list(indexes)
    if chosen == list(range(count)):
        return clip
    if not isinstance(clip, dict):
        return _pictures(clip, "frames")[chosen]
    numbered: Latent = {"batch_index": list(range(count)), **clip}
    return {key: _rows(key, entry, chosen, count) for key, entry in numbered.items()}


def merge(a: Clip, b: Clip, crossfade: int = 0) -> Clip:
    """Clip ``b`` behind clip ``a``.

    Args:
        a: IMAGE, MASK or LATENT.
        b: of the same kind and size.
        crossfade: frames at the end of ``a`` that are blended with as many from the start of ``b``, linearly: the
            share of ``b`` is 1 / (n + 1), ..., n / (n + 1), so neither clip's own last or first frame is shown twice.

    Returns:
        A clip of len(a) + len(b) - crossfade frames. Where only one latent has a noise mask the other's is 1.

    Raises:
        ValueError: the kinds or sizes differ, or a clip is shorter than the crossfade.
    """
    first, second = _pictures(a, "a"), _pictures(b, "b")
    if isinstance(a, dict) != isinstance(b, dict) or first.shape[1:] != second.shape[1:]:
        raise ValueError(
            f"a is {_described(a, first)} and b is {_described(b, second)}; make them the same size first."
        )
    if not 0 <= crossfade <= min(len(first), len(second)):
        raise ValueError(
            f"crossfade is {crossfade} frames, but a has {len(first)} and b has {len(second)}; it can be at most the "
            "shorter one."
        )
    joined = _crossfaded(first, second, crossfade)
    if isinstance(a, dict) and isinstance(b, dict):
        return {**_joined_entries(a, b, crossfade), "samples": joined}
    return joined


def _pictures(clip: Clip, name: str) -> Tensor:
    """The tensor of a clip with its frames first."""
    latent = isinstance(clip, dict)
    pictures: Any = clip.get("samples") if isinstance(clip, dict) else clip
    if getattr(pictures, "is_nested", False) or not isinstance(pictures, Tensor):
        kind = type(pictures).__name__
        raise ValueError(f"{name} holds a {kind}; connect an IMAGE, a MASK or a LATENT of one picture per frame.")
    pictures = pictures.unsqueeze(0) if pictures.ndim == 2 and not latent else pictures
    if pictures.ndim not in ((4,) if latent else (3, 4)):
        raise ValueError(
            f"{name} has the shape {tuple(pictures.shape)}; connect an IMAGE, a MASK or a LATENT with its frames on the "
            "batch axis (latents of video models have another axis for them)."
        )
    return pictures


def _described(clip: Clip, pictures: Tensor) -> str:
    if isinstance(clip, dict):
        _, channels, height, width = pictures.shape
        return f"a LATENT of {width} x {height} with {channels} channels"
    height, width = pictures.shape[1:3]
    if pictures.ndim == 3:
        return f"a MASK of {width} x {height}"
    return f"an IMAGE of {width} x {height} with {pictures.shape[3]} channels"


def _crossfaded(a: Tensor, b: Tensor, frames: int) -> Tensor:
    if not frames:
        return torch.cat([a, b.to(a)])
    shares = torch.arange(1, frames + 1, device=a.device, dtype=a.dtype).div(frames + 1)
    b = b.to(a)
    mixed = torch.lerp(a[-frames:], b[:frames], shares.view(-1, *[1] * (a.ndim - 1)))
    return torch.cat([a[:-frames], mixed, b[frames:]])


def _rows(key: str, entry: Any, chosen: list[int], count: int) -> Any:
    """An entry of a latent for some of its frames; what does not belong to single frames stays."""
    if key == "noise_mask" and isinstance(entry, Tensor):
        # The host repeats a batch of masks over the frames when it is shorter.
        return entry if entry.ndim == 2 or len(entry) == 1 else entry[[index % len(entry) for index in chosen]]
    if not _per_frame(entry, count):
        return entry
    return entry[chosen] if isinstance(entry, Tensor) else [entry[index] for index in chosen]


def _joined_entries(a: Latent, b: Latent, crossfade: int) -> Latent:
    """Entries other than the samples: per-frame ones joined when both have them, the others from ``a``, else ``b``."""
    counts = len(a["samples"]), len(b["samples"])
    joined: Latent = {}
    for key in {**a, **b}:
        mine: Any = a.get(key)
        theirs: Any = b.get(key)
        if key == "noise_mask":
            like = theirs if mine is None else mine
            joined[key] = _crossfaded(_mask(a, like), _mask(b, like), crossfade)
        elif key == "batch_index":
            numbers = list(range(counts[0])) if mine is None else list(mine)
            following = range(max(numbers) + 1, max(numbers) + 1 + counts[1])
            joined[key] = [*numbers, *(following if theirs is None else theirs)[crossfade:]]
        elif _per_frame(mine, counts[0]) and _per_frame(theirs, counts[1]):
            rest = theirs[crossfade:]
            joined[key] = torch.cat([mine, rest]) if isinstance(mine, Tensor) else [*mine, *rest]
        elif not _per_frame(mine, counts[0]) and not _per_frame(theirs, counts[1]):
            joined[key] = theirs if mine is None else mine
    return joined


def _per_frame(entry: Any, count: int) -> bool:
    """Whether an entry of a latent has one row or item per frame."""
    if isinstance(entry, Tensor):
        return entry.ndim > 0 and len(entry) == count
    return isinstance(entry, list | tuple) and len(cast("Sequence[Any]", entry)) == count


def _mask(latent: Latent, like: Tensor) -> Tensor:
    """(F, 1, H, W) noise mask of a latent at the size of ``like``; 1 without one."""
    height, width = like.shape[-2:]
    count = len(latent["samples"])
    mask = latent.get("noise_mask")
    if mask is None:
        return like.new_ones((count, 1, height, width))
    rows = mask.reshape(-1, 1, *mask.shape[-2:])
    rows = rows[[index % len(rows) for index in range(count)]]
    return rows if rows.shape[-2:] == (height, width) else interpolate(rows, (height, width), mode="bilinear")
