"""A picture of what is in a set of clips: first, middle and last frame of some, decoded from what is stored.

Shapes: H, W = size in pixels.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...training.data.clip_set import ClipSet
from ...video.encode.frame_arrays import to_uint8
from ...video.frame_size import fitted

MOST_SHOWN = 8  # clips
CELL = 192  # pixels of a side
GAP = 4


def contact_sheet(clips: ClipSet, vae: Any) -> Tensor:
    """Draw the sheet; a row is a clip, and where there are many, those shown are spread over the set.

    Args:
        clips: the set.
        vae: VAE that it was encoded with.

    Returns:
        IMAGE (1, H, W, 3).
    """
    count = min(len(clips.clips), MOST_SHOWN)
    rows = [_row(clips, number * len(clips.clips) // count, vae) for number in range(count)]
    return torch.from_numpy(np.concatenate(rows))[None].float() / 255


def _row(clips: ClipSet, clip: int, vae: Any) -> np.ndarray:
    last = clips.clips[clip].frames - 1
    pictures = to_uint8(vae.decode(clips.latents(clip, [0, last // 2, last])))
    cells = [fitted(picture, (CELL, CELL), "pad") for picture in pictures]
    return np.concatenate([np.pad(cell, ((0, GAP), (0, GAP), (0, 0))) for cell in cells], axis=1)
