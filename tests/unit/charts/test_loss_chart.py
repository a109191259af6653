"""The drawn losses: where dots and line lie, read back from the pixels."""

import math

import numpy as np
import pytest

from zoetrope.charts import loss_chart
from zoetrope.charts.canvas import LINES
from zoetrope.charts.loss_chart import (
    HEIGHT,
    PLOT_FOOT,
    PLOT_LEFT,
    PLOT_RIGHT,
    PLOT_TOP,
    WIDTH,
    draw_losses,
    running_mean,
)


def line_heights(picture):
    """Middle of the line in each column of the panel, NaN where there is none."""
    lit = (
        np.abs(picture[PLOT_TOP : HEIGHT - PLOT_FOOT, PLOT_LEFT : WIDTH - PLOT_RIGHT].astype(int) - LINES[0]) < 40
    ).all(-1)
    rows = np.arange(lit.shape[0])[:, None]
    with np.errstate(invalid="ignore"):
        return (lit * rows).sum(0) / lit.sum(0)


def test_the_mean_is_of_the_last_twentieth_of_all_steps():
    losses = np.arange(100.0)  # so of 5 steps
    assert running_mean(losses)[[0, 3, 4, 99]] == pytest.approx([0, 1.5, 2, 97])
    losses[50] = math.nan
    assert running_mean(losses)[50] == pytest.approx((46 + 47 + 48 + 49) / 4)
    assert math.isnan(running_mean(np.array([math.inf, 1.0]))[0])


def test_a_loss_that_falls_is_a_line_that_falls():
    heights = line_heights(draw_losses("a", np.linspace(1.0, 0.2, 400)))
    shown = heights[np.isfinite(heights)]
    assert len(shown) > 800 and (np.diff(shown) > -1).all()
    # 0.2 of the highest of 98 percent, 0.984 * 1.05, is a fifth of the panel above its foot; the mean lags 20 steps
    panel = HEIGHT - PLOT_TOP - PLOT_FOOT
    assert shown[-1] == pytest.approx(panel * (1 - 0.22 / (0.984 * 1.05)), abs=3)


@pytest.mark.parametrize(
    "losses", [[], [0.5], [0.5, 0.5], [0.0, 0.0], [math.nan], [math.inf, 0.3, math.nan], [1e-9] * 7]
)
def test_odd_losses_are_drawn(losses):
    picture = draw_losses("x" * 400, losses)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    good = [loss for loss in losses if math.isfinite(loss)]
    assert bool(np.isfinite(line_heights(picture)).any()) == bool(good)


def test_a_single_peak_does_not_press_the_rest_flat():
    losses = np.full(1000, 0.1)
    losses[500] = 1000.0
    drawing = loss_chart._LossDrawing("a", losses)  # noqa: SLF001
    assert drawing.highest == pytest.approx(0.105)
