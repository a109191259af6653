"""The convolution block of the encoders beside the motion modules, AnimateLCM-I2V's and CameraCtrl's.

Shapes: F = frames, C = channels, h and w = height and width.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad, relu


class ResidualBlock(nn.Module):
    """x + block2(relu(block1(x))), x being halved and widened first where that is asked for.

    Args:
        before: channels of the input.
        channels: C.
        down: halve the height and width, rounded up.
        operations: namespace with Conv2d taking ``device`` and ``dtype``.
        device: of the weights.
        dtype: of the weights.

    Source:
        ``ResnetBlock`` of T2I-Adapter with ksize 1, skips and no use_conv, as G-U-N/AnimateLCM
        ``animatelcm_sd15/animatelcm/models/adapter.py`` and hehao13/CameraCtrl ``cameractrl/models/pose_adaptor.py``
        have it; the names of the weights are theirs.
    """

    def __init__(
        self,
        before: int,
        channels: int,
        down: bool,
        operations: Any,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.down = down
        self.in_conv = (
            None if before == channels else operations.Conv2d(before, channels, 1, device=device, dtype=dtype)
        )
        self.block1 = operations.Conv2d(channels, channels, 3, padding=1, device=device, dtype=dtype)
        self.block2 = operations.Conv2d(channels, channels, 1, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(F, before, h, w) to (F, C, h, w), or to (F, C, ceil(h / 2), ceil(w / 2))."""
        if self.down:
            x = halved(x)
        if self.in_conv is not None:
            x = self.in_conv(x)
        return x + self.block2(relu(self.block1(x)))


def halved(x: Tensor) -> Tensor:
    """Means of 2 x 2 pixels; an odd last row or column is doubled, so that sizes are rounded up as the UNet's are."""
    height, width = x.shape[-2:]
    return avg_pool2d(pad(x, (0, width % 2, 0, height % 2), mode="replicate"), 2)
