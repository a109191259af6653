"""Lines of a picture: how strong they are at every pixel, and how strengths become a drawing.

Shapes: H = height, W = width. Pictures are (H, W, 3) bytes in RGB; strengths are (H, W) floats, where 1 is a step from
black to white; drawings are (H, W) bytes, white lines on black.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

SIDE = 512  # shorter side that sizes in pixels are given for; they grow with the picture
SOBEL = 1020.0  # what Sobel's 3x3 filter says of a step from 0 to 255
SHORTEST_EDGE = 24.0  # pixels of the shortest edge in a scribble
VIEWS = (0.25, 0.35, 0.4)  # shares of the full, half and quarter size in a soft edge
SURROUNDINGS = 6.0  # pixels, Gaussian sigma of what ink is darker than


def scaled(pixels: float, picture: NDArray[np.generic]) -> float:
    """A length given for a picture whose shorter side is 512, in pixels of this picture."""
    return pixels * min(picture.shape[:2]) / SIDE


def smoothed(picture: Bytes, sigma: float) -> Bytes:
    """Gaussian blur; a sigma too small to matter leaves the picture."""
    if sigma < 0.2:
        return picture
    blurred = cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return blurred.astype(np.uint8, copy=False)


def steepness(picture: Bytes) -> Floats:
    """Strength of the edges: length of the Sobel gradient, of the colour that has the longest.

    Args:
        picture: (H, W, 3), or (H, W) of one colour.
    """
    across = cv2.Sobel(picture, cv2.CV_32F, 1, 0, scale=1 / SOBEL, borderType=cv2.BORDER_REPLICATE)
    down = cv2.Sobel(picture, cv2.CV_32F, 0, 1, scale=1 / SOBEL, borderType=cv2.BORDER_REPLICATE)
    length = cv2.magnitude(across, down).astype(np.float32, copy=False)
    if length.ndim == 2:
        return length
    red, green, blue = cv2.split(length)
    return cv2.max(cv2.max(red, green), blue).astype(np.float32, copy=False)


def canny(picture: Bytes, low: float, high: float) -> Bytes:
    """Edges one pixel wide (Canny 1986, "A Computational Approach to Edge Detection").

    Args:
        picture: (H, W, 3), smoothed.
        low: strength that continues an edge.
        high: strength that starts one.
    """
    return cv2.Canny(picture, low * SOBEL, high * SOBEL, L2gradient=True).astype(np.uint8, copy=False)


def scribble(picture: Bytes, low: float, high: float, thickness: float) -> Bytes:
    """A few thick lines: the long ones of Canny's edges, drawn with a round pen.

    Args:
        picture: (H, W, 3), smoothed.
        low: strength that continues an edge.
        high: strength that starts one.
        thickness: of the pen, pixels.
    """
    _, labels, facts, _ = cv2.connectedComponentsWithStats(canny(picture, low, high), connectivity=8)
    long = facts[:, cv2.CC_STAT_AREA] >= scaled(SHORTEST_EDGE, picture)
    long[0] = False  # the background
    lines = np.take((long * 255).astype(np.uint8), labels.astype(np.intp))
    pen = 2 * round((thickness - 1) / 2) + 1
    if pen < 3:
        return lines
    thick = cv2.dilate(lines, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (pen, pen)))
    rounded = cv2.GaussianBlur(thick, (0, 0), thickness / 3)
    return cv2.threshold(rounded, 127, 255, cv2.THRESH_BINARY)[1].astype(np.uint8, copy=False)


def soft_strength(picture: Bytes) -> Floats:
    """Strength of edges seen from near and from further away: a mean over the picture, its half and its quarter size.

    A step counts the same in all three; noise and fine texture count in the first only.
    """
    view = smoothed(picture, scaled(1.0, picture))
    height, width = view.shape[:2]
    total = np.zeros((height, width), np.float32)
    for share in VIEWS:
        strength = cv2.resize(steepness(view), (width, height), interpolation=cv2.INTER_LINEAR)
        total += np.float32(share) * strength
        view = cv2.pyrDown(view).astype(np.uint8, copy=False)
    return total


def darkness(picture: Bytes) -> Floats:
    """How much darker a pixel is than its surroundings, in all of its colours: ink on paper, creases, shadows."""
    clean = smoothed(picture, scaled(0.8, picture))
    around = smoothed(picture, max(scaled(SURROUNDINGS, picture), 1.0))
    red, green, blue = cv2.split(cv2.subtract(around, clean))
    return cv2.min(cv2.min(red, green), blue).astype(np.float32) * np.float32(1 / 255)


def drawn(strength: Floats, low: float, high: float, power: float, brightness: float) -> Bytes:
    """A soft drawing: black up to ``low``, as bright as it gets from ``high``.

    Args:
        strength: (H, W).
        low: strength that is still black.
        high: strength from which a line is white.
        power: below 1 lifts weak lines.
        brightness: factor of all.
    """
    level = np.clip((strength - low) / max(high - low, 1e-6), 0, 1)
    return np.clip(level**power * (255 * brightness) + 0.5, 0, 255).astype(np.uint8)
