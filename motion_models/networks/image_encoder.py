"""AnimateLCM-I2V's image encoder: features of a condition image for each level of the UNet.

Shapes: F = frames, C = channels of a level, H, W = latent height and width, h, w = size at a level.
"""

from typing import Any

import torch
from torch import Tensor, nn

from ..spec import LATENT_CHANNELS
from .positions import sinusoidal_positions
from .residual_block import ResidualBlock

IMAGE_BLOCKS = 2  # per level


class ImageEncoder(nn.Module):
    """Convolutions over the image's latent, which is told the number of each frame.

    Names and shapes of the weights are those behind ``img_encoder.`` in the published file.

    Args:
        widths: C of each level; 320, 640, 1280, 1280 as published.
        operations: namespace with Conv2d taking ``device`` and ``dtype``.
        device: of the weights.
        dtype: of the weights.

    Source:
        G-U-N/AnimateLCM ``animatelcm_sd15/animatelcm/models/adapter.py``, ``Adapter`` with the arguments of
        ``unet.py``: two blocks a level, 1 x 1 convolutions, skips, average pooling.
    """

    def __init__(
        self,
        widths: tuple[int, ...],
        operations: Any = nn,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.widths = widths
        self.conv_in = operations.Conv2d(LATENT_CHANNELS, widths[0], 3, padding=1, device=device, dtype=dtype)
        blocks: list[ResidualBlock] = []
        for before, channels in zip((widths[0], *widths), widths, strict=False):
            down = bool(blocks)
            blocks.append(ResidualBlock(before, channels, down, operations, device, dtype))
            blocks += [
                ResidualBlock(channels, channels, False, operations, device, dtype) for _ in range(IMAGE_BLOCKS - 1)
            ]
        self.body = nn.ModuleList(blocks)

    def forward(self, latent: Tensor, frames: int, drift: float) -> tuple[Tensor, ...]:
        """Features of every frame at every level.

        Args:
            latent: (1 or F, 4, H, W) image latent in the range of the UNet; one is the same for all frames.
            frames: F. The first is number 0, as in the positional encoding of the motion modules.
            drift: factor of the frame numbers' embedding, the authors' ``motion_scale``; at 0 and with one latent
                all frames get the same features.

        Returns:
            (F, C, h, w) for each level; h and w are halved and rounded up from level to level, as in the UNet.
        """
        x = self.conv_in(latent)
        numbers = sinusoidal_positions(frames, self.widths[0])[0, :, :, None, None]
        x = x + (drift * numbers).to(x)
        features: list[Tensor] = []
        for index, block in enumerate(self.body):
            x = block(x)
            if index % IMAGE_BLOCKS == IMAGE_BLOCKS - 1:
                features.append(x)
        return tuple(features)
