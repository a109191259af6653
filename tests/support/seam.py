"""How visible the place is where a clip that plays in a loop begins again.

Shapes: N = frames, C = latent channels, S = latent size.
"""

import torch
from torch import Tensor


def seam(clip: Tensor) -> float:
    """Change from the last frame to the first over the median change between neighbours; 1 is no seam.

    Args:
        clip: (N, ...) frames.
    """
    changes = (clip - clip.roll(-1, 0)).flatten(1).norm(dim=1)
    return (changes[-1] / changes[:-1].median()).item()


def turning_noise(frames: int, size: int, change: float, seed: int = 1) -> Tensor:
    """(N, 4, S, S) noise that turns through a full circle: each frame differs from the next by the same amount.

    Args:
        frames: N.
        size: S.
        change: how much the frames differ from their mean, which has variance 1.
        seed: of the noise.
    """
    still, cosine, sine = torch.randn((3, 1, 4, size, size), generator=torch.Generator().manual_seed(seed))
    angle = torch.arange(frames).view(-1, 1, 1, 1) * 2 * torch.pi / frames
    return still + change * (angle.cos() * cosine + angle.sin() * sine)
