"""A picture of how a training went: the loss of each step as a dot, and their running mean as a line.

Shapes: H, W = height and width of the picture.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .canvas import DIM, GRID, LARGE, LINES, PANEL, TEXT, Canvas, Colour, Picture, shortened
from .layout import ticks

WIDTH, HEIGHT = 960, 420
PLOT_LEFT, PLOT_RIGHT, PLOT_TOP, PLOT_FOOT = 72, 24, 64, 40  # margins
MEAN_SHARE = 20  # the running mean is over so many parts of all steps
FAINT: Colour = (92, 80, 48)  # of single steps, which scatter widely
REACH = 98  # percent of the losses that the axis shows; those above lie at its upper edge


def draw_losses(title: str, losses: Sequence[float]) -> Picture:
    """The picture, (H, W, 3) bytes in RGB.

    Args:
        title: first line.
        losses: of each step from 1; what is not finite was left out by the training, and is left out here.
    """
    return _LossDrawing(title, np.asarray(losses, np.float64)).finished()


def running_mean(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of each step and those before it, over a `MEAN_SHARE` of the steps; NaN where there is nothing finite."""
    width = max(1, len(losses) // MEAN_SHARE)
    good = np.isfinite(losses)
    sums, counts = (np.concatenate(([0.0], np.cumsum(values))) for values in (np.where(good, losses, 0.0), good))
    ends = np.arange(1, len(losses) + 1)
    starts = np.maximum(ends - width, 0)
    with np.errstate(invalid="ignore"):
        return (sums[ends] - sums[starts]) / (counts[ends] - counts[starts])


class _LossDrawing:
    """Places of one picture."""

    def __init__(self, title: str, losses: NDArray[np.float64]):
        self.title, self.losses = title, losses
        good = losses[np.isfinite(losses)]
        self.highest = float(np.percentile(good, REACH)) * 1.05 if good.size and good.max() > 0 else 1.0
        self.canvas = Canvas(WIDTH, HEIGHT)

    def finished(self) -> Picture:
        """Draw everything."""
        means = running_mean(self.losses)
        shown = [value for value in means if math.isfinite(value)]
        left_out = int((~np.isfinite(self.losses)).sum())
        line = f"{len(self.losses)} steps" + (f", {left_out} left out" if left_out else "")
        line += f"; mean loss {shown[0]:.4g} at first, {shown[-1]:.4g} at last" if shown else ""
        self.canvas.text(shortened(self.title, WIDTH - 24, LARGE), 12, 20, TEXT, size=LARGE)
        self.canvas.text(shortened(line, WIDTH - 24), 12, 44, DIM)
        self.canvas.box(PLOT_LEFT, PLOT_TOP, WIDTH - PLOT_RIGHT, HEIGHT - PLOT_FOOT, PANEL)
        self._axes()
        for number, loss in enumerate(self.losses):
            if math.isfinite(loss):
                self.canvas.dot(self._x(number), self._y(loss), 1, FAINT)
        points = [(self._x(n), self._y(mean)) for n, mean in enumerate(means) if math.isfinite(mean)]
        if points:
            self.canvas.line(points, LINES[0])
            self.canvas.dot(*points[-1], 3, LINES[0])
        return self.canvas.picture

    def _axes(self) -> None:
        for value in ticks(0, self.highest, 6):
            y = self._y(value)
            self.canvas.box(PLOT_LEFT, y, WIDTH - PLOT_RIGHT, y + 1, GRID)
            self.canvas.text(f"{value:g}", PLOT_LEFT - 10, y, DIM, "right")
        last = len(self.losses)
        for step in ticks(1, last, 10) if last > 1 else [1]:
            if step == int(step):
                self.canvas.text(str(int(step)), self._x(step - 1), HEIGHT - PLOT_FOOT + 14, DIM, "center")
        self.canvas.text("step", PLOT_LEFT - 10, HEIGHT - PLOT_FOOT + 14, DIM, "right")

    def _x(self, number: int | float) -> float:
        return PLOT_LEFT + (number + 0.5) * (WIDTH - PLOT_LEFT - PLOT_RIGHT) / max(1, len(self.losses))

    def _y(self, loss: float) -> float:
        share = min(max(loss / self.highest, 0.0), 1.0)
        return HEIGHT - PLOT_FOOT - share * (HEIGHT - PLOT_TOP - PLOT_FOOT)
