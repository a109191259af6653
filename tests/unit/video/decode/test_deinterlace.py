"""Interlaced files made of 48 moments a second, two in each of 24 frames; a frame shows one moment when it is whole.

Shapes: F = frames, H, W = size in pixels.
"""

import logging

import av
import numpy as np
import pytest

from support.files.footage import film, flat, looked, read, turned
from zoetrope.video.decode.container import VideoFile
from zoetrope.video.decode.deinterlace import whole_pictures
from zoetrope.video.decode.read_settings import ReadSettings
from zoetrope.video.decode.reader import scan

FIELDS = {"g": "6", "bf": "0", "flags": "+ilme+ildct", "crf": "1", "sc_threshold": "0", "x264-params": "tff=1"}


def moments(count):
    """(F, H, W, 3): a white bar on gray that moves 2 pixels a moment, so that fields differ."""
    pictures = np.full((count, 48, 64, 3), 60, np.uint8)
    for number, picture in enumerate(pictures):
        picture[:, number % 48 : number % 48 + 12] = 220
    return pictures


def woven(count=24, **options):
    """A file whose frame k has the rows of moment 2k, and those of 2k + 1 between them."""
    shown = moments(2 * count)
    frames = shown[0::2].copy()
    frames[:, 1::2] = shown[1::2, 1::2]
    return film(frames, options=FIELDS, **options), shown


def combing(pictures):
    """How much rows differ from their neighbours but not from the ones after those, as teeth of a comb do."""
    rows = pictures[..., 0].astype(float)
    return float(np.abs(rows[:, 2:-2] - (rows[:, 1:-3] + rows[:, 3:-1]) / 2).mean())


def test_interlaced_films_become_whole_and_keep_their_frames(caplog):
    file, shown = woven()
    with caplog.at_level(logging.INFO, "zoetrope"):
        frames = looked(file)
    assert caplog.messages == ["The video is interlaced: it is deinterlaced."]
    got = read(frames)
    assert len(got) == 24
    left = read(scan(VideoFile(file, settings=ReadSettings(interlaced="leave"))))
    assert combing(left) > 4 > 1 > combing(got)
    errors = [np.abs(got.astype(int) - shown[moment::2]).mean() for moment in (0, 1)]
    assert min(errors) < 1.5 and max(errors) > 4  # one moment, the one that comes first by the file's word


@pytest.mark.parametrize("first", [1, 5, 6, 7, 13])
def test_frames_from_anywhere_are_the_same(first):
    """Also behind a key frame, which come every six: what is made of a frame depends on the one before."""
    file, _ = woven()
    assert np.array_equal(read(looked(file), skip_frames=first, max_frames=3), read(looked(file))[first : first + 3])


def test_leaving_says_so_and_changes_nothing(caplog):
    file, shown = woven()
    with caplog.at_level(logging.INFO, "zoetrope"):
        left = scan(VideoFile(file, settings=ReadSettings(interlaced="leave")))
    assert caplog.messages == ["The video is interlaced: it is left as stored."]
    picture = read(left)[3].astype(int)
    assert np.abs(picture[0::2] - shown[6, 0::2]).mean() < 4 and np.abs(picture[1::2] - shown[7, 1::2]).mean() < 4


def test_progressive_films_are_left_alone(caplog):
    with caplog.at_level(logging.INFO, "zoetrope"):
        frames = looked(film(flat(4)))
    assert not frames.deinterlaced and not caplog.messages


def test_turned_films_stay_turned():
    """A quarter turn clockwise, as phones store it."""
    frames = looked(turned(woven()[0], 0, 1, -1, 0))
    assert frames.size == (48, 64)
    assert read(frames, (48, 64)).shape == (24, 64, 48, 3)
    assert np.abs(np.diff(read(frames, (48, 64))[3, :, 24, 0].astype(int))).max() > 100  # the bar lies across now


def test_frames_of_other_sizes_and_of_too_few_rows_come_too():
    frames = []
    for number, size in enumerate([(48, 64), (48, 64), (24, 32), (2, 2), (48, 64)]):
        frame = av.VideoFrame.from_ndarray(np.full((*size, 3), 90, np.uint8), format="rgb24").reformat(format="yuv420p")
        frame.pts = number * 10
        frames.append(frame)
    made = list(whole_pictures(iter(frames)))
    assert [(frame.height, frame.pts) for frame in made] == [(48, 0), (48, 10), (24, 20), (2, 30), (48, 40)]
