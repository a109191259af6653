"""A picture to draw on with OpenCV, in the colours of ComfyUI's dark canvas.

Shapes: H = height, W = width; pictures are (H, W, 3) bytes in RGB. Places are pixels from the upper left corner.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]
Picture = NDArray[np.uint8]

PAPER: Colour = (38, 38, 38)
PANEL: Colour = (27, 27, 27)
BAND: Colour = (34, 34, 34)  # every other row of a panel
GRID: Colour = (52, 52, 52)
TEXT: Colour = (225, 225, 225)
DIM: Colour = (158, 158, 158)

# Okabe and Ito 2008, "Color Universal Design": told apart with every kind of colour vision; black and blue are left
# out, which are dark on dark.
LINES: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (213, 94, 0),
    (204, 121, 167),
)

SMALL, LARGE = 0.4, 0.5  # sizes of text


def ramp(count: int) -> Picture:
    """(count, 3) colours of an order: viridis without its dark end, so later is always lighter."""
    levels = np.linspace(100, 255, count).round().astype(np.uint8)
    return cv2.applyColorMap(levels[:, None], cv2.COLORMAP_VIRIDIS)[:, 0, ::-1].astype(np.uint8)


def faded(colours: Picture, shares: NDArray[np.float64]) -> Picture:
    """Colours (..., 3) as they are where something counts fully, 1, and nearly the panel's where not, 0."""
    amount = (0.3 + 0.7 * np.clip(shares, 0, 1))[..., None]
    return np.round(np.array(PANEL) * (1 - amount) + colours * amount).astype(np.uint8)


class Canvas:
    """A picture under way.

    Args:
        width: W.
        height: H.
    """

    def __init__(self, width: int, height: int):
        self.picture: Picture = np.full((height, width, 3), PAPER, np.uint8)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """A filled box; ``right`` and ``bottom`` are the first pixels outside, and at least one pixel is filled."""
        x, y = round(left), round(top)
        self.picture[y : max(round(bottom), y + 1), x : max(round(right), x + 1)] = colour

    def strip(self, left: int, top: int, height: int, colours: Picture, drawn: NDArray[np.bool_] | None = None) -> None:
        """A row of (W, 3) colours, ``height`` pixels high; only where ``drawn``, (W,), is set."""
        places = np.arange(len(colours)) if drawn is None else np.flatnonzero(drawn)
        self.picture[top : top + height, left + places] = colours[places]

    def text(
        self, words: str, x: float, y: float, colour: Colour = TEXT, align: str = "left", size: float = SMALL
    ) -> None:
        """One line of text, ``y`` being its middle; ``align`` says which part of it is at ``x``."""
        width, height = text_size(words, size)
        start = {"left": x, "right": x - width, "center": x - width / 2}[align]
        place = round(start), round(y + height / 2)
        cv2.putText(self.picture, words, place, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)

    def line(self, points: Sequence[tuple[float, float]], colour: Colour, thickness: int = 2) -> None:
        """A smooth line through the points."""
        path = np.round(np.array(points) * 16).astype(np.int32)
        cv2.polylines(self.picture, [path], False, colour, thickness, cv2.LINE_AA, shift=4)

    def dot(self, x: float, y: float, radius: int, colour: Colour) -> None:
        """A filled circle."""
        cv2.circle(self.picture, (round(x * 16), round(y * 16)), radius * 16, colour, cv2.FILLED, cv2.LINE_AA, shift=4)

    def arrow(self, x: float, top: float, height: float, colour: Colour) -> None:
        """A small filled triangle that points to the right; ``x`` is its left edge."""
        corners = np.array([(x, top), (x, top + height), (x + max(4, height * 0.6), top + height / 2)])
        cv2.fillPoly(self.picture, [np.round(corners * 16).astype(np.int32)], colour, cv2.LINE_AA, shift=4)


def text_size(words: str, size: float = SMALL) -> tuple[int, int]:
    """Width and height of a line of text without its descenders."""
    (width, height), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    return width, height


def shortened(words: str, width: float, size: float = SMALL) -> str:
    """The text, its middle left out as far as it takes to fit ``width`` pixels."""
    for kept in range(len(words), 1, -1):
        short = words if kept == len(words) else f"{words[: (kept + 1) // 2]}..{words[len(words) - kept // 2 :]}"
        if text_size(short, size)[0] <= width:
            return short
    return ""
