"""HDR video as SDR pictures, with the light that both show kept.

Stored numbers become light (PQ or HLG, 203 nits being paper white), BT.2020 colours become those of BT.709, what is brighter
than paper white is bent in under it, and the light becomes the numbers that an SDR screen shows it by.
Up to three quarters of paper white nothing is changed: SDR pictures in an HDR file come out as they were.

Shapes: H, W = size in pixels, C = channels (3 RGB, 4 RGB and alpha).
Source: SMPTE ST 2084 (PQ); ITU-R BT.2100-2, table 5 (HLG and its OOTF at 1000 nits); BT.2408-7, 203 nits; BT.2087-0 (primaries);
BT.1886 (SDR screen); Reinhard et al. 2002, "Photographic Tone Reproduction", equation 4 (the bend).
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

PAPER_WHITE = 203.0  # nits
PEAK = 1000.0  # nits; brighter is white
KNEE = 0.75  # of paper white; from here on light is bent
SCREEN_GAMMA = 2.4
HLG_GAMMA = 1.2  # of the OOTF at a peak of 1000 nits
LUMINANCE = np.array((0.2627, 0.6780, 0.0593), np.float32)  # of BT.2020
TO_BT709 = np.array(((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)), np.float32)
BT2020 = 9  # AVColorPrimaries
MOST = 65535

LightArray = NDArray[np.float32]


def pq_light(stored: LightArray) -> LightArray:
    """Light on the screen, 1 being paper white, of numbers 0-1 of PQ."""
    root = stored.astype(np.float64) ** (4096 / (2523 * 128))
    ratio = np.maximum(root - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * root)
    return (10_000 / PAPER_WHITE * ratio ** (16384 / 2610)).astype(np.float32)


def hlg_scene(stored: LightArray) -> LightArray:
    """Light of the scene, 0-1, of numbers 0-1 of HLG."""
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    bright = (np.exp((stored.astype(np.float64) - c) / a) + b) / 12
    return np.where(stored <= 0.5, stored.astype(np.float64) ** 2 / 3, bright).astype(np.float32)


def bent(light: LightArray) -> LightArray:
    """Light of 0 to ``PEAK`` as light of 0-1; up to ``KNEE`` the same, then ever flatter. Brighter is 1."""
    over = np.maximum(light - KNEE, 0) / (1 - KNEE)
    top = (PEAK / PAPER_WHITE - KNEE) / (1 - KNEE)
    return np.minimum(np.where(light > KNEE, KNEE + (1 - KNEE) * over * (1 + over / top**2) / (1 + over), light), 1)


HDR_CURVES: Mapping[int, tuple[str, Callable[[LightArray], LightArray]]] = {  # by AVColorTransferCharacteristic
    16: ("PQ", pq_light),
    18: ("HLG", hlg_scene),
}


class HdrToSdr:
    """A function from pictures as stored to pictures for an SDR screen."""

    def __init__(self, transfer: int, primaries: int):
        """Describe the file.

        Args:
            transfer: a key of `HDR_CURVES`.
            primaries: AVColorPrimaries; BT.2020, and where the file says none, become BT.709; others stay as they are.
        """
        self.name, curve = HDR_CURVES[transfer]
        steps = np.linspace(0, 1, MOST + 1, dtype=np.float32)
        self._light, self._scene = curve(steps), curve is hlg_scene
        self._matrix = TO_BT709 if primaries in (0, 2, BT2020) else None
        # By the root of the light, so that dark steps are as fine as bright ones.
        self._stored = np.rint(steps ** (2 / SCREEN_GAMMA) * MOST).astype(np.uint16)

    def __call__(self, picture: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """(H, W, C) of 16 bits, to the same; alpha is kept."""
        light = self._light[picture[..., :3]]
        if self._scene:
            light *= (light @ LUMINANCE)[..., None] ** np.float32(HLG_GAMMA - 1) * np.float32(PEAK / PAPER_WHITE)
        if self._matrix is not None:
            light = np.maximum(light @ self._matrix.T, 0)
        top = light.max(axis=2, keepdims=True)
        light *= np.divide(bent(top), top, out=np.ones_like(top), where=top > KNEE)  # one factor keeps the hue
        mapped = picture.copy()
        mapped[..., :3] = self._stored[np.rint(np.sqrt(light) * MOST).astype(np.uint16)]
        return mapped
