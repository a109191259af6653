"""Views: a long row of frames attends in short pieces that overlap, and the pieces are blended.

Shapes: N = sequences, F = frames, C = channels, V = views of one length, L = frames of a view.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class ViewGroup:
    """The views of one length; all of them go through attention at once.

    Attributes:
        count: V.
        frames: (V * L,) places in the row of F frames, one view after the other.
        mix: (F, V * L) share of each of them in the result of each frame.

    Source:
        Qiu et al. 2023, "FreeNoise", section 3.2: both temporal attentions run on each view with the positions of a
        clip of its own, their weighted mean goes on to the feed-forward.
    """

    count: int
    frames: Tensor
    mix: Tensor

    def cut(self, x: Tensor) -> Tensor:
        """(N, F, ...) as (N * V, L, ...): the views of one sequence, then those of the next."""
        return x.index_select(1, self.frames).reshape(-1, len(self.frames) // self.count, *x.shape[2:])

    def blend(self, parts: Tensor, onto: Tensor | None) -> Tensor:
        """Blend the views of each sequence.

        A product with the shares is one kernel whatever the number of views, and has the same result in every run,
        which adding rows up at their indexes does not have on a GPU.

        Args:
            parts: (N * V, L, C).
            onto: (N, F, C) of other groups, to which this one is added.

        Returns:
            (N, F, C).
        """
        parts = parts.reshape(-1, self.count * parts.shape[1], *parts.shape[2:])
        mix = self.mix.to(parts.dtype).expand(parts.shape[0], -1, -1)
        return torch.bmm(mix, parts) if onto is None else torch.baddbmm(onto, mix, parts)


def view_groups(
    windows: Sequence[Sequence[int]], shares: Sequence[Sequence[float]], device: torch.device
) -> tuple[ViewGroup, ...]:
    """Views in the form in which motion modules use them.

    Args:
        windows: places of each view in the row of frames; together they hold every frame.
        shares: of each place of each view; those of a frame add up to 1.
        device: of the motion modules' input.

    Returns:
        A group for each length; none where the only view is the whole row in order, which is what motion modules do
        without views.
    """
    frames = 1 + max(max(window) for window in windows)
    if len(windows) == 1 and list(windows[0]) == list(range(frames)):
        return ()
    lengths = sorted({len(window) for window in windows}, reverse=True)
    pairs = list(zip(windows, shares, strict=True))
    return tuple(_group([pair for pair in pairs if len(pair[0]) == length], frames, device) for length in lengths)


def _group(views: Sequence[tuple[Sequence[int], Sequence[float]]], frames: int, device: torch.device) -> ViewGroup:
    places = torch.tensor([frame for window, _ in views for frame in window])
    mix = torch.zeros(frames, len(places))
    mix[places, torch.arange(len(places))] = torch.tensor([share for _, shares in views for share in shares])
    return ViewGroup(len(views), places.to(device), mix.to(device))


def longest(views: Iterable[ViewGroup], frames: int) -> int:
    """Frames that attend to each other: those of the longest view, or all of them without views."""
    return max((len(group.frames) // group.count for group in views), default=frames)
