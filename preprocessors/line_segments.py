"""Straight lines of a picture, as of buildings and rooms.

Shapes: H = height, W = width, N = lines. Pictures are (H, W, 3) bytes in RGB; drawings are (H, W) bytes.
"""

from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from .edges import Bytes, Floats, scaled

SHORTEST_SEGMENT = 24.0  # pixels at a shorter side of 512
SAMPLES = 9  # places along a line where its strength is read
SHIFT = 4  # binary digits of a pixel when lines are drawn


def require_detector() -> None:
    """Check that this OpenCV can find lines.

    Raises:
        ValueError: it has no detector, as 4.1.0 to 4.5.3.
    """
    try:
        cv2.createLineSegmentDetector()
    except (AttributeError, cv2.error):
        raise ValueError(
            f"Method lines needs OpenCV's line detector, which OpenCV {cv2.__version__} lacks: choose canny, or install "
            "opencv-python 4.5.4 or newer."
        ) from None


def straight_lines(picture: Bytes, strength: Floats, weakest: float, length: float) -> Bytes:
    """A drawing of the straight lines (von Gioi et al. 2012, "LSD: a Line Segment Detector").

    Args:
        picture: (H, W, 3).
        strength: (H, W) of its edges.
        weakest: strength that a line must have on average.
        length: of the shortest line, as a factor of the usual.
    """
    # OpenCV's stub leaves out that nothing may be found
    found = cast("Floats | None", cv2.createLineSegmentDetector().detect(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))[0])
    drawing = np.zeros(picture.shape[:2], np.uint8)
    if found is None:
        return drawing
    ends = np.asarray(found, np.float32).reshape(-1, 2, 2)  # (N, 1, 4) before OpenCV 5, (N, 4) since
    longest = np.hypot(*(ends[:, 1] - ends[:, 0]).T) >= scaled(SHORTEST_SEGMENT, picture) * length
    ends = ends[longest & (_strength_along(ends, strength) >= weakest)]
    width = max(round(scaled(1.0, picture)), 1)
    for start, end in np.rint(ends * (1 << SHIFT)).astype(int).tolist():
        cv2.line(drawing, start, end, 255, width, cv2.LINE_AA, SHIFT)
    return drawing


def _strength_along(ends: Floats, strength: Floats) -> NDArray[np.floating]:
    """Mean strength (N,) along lines; a pixel beside the line counts too, since a line lies between two of them."""
    near = cv2.dilate(strength, np.ones((3, 3), np.uint8))
    steps = np.linspace(0, 1, SAMPLES, dtype=np.float32)[:, None, None]
    places = np.rint(ends[:, 0] * (1 - steps) + ends[:, 1] * steps).astype(int)
    height, width = strength.shape
    return near[places[..., 1].clip(0, height - 1), places[..., 0].clip(0, width - 1)].mean(axis=0)
