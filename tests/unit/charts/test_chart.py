"""The drawn schedule: where bars and lines lie, read back from the pixels."""

import numpy as np
import pytest

from zoetrope.charts import chart
from zoetrope.charts.canvas import BAND, LINES, PANEL, SMALL, shortened, text_size
from zoetrope.charts.chart import Bar, Chart, Curve, Row, draw
from zoetrope.charts.layout import pack, rising_runs, ticks
from zoetrope.temporal.windows.schedules import windows_for_step
from zoetrope.temporal.windows.settings import SCHEDULES, WindowSettings


def test_runs_are_cut_where_the_clip_begins_again():
    assert rising_runs([6, 7, 0, 1]) == [[6, 7], [0, 1]]
    assert rising_runs([0, 2, 4]) == [[0, 2, 4]]


def test_bars_that_do_not_meet_share_a_lane():
    assert pack([range(0, 4), range(3, 7), range(6, 10), range(10, 12)]) == [0, 1, 0, 0]
    assert pack([[8, 9, 0, 1], range(2, 8), range(1, 4)]) == [0, 0, 1]
    assert pack([range(0, 5, 2), [3]]) == [0, 1]  # also between the frames of a spread window


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("closed", [False, True])
def test_no_frame_of_a_lane_belongs_to_two_bars(schedule, closed):
    settings = WindowSettings(length=8, overlap=3, schedule=schedule, stride=2, closed_loop=closed)
    for step in range(6):
        windows = windows_for_step(settings, 37, step)
        seen = set()
        for window, lane in zip(windows, pack(windows), strict=True):
            taken = {(lane, f) for run in rising_runs(window) for f in range(run[0], run[-1] + 1)}
            assert not taken & seen
            seen |= taken


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0, 31, 10, [0, 5, 10, 15, 20, 25, 30]),
        (-1.1, 1.1, 6, [-1, -0.5, 0, 0.5, 1]),
        (0.98, 1.02, 6, [0.98, 0.99, 1, 1.01, 1.02]),
        (3, 700, 4, [200, 400, 600]),
    ],
)
def test_axis_numbers_are_round(low, high, most, expected):
    assert ticks(low, high, most) == pytest.approx(expected)


def row_of(bars, label="0"):
    return Row(label, f"{len(bars)} windows", bars)


def columns(picture, frames, y):
    """Colour of each frame's column at a height, beside the grid lines."""
    width = picture.shape[1] - chart.LEFT - chart.RIGHT
    return [picture[y, chart.LEFT + int((frame + 0.35) * width / frames)] for frame in range(frames)]


def lit(picture, frames, y):
    return [not any((colour == ground).all() for ground in (PANEL, BAND)) for colour in columns(picture, frames, y)]


def first_row(lines=2):
    """Height of the first lane's middle."""
    return 58 + chart.LINE * lines + chart.TALLEST // 2


def test_a_bar_covers_its_frames_and_is_darker_where_it_counts_less():
    bars = [Bar(range(0, 6), [1, 1, 1, 1, 0.5, 0.25]), Bar(range(4, 9), [0.5, 0.75, 1, 1, 1])]
    picture = draw(Chart("title", [], 9, [row_of(bars)]))
    y = first_row()
    assert lit(picture, 9, y)[:6] == [True] * 6
    assert lit(picture, 9, y + chart.TALLEST + 1)[4:] == [True] * 5
    brightness = [int(colour.astype(int).sum()) for colour in columns(picture, 9, y)]
    assert brightness[3] > brightness[4] > brightness[5] > sum(BAND)


def test_a_window_that_goes_on_at_the_other_end_is_marked_at_both():
    straight = draw(Chart("", [], 9, [row_of([Bar(range(3, 9), [1] * 6)])]))
    wrapped = draw(Chart("", [], 9, [row_of([Bar([6, 7, 8, 0, 1, 2], [1] * 6)])]))
    y, right = first_row(), straight.shape[1] - chart.RIGHT
    assert lit(wrapped, 9, y)[:3] == lit(wrapped, 9, y)[6:] == [True] * 3
    for x in (chart.LEFT - 5, right + 4):
        assert not np.array_equal(wrapped[y, x], straight[y, x])


def test_frames_left_out_of_a_spread_window_stay_free_but_for_the_bridge():
    picture = draw(Chart("", [], 9, [row_of([Bar([1, 3, 5], [1, 1, 1])])]))
    y = first_row()
    off_grid = lit(picture, 9, y - 3)
    assert [off_grid[frame] for frame in (1, 3, 5)] == [True] * 3
    panel = [(colour == PANEL).all() for colour in columns(picture, 9, y)]
    assert not any(panel[1:6])  # bars and bridge
    assert panel[0] and all(panel[6:])


def test_views_are_drawn_under_their_window():
    bar = Bar(range(8), [1] * 8, [range(0, 5), range(3, 8)])
    picture = draw(Chart("", [], 8, [row_of([bar])]))
    y = first_row() + chart.TALLEST // 2 + 2
    grey = [[(c == chart.DIM).all() for c in columns(picture, 8, y + lane * (chart.VIEW + 1))] for lane in (0, 1)]
    assert grey == [[frame < 5 for frame in range(8)], [frame >= 3 for frame in range(8)]]


def test_a_curve_runs_from_bottom_to_top_of_its_panel():
    values = [0.0, 1.0, 2.0, 3.0]
    picture = draw(Chart("", [], 4, [row_of([Bar(range(4), [1] * 4)])], [Curve("rise", values)]))
    top = picture.shape[0] - chart.FOOT - chart.CURVES
    rows, cols = np.nonzero((picture[top : top + chart.CURVES] == LINES[0]).all(axis=-1))
    width = picture.shape[1] - chart.LEFT - chart.RIGHT
    for frame, value in enumerate(values):
        x = chart.LEFT + (frame + 0.5) * width / 4
        found = rows[np.abs(cols - x) <= 1].mean()
        # 8 % of the range is left free above and below
        assert found == pytest.approx((1 - (value + 0.24) / 3.48) * chart.CURVES, abs=2)


def test_a_curve_that_never_changes_and_a_clip_of_one_frame():
    picture = draw(Chart("", [], 1, [row_of([Bar([0], [1])])], [Curve("still", [0.0])]))
    assert (picture == LINES[0]).all(axis=-1).any()


@pytest.mark.parametrize(("frames", "overlap"), [(512, 4), (3000, 4), (64, 15)])
def test_long_clips_fit_a_picture_of_bounded_size(frames, overlap):
    settings = WindowSettings(length=16, overlap=overlap)
    rows = []
    for step in range(50 if frames < 1000 else 3):
        windows = windows_for_step(settings, frames, step)
        rows.append(row_of([Bar(window, [1.0] * len(window)) for window in windows], str(step)))
    height, width, _ = draw(Chart("t", ["l"], frames, rows)).shape
    assert width <= chart.LEFT + chart.WIDEST + chart.RIGHT
    assert height <= 3000


def test_text_that_does_not_fit_loses_its_middle():
    name = "scale of a_motion_model_with_a_long_name.safetensors"
    short = shortened(name, 150)
    assert text_size(short, SMALL)[0] <= 150 < text_size(name, SMALL)[0]
    assert short.startswith("scale of") and short.endswith("tensors")
    assert shortened("short", 150) == "short"
