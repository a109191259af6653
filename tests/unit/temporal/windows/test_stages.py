"""Windows that change while a clip is sampled: which settings act where, and refusals in words."""

import pytest

from zoetrope.temporal.windows.settings import WindowSettings
from zoetrope.temporal.windows.stages import WindowStage, acting_stages, winner, with_stage

SMALL, LARGE = WindowSettings(length=4, overlap=1), WindowSettings(length=8, overlap=2)


def chain(*stages):
    out = ()
    for stage in stages:
        out = with_stage(out, stage)
    return out


def test_a_later_stage_wins_where_it_acts():
    early, late = WindowStage(settings=SMALL), WindowStage(settings=LARGE, start=0.5)
    stages = chain(early, late)
    assert [winner(stages, percent) for percent in (0.0, 0.4, 0.5, 1.0)] == [early, early, late, late]
    assert acting_stages(stages) == {early, late}


def test_a_stage_that_covers_an_earlier_one_replaces_it():
    first, second = WindowStage(settings=SMALL, start=0.2, end=0.6), WindowStage(settings=LARGE, start=0.2, end=0.7)
    assert chain(first, second) == (second,)
    assert chain(first, WindowStage(settings=LARGE)) == (WindowStage(settings=LARGE),)
    assert chain(second, first) == (second, first)


def test_gaps_are_found():
    early, late = WindowStage(settings=SMALL, end=0.4), WindowStage(settings=LARGE, start=0.5)
    assert acting_stages(chain(early, late)) == {early, late, None}
    assert acting_stages(chain(early, WindowStage(settings=LARGE, start=0.4))) == {
        early,
        WindowStage(settings=LARGE, start=0.4),
    }
    assert acting_stages(chain(WindowStage(settings=SMALL, start=0.1))) == {
        WindowStage(settings=SMALL, start=0.1),
        None,
    }


def test_a_stage_hidden_by_two_later_ones_does_not_act():
    halves = WindowStage(settings=SMALL, end=0.5), WindowStage(settings=SMALL, start=0.5)
    assert acting_stages(chain(WindowStage(settings=LARGE, start=0.1, end=0.9), *halves)) == set(halves)


@pytest.mark.parametrize(
    ("windows_per_batch", "total", "frames"),
    # 20 frames in windows of 8 that share 2 are three or four windows
    [(0, 20, 8), (1, 20, 8), (2, 20, 16), (9, 20, 32), (9, 6, 6), (9, 8, 8)],
)
def test_frames_of_a_call_are_those_of_the_windows_that_run_together(windows_per_batch, total, frames):
    assert WindowStage(settings=LARGE, windows_per_batch=windows_per_batch).frames_per_call(total) == frames


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"settings": WindowSettings(length=4, overlap=4)}, "context_overlap 4 must be smaller than context_length 4"),
        ({"windows_per_batch": -1}, "windows_per_batch -1 must not be negative; 0 is as many as memory allows"),
        ({"start": -0.1}, "start_percent -0.1 must lie between 0"),
        ({"end": 1.5}, "end_percent 1.5 must lie between 0"),
        ({"start": 0.8, "end": 0.2}, "end_percent 0.2 lies before start_percent 0.8; swap them"),
    ],
)
def test_refusals_name_the_value_and_the_cure(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        WindowStage(**{"settings": SMALL, **wrong}).validate()
