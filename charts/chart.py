"""A picture of what happens to each frame of a clip at each sampling step: bars for windows, lines for values.

Shapes: N = frames, H = height, W = width of the picture; one column of it per frame.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .canvas import BAND, DIM, GRID, LARGE, LINES, PANEL, TEXT, Canvas, Picture, faded, ramp, shortened, text_size
from .layout import pack, rising_runs, ticks

LEFT, RIGHT, FOOT = 66, 176, 36  # margins in pixels
LINE = 18  # from one line of text to the next
NARROWEST, WIDEST, COLUMN = 640, 1280, 24  # width of the panels, and of a frame where there are few
BARS = 1100  # height that the bars are made to fit, as long as they stay visible
TALLEST, LOWEST, ROW_GAP = 11, 2, 3  # a lane in pixels, and what is between rows
VIEW = 2  # height of the bar of a view
CURVES = 150  # height of the panel of values


@dataclass(frozen=True, eq=False)
class Bar:
    """A window of a step.

    Attributes:
        frames: frame numbers in their order, each smaller than N; they may go on from the last into the first.
        shares: how much of each frame's result comes from here, 0 to 1.
        views: frames of each view within the window.
    """

    frames: Sequence[int]
    shares: Sequence[float]
    views: Sequence[Sequence[int]] = ()


@dataclass(frozen=True, eq=False)
class Row:
    """A sampling step.

    Attributes:
        label: left of the bars.
        note: right of them.
        bars: windows in the order in which they run.
    """

    label: str
    note: str
    bars: Sequence[Bar]


@dataclass(frozen=True, eq=False)
class Curve:
    """A value over the frames: its name and N numbers."""

    name: str
    values: Sequence[float]


@dataclass(frozen=True, eq=False)
class Chart:
    """All that is drawn.

    Attributes:
        title: first line.
        lines: what else there is to say, a line each.
        frames: N.
        rows: one a step.
        curves: values over the frames.
    """

    title: str
    lines: Sequence[str]
    frames: int
    rows: Sequence[Row]
    curves: Sequence[Curve] = ()


def draw(chart: Chart) -> Picture:
    """The picture, (H, W, 3) bytes in RGB. It is as wide and high as the clip and the steps need, within bounds."""
    return _Drawing(chart).finished()


class _Drawing:
    """Places of one picture."""

    def __init__(self, chart: Chart):
        self.chart = chart
        self.width = min(max(NARROWEST, chart.frames * COLUMN), WIDEST)
        self.lanes = [pack([bar.frames for bar in row.bars]) for row in chart.rows]
        self.view_lanes = [[pack(bar.views) for bar in row.bars] for row in chart.rows]
        self.sublanes = max((1 + max(lanes) for row in self.view_lanes for lanes in row if lanes), default=0)
        self.lane = self._lane_height()
        heights = [self._row_height(lanes) for lanes in self.lanes]
        self.top = 58 + LINE * max(len(chart.lines), 2)
        self.tops = [self.top + sum(heights[:number]) for number in range(len(heights) + 1)]
        self.curves_top = self.tops[-1] + (48 if chart.curves else 0)
        self.bottom = self.curves_top + (CURVES if chart.curves else 0)
        self.canvas = Canvas(LEFT + self.width + RIGHT, self.bottom + FOOT)
        # frame of each column of pixels
        self.frame_at = np.arange(self.width) * chart.frames // self.width

    def _lane_height(self) -> int:
        """Height of one lane of bars, so that all rows fit if they can."""
        fixed = len(self.lanes) * ROW_GAP
        count = sum(1 + max(lanes) for lanes in self.lanes)
        return min(max((BARS - fixed) // count - 1 - self._views_height(), LOWEST), TALLEST)

    def _views_height(self) -> int:
        return self.sublanes * (VIEW + 1)

    def _row_height(self, lanes: list[int]) -> int:
        return (1 + max(lanes)) * (self.lane + 1 + self._views_height()) + ROW_GAP

    def finished(self) -> Picture:
        """Draw everything."""
        self._head()
        self.canvas.box(LEFT, self.top - ROW_GAP, LEFT + self.width, self.tops[-1], PANEL)
        if self.chart.curves:
            self.canvas.box(LEFT, self.curves_top, LEFT + self.width, self.bottom, PANEL)
        for top, end in list(zip(self.tops, self.tops[1:], strict=False))[1::2]:
            self.canvas.box(LEFT, top - 2, LEFT + self.width, end - 2, BAND)
        self._frame_axis()
        self._rows()
        if self.chart.curves:
            self._curves()
        return self.canvas.picture

    def _head(self) -> None:
        right = LEFT + self.width
        self.canvas.text(shortened(self.chart.title, right + RIGHT - 24, LARGE), 12, 20, TEXT, size=LARGE)
        for number, line in enumerate(self.chart.lines):
            self.canvas.text(shortened(line, right - 24), 12, 42 + number * LINE, DIM)
        self.canvas.text("step", LEFT - 10, self.top - 12, DIM, "right")
        if any(len(row.bars) > 1 for row in self.chart.rows):
            self._legend(right + 12)

    def _legend(self, x: int) -> None:
        """Two small scales: colours by order, brightness by share."""
        scales = (
            ("first", "last", ramp(48)),
            ("share 0", "1", faded(ramp(48)[[28] * 48], np.linspace(0, 1, 48))),
        )
        for number, (low, high, colours) in enumerate(scales):
            y = self.top - 34 + number * LINE
            self.canvas.text(low, x + 50, y, DIM, "right")
            self.canvas.strip(x + 56, y - 4, 8, colours)
            self.canvas.text(high, x + 110, y, DIM)

    def _x(self, frame: float) -> float:
        """Left edge of a frame's column."""
        return LEFT + frame * self.width / self.chart.frames

    def _frame_axis(self) -> None:
        last = self.chart.frames - 1
        for number in ticks(0, last, self.width // 64) if last else [0]:
            if number != int(number):
                continue
            x = self._x(number + 0.5)
            for top, end in ((self.top - ROW_GAP, self.tops[-1]), (self.curves_top, self.bottom)):
                self.canvas.box(x, top, x + 1, max(end, top + 1), GRID)
            for y in (self.top - 12, self.bottom + 11):
                self.canvas.text(str(int(number)), x, y, DIM, "center")
        self.canvas.text("frame", LEFT - 10, self.bottom + 11, DIM, "right")

    def _rows(self) -> None:
        tallest = min(b - a for a, b in zip(self.tops, self.tops[1:], strict=False))
        every = math.ceil(14 / tallest)  # rows that are too low for their text share it
        for number, row in enumerate(self.chart.rows):
            top, middle = self.tops[number], (self.tops[number] + self.tops[number + 1] - ROW_GAP) / 2
            if number % every == 0:
                self.canvas.text(row.label, LEFT - 10, middle, DIM, "right")
                self.canvas.text(shortened(row.note, RIGHT - 24), LEFT + self.width + 14, middle, DIM)
            for place, (bar, colour) in enumerate(zip(row.bars, ramp(len(row.bars)), strict=True)):
                y = top + self.lanes[number][place] * (self.lane + 1 + self._views_height())
                self._bar(bar, y, colour)
                self._views(bar, self.view_lanes[number][place], y + self.lane + 1)

    def _bar(self, bar: Bar, y: int, colour: Picture) -> None:
        colours = faded(colour, np.array(bar.shares))
        runs, done = rising_runs(bar.frames), 0
        for run in runs:
            self._run(run, colours[done : done + len(run)], y, self.lane)
            done += len(run)
        if len(runs) > 1:  # it goes on at the other end
            size = min(max(self.lane, 5), 9)
            top = y + (self.lane - size) / 2
            for x in (LEFT + self.width + 2, LEFT - 2 - max(4, size * 0.6)):
                self.canvas.arrow(x, top, size, (int(colour[0]), int(colour[1]), int(colour[2])))

    def _views(self, bar: Bar, lanes: list[int], y: int) -> None:
        for view, lane in zip(bar.views, lanes, strict=True):
            for run in rising_runs(view):
                self._run(run, np.array([DIM] * len(run), np.uint8), y + lane * (VIEW + 1), VIEW)

    def _run(self, run: Sequence[int], colours: Picture, y: int, height: int) -> None:
        """Frames that rise; those left out between them are bridged by a thin line."""
        left, right = (int(np.searchsorted(self.frame_at, frame)) for frame in (run[0], run[-1] + 1))
        right = max(right, left + 1)
        right -= right - left > 4  # a pixel between neighbours
        span = run[-1] - run[0] + 1
        member = np.full(span, -1)
        member[np.array(run) - run[0]] = np.arange(len(run))
        members = member[np.clip(self.frame_at[left:right] - run[0], 0, span - 1)]
        self.canvas.strip(LEFT + left, y, height, colours[members], members >= 0)
        if len(run) < span:
            link = np.repeat(faded(colours[:1], np.array([0.45])), len(members), axis=0)
            self.canvas.strip(LEFT + left, y + height // 2, 1, link, members < 0)

    def _curves(self) -> None:
        values = [value for curve in self.chart.curves for value in curve.values]
        low, high = min(values), max(values)
        margin = (high - low) * 0.08 or 1.0
        low, high = low - margin, high + margin
        inner = CURVES - 2

        def y(value: float) -> float:
            return self.curves_top + 1 + (high - value) / (high - low) * inner

        for number in ticks(low, high, 6):
            self.canvas.box(LEFT, y(number), LEFT + self.width, y(number) + 1, GRID)
            self.canvas.text(f"{number:g}", LEFT - 10, y(number), DIM, "right")
        roomy = self.width / self.chart.frames >= 12
        for number, curve in enumerate(self.chart.curves):
            colour = LINES[number % len(LINES)]
            points = [(self._x(frame + 0.5), y(value)) for frame, value in enumerate(curve.values)]
            self.canvas.line(points, colour)
            for x, place in points if roomy or len(points) == 1 else ():
                self.canvas.dot(x, place, 3, colour)
        self._names()

    def _names(self) -> None:
        """Which line is which, above the panel of values."""
        x, y = LEFT, self.curves_top - 14
        for number, curve in enumerate(self.chart.curves):
            name = shortened(curve.name, LEFT + self.width + RIGHT - x - 40)
            if not name:
                return
            self.canvas.box(x, y - 1, x + 16, y + 2, LINES[number % len(LINES)])
            self.canvas.text(name, x + 22, y, TEXT)
            x += 22 + text_size(name)[0] + 24
