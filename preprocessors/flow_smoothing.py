"""Less flicker: each frame is mixed with what the frames before it show at the same place of the scene.

The past is carried along optical flow, and only where it looks like the present: what appears from behind something,
and the first frame after a cut, is taken as it is. Nothing can trail, because no pixel moves further from its own frame
than the noise that is allowed for.

Frames are smoothed before lines are looked for, not the drawings after: lines stay as sharp, and on a moving clip the
mixed drawings were further from those of a clip without noise than unmixed ones.

Shapes: H = height, W = width. Pictures are (H, W, 3) bytes in RGB; flows are (H, W, 2) floats, x before y, in pixels.
"""

from typing import Any, cast

import cv2
import numpy as np

from .edges import Bytes, Floats

SMALLEST_SIDE = 32  # shorter side in pixels below which no motion is looked for
NOISE = (4.0, 16.0)  # bounds, of 255, of what may be taken for noise between two frames
CUT = 0.4  # share of the picture that must fit the past, or it was a cut
BETTER_THAN_STILL = 1.1  # how much better motion must fit than none
AROUND = 1.5  # pixels, Gaussian sigma in which differences are looked at together
MEAN = np.full((1, 3), 1 / 3, np.float32)
ROUGHNESS = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


def flow_back(now: Bytes, before: Bytes) -> Floats | None:
    """Where each pixel of a frame was in the frame before: (H, W, 2) to add to its own place.

    DIS optical flow (Kroeger et al. 2016, "Fast Optical Flow using Dense Inverse Search"), on half the size.

    Returns:
        None for pictures too small to tell motion.
    """
    height, width = now.shape[:2]
    if min(height, width) < SMALLEST_SIDE:
        return None
    small = [_half_grey(picture) for picture in (now, before)]
    # OpenCV's stub does not know this function
    finder = cast("Any", cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST))  # type: ignore[attr-defined]
    flow: Floats = finder.calc(small[0], small[1], None)
    large = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)
    large *= np.array([width / small[0].shape[1], height / small[0].shape[0]], np.float32)
    return large.astype(np.float32, copy=False)


def _half_grey(picture: Bytes) -> Bytes:
    size = ((picture.shape[1] + 1) // 2, (picture.shape[0] + 1) // 2)
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


class Smoother:
    """Mixes frames given one after another.

    Args:
        weight: share of the past where it fits, 0 to below 1.
    """

    def __init__(self, weight: float):
        self.weight = weight
        self.past: Floats | None = None

    def add(self, picture: Bytes, flow: Floats | None) -> Bytes:
        """The next frame, mixed with the past.

        Args:
            picture: (H, W, 3).
            flow: from ``flow_back``, or None where nothing moves.
        """
        present = picture.astype(np.float32)
        if self.past is None:
            self.past = present
            return picture
        carried, near = _fitting(self.past, present, flow)
        noise = float(np.clip(2 * min(_noise(picture), np.median(near[::3, ::3])), *NOISE))
        fit = np.clip(2 - near / noise, 0, 1)
        if fit.mean() < CUT:
            self.past = present
            return picture
        difference = np.clip(carried - present, -2 * noise, 2 * noise)
        share = cv2.merge([fit * np.float32(self.weight)] * 3)
        self.past = cv2.add(present, cv2.multiply(difference, share)).astype(np.float32, copy=False)
        return np.clip(self.past + 0.5, 0, 255).astype(np.uint8)


def _noise(picture: Bytes) -> float:
    """Mean difference of two noisy pictures of one thing, of 255, judged by the noise of this one alone.

    Immerkaer 1996, "Fast Noise Variance Estimation", with the median in place of the mean, so that edges do not count.
    """
    rough = cv2.filter2D(np.ascontiguousarray(picture[..., 1]), cv2.CV_32F, ROUGHNESS)
    deviation = float(np.median(np.abs(rough[::3, ::3]))) / (0.6745 * 6)  # median and sum of squares of a Gaussian
    return deviation * 2 / np.sqrt(np.pi)


def _fitting(past: Floats, present: Floats, flow: Floats | None) -> tuple[Floats, Floats]:
    """The past as it would look now, and how far (H, W) it is from the present.

    Where the past fits as well without motion it stays in place: noise then cannot shake it.
    """
    near = _difference(past, present)
    if flow is None:
        return past, near
    moved = _carried(past, flow)
    near_moved = _difference(moved, present)
    still = near <= near_moved * BETTER_THAN_STILL + 0.5
    stay = still.astype(np.uint8)
    cv2.copyTo(past, stay, moved)
    return moved, np.where(still, near, near_moved)


def _difference(a: Floats, b: Floats) -> Floats:
    """(H, W) mean difference around each pixel: noise differs from pixel to pixel, a wrong place in patches."""
    return cv2.GaussianBlur(cv2.transform(cv2.absdiff(a, b), MEAN), (0, 0), AROUND).astype(np.float32, copy=False)


def _carried(past: Floats, flow: Floats) -> Floats:
    """The past moved to where its things are now; beyond the border its last row and column."""
    height, width = flow.shape[:2]
    x = flow[..., 0] + np.arange(width, dtype=np.float32)
    y = flow[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    moved = cv2.remap(past, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return moved.astype(np.float32, copy=False)
