"""Arithmetic on what controls return.

Shapes: R = rows of the UNet call, C = channels, h, w = size of a residual.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Residuals = dict[str, list[Tensor | None]]  # by UNet part: input, middle, output
MaskAt = Callable[[Tensor], Tensor]  # residual (R, C, h, w) -> mask (R, 1, h, w)


def scaled_residuals(
    control: Residuals | None, factors: Sequence[float], weights: dict | None = None, mask: MaskAt | None = None
) -> Residuals | None:
    """Multiply residuals by one factor per image of the call.

    Args:
        control: lists of residuals (R or 1, C, h, w), or (R or 1, tokens, C) for transformer models; changed in place.
        factors: R factors.
        weights: factor by (part, place in its list), 1 where none is given.
        mask: mask for a residual.

    Returns:
        ``control``, whose residuals are new tensors unless every factor is 1: a control may hand out one tensor
        for several blocks or keep it for the next call.
    """
    if control is None:
        return None
    same = len(set(factors)) == 1
    column: Tensor | None = None
    for part, residuals in control.items():
        for place, residual in enumerate(residuals):
            if residual is None:
                continue
            weight = (weights or {}).get((part, place), 1.0)
            if not same:
                column = torch.tensor(factors).to(residual) if column is None else column.to(residual)
                residual = residual * (column * weight).view(-1, *[1] * (residual.ndim - 1))
            elif weight * factors[0] != 1.0:
                residual = residual * (weight * factors[0])
            residuals[place] = residual if mask is None else residual * mask(residual)
    return control


def added(own: Residuals | None, previous: Residuals | None) -> Residuals | None:
    """Sum of two controls' residuals, in core's order of addition; missing ones count as zero."""
    if own is None or previous is None:
        return previous if own is None else own
    for part, earlier in previous.items():
        residuals = own.setdefault(part, [])
        residuals += [None] * (len(earlier) - len(residuals))
        for place, other in enumerate(earlier):
            mine = residuals[place]
            if other is not None:
                residuals[place] = other if mine is None else other + mine
    return own


def scattered(whole: Residuals | None, some: Residuals | None, rows: list[int], images: int) -> Residuals | None:
    """Put residuals of some images at their places among those of all; the others are zero.

    Args:
        whole: what was put together so far, changed in place; None at the first.
        some: residuals (len(rows) or 1, ...) of the control's run on these rows.
        rows: numbers of the images.
        images: R.

    Returns:
        Residuals (R, ...).
    """
    if some is None:
        return whole
    if whole is None:
        whole = {
            part: [None if r is None else r.new_zeros(images, *r.shape[1:]) for r in residuals]
            for part, residuals in some.items()
        }
    for part, residuals in some.items():
        for target, residual in zip(whole[part], residuals, strict=True):
            if target is not None and residual is not None:
                target[rows] = residual
    return whole


def from_shallow_to_deep(control: Residuals) -> list[tuple[str, int]]:
    """(part, place) of every residual, from the one next to the picture to the one farthest from it.

    A UNet takes its lists from the end (ComfyUI ``openaimodel.py``, ``apply_control``), so that of ``input``
    begins with the deepest and that of ``output`` with the shallowest. Transformers take theirs from the start.
    """
    order: list[tuple[str, int]] = []
    for part in ("input", "output", "middle"):
        places = [(part, place) for place, residual in enumerate(control.get(part, ())) if residual is not None]
        is_unet = any(r is not None and r.ndim == 4 for r in control.get(part, ()))
        order += reversed(places) if part == "input" and is_unet else places
    return order
