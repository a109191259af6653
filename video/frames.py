"""Frames on their way to the encoder: order, 8-bit pixels, even sizes.

Shapes: F = frames, H = height, W = width, C = channels (1 gray, 2 gray + alpha, 3 RGB, 4 RGB + alpha).
"""

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
    """Turn floats 0-1 into 8-bit RGB.

    Args:
        frames: (F, H, W, C), any float type, any device. Gray becomes RGB and alpha is dropped.

    Returns:
        (F, H, W, 3), contiguous, rounded to nearest. Values outside 0-1 are clipped; NaN is black.

    Raises:
        ValueError: C is not 1, 2, 3 or 4.
    """
    channels = frames.shape[-1]
    if channels not in (1, 2, 3, 4):
        raise ValueError(f"Images with {channels} channels cannot be written as video: give gray, RGB or RGBA images.")
    color = frames[..., :3] if channels > 2 else frames[..., :1].expand(*frames.shape[:-1], 3)
    scaled = color.to(torch.float32).nan_to_num(0.0, 1.0, 0.0).mul(255.0).add_(0.5).clamp_(0.0, 255.0)
    return np.ascontiguousarray(scaled.to(torch.uint8).cpu().numpy())


def pad_to_even(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Repeat the last row and column where a size is odd, because 4:2:0 video stores colour for pairs of pixels.

    Args:
        frames: (F, H, W, 3).

    Returns:
        (F, H + H % 2, W + W % 2, 3); the same array when both are even.
    """
    _, height, width, _ = frames.shape
    if height % 2 == 0 and width % 2 == 0:
        return frames
    return np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
