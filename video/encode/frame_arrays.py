"""Frames on their way to the encoder: order, whole numbers, even sizes.

Shapes: F = frames, H = height, W = width, C = channels (1 gray, 2 gray + alpha, 3 RGB, 4 RGB + alpha).
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


def frame_order(frames: int, pingpong: bool) -> list[int]:
    """Return the frame numbers in the order they are shown.

    Args:
        frames: length of the clip.
        pingpong: play forward, then back without showing the last and the first frame twice, so that the
            clip loops without a stutter: 0 1 2 3 becomes 0 1 2 3 2 1.
    """
    forward = list(range(frames))
    return forward + forward[-2:0:-1] if pingpong else forward


def to_uint8(frames: torch.Tensor) -> NDArray[np.uint8]:
    """``to_pixels`` for 8-bit RGB."""
    return to_pixels(frames, 8, alpha=False)


def has_alpha(frames: torch.Tensor) -> bool:
    """Whether frames (F, H, W, C) have transparency."""
    return frames.shape[-1] in (2, 4)


def to_pixels(frames: torch.Tensor, bits: int, alpha: bool) -> NDArray[Any]:
    """Turn floats 0-1 into whole numbers.

    Args:
        frames: (F, H, W, C), any float type, any device. Gray becomes RGB.
        bits: 8, or more for 16-bit numbers.
        alpha: keep transparency; frames without it are opaque.

    Returns:
        (F, H, W, 3), or (F, H, W, 4) with alpha, contiguous uint8 or uint16, rounded to nearest. Values outside 0-1 are
        clipped; NaN is black.

    Raises:
        ValueError: C is not 1, 2, 3 or 4.
    """
    channels = frames.shape[-1]
    if channels not in (1, 2, 3, 4):
        raise ValueError(f"Images with {channels} channels cannot be written as video: give gray, RGB or RGBA images.")
    color = frames[..., :3] if channels > 2 else frames[..., :1].expand(*frames.shape[:-1], 3)
    if alpha:
        opaque = frames[..., -1:] if has_alpha(frames) else torch.ones_like(frames[..., :1])
        color = torch.cat([color, opaque], dim=-1)
    most, kind = (255.0, np.uint8) if bits == 8 else (65535.0, np.uint16)
    scaled = color.to(torch.float32).nan_to_num(0.0, 1.0, 0.0).mul_(most).add_(0.5).clamp_(0.0, most)
    whole = scaled.to(torch.uint8).cpu().numpy() if bits == 8 else scaled.cpu().numpy().astype(kind)
    return np.ascontiguousarray(whole)


def pad_to(frames: NDArray[Any], width: int, height: int) -> NDArray[Any]:
    """Repeat the last row and column, because 4:2:0 and 4:2:2 video stores colour for pairs of pixels.

    Args:
        frames: (F, H, W, C).
        width: at least W, pixels.
        height: at least H, pixels.

    Returns:
        (F, height, width, C); the same array when it has that size.
    """
    down, right = height - frames.shape[1], width - frames.shape[2]
    if down == 0 and right == 0:
        return frames
    return np.pad(frames, ((0, 0), (0, down), (0, right), (0, 0)), mode="edge")
