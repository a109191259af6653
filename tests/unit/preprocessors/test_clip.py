"""Whole clips through a preprocessor: one measure for all frames, smoothing along motion, threads, memory."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from zoetrope.preprocessors.clip import edge_counts, in_order, measured_frames, preprocess_clip, strong_edges
from zoetrope.preprocessors.flow_smoothing import Smoother, flow_back
from zoetrope.preprocessors.methods import METHODS, PreprocessSettings

SIDE = 96


def scene(frames, grain=4.0, speed=0, size=SIDE, seed=1):
    """A square before stripes that get stronger to the right, with noise, (F, H, W, 3); the square moves right."""
    random = np.random.default_rng(seed)
    x = np.arange(size)
    clip = np.empty((frames, size, size, 3), np.uint8)
    for number in range(frames):
        stripes = 100 + 60 * x / size * (x // 12 % 2)
        picture = np.tile(stripes[None, :, None], (size, 1, 3)) + random.normal(0, grain, (size, size, 3))
        left = 8 + speed * number
        picture[30:62, left : left + 32] += (90, 60, -80)
        clip[number] = picture.clip(0, 255)
    return clip


def hints(clip, threads=None, **settings):
    made = {}
    preprocess_clip(
        clip.__getitem__, len(clip), PreprocessSettings(**settings), made.__setitem__, lambda: None, threads
    )
    return np.stack([made[number] for number in range(len(clip))])


def flicker(maps):
    """Mean difference of neighbouring frames, as a part of white, once the smoothing is under way."""
    return np.abs(np.diff(maps[4:].astype(float), axis=0)).mean() / 255


@pytest.mark.parametrize("method", METHODS)
def test_frames_are_the_same_in_one_thread_or_many(method):
    clip = scene(6, speed=3)
    for smoothing in (0.0, 0.7):
        alone = hints(clip, 1, method=method, temporal_smoothing=smoothing)
        assert np.array_equal(alone, hints(clip, 4, method=method, temporal_smoothing=smoothing))
        assert alone.shape[1:3] == (SIDE, SIDE)
        assert np.ptp(alone) > 60


def test_as_many_frames_are_in_work_as_there_are_processors(monkeypatch):
    """Each hint waits until another one is being written too."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    both = threading.Barrier(2, timeout=20)
    preprocess_clip(
        scene(4).__getitem__, 4, PreprocessSettings(method="recolor"), lambda n, _: both.wait(), lambda: None
    )
    assert not both.broken


def test_another_seed_is_another_shuffle():
    clip = scene(2)
    one, again, other = (hints(clip, method="shuffle", seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert np.abs(one.astype(int) - other).mean() > 5


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [(1, 1), (3, 50), (17, 33)])
def test_any_size_will_do(method, size):
    clip = np.random.default_rng(0).integers(0, 256, (3, *size, 3), np.uint8)
    assert hints(clip, method=method, temporal_smoothing=0.5).shape[:3] == clip.shape[:3]


def test_what_enters_the_frame_does_not_change_the_lines_beside_it():
    """The right half stays as it is, while something of high contrast comes and goes on the left."""
    clip = np.full((8, SIDE, SIDE, 3), 100, np.uint8)
    clip[:, 20:70, 60:80] = 120
    clip[1::2, ::8, :40] = 255
    for method in ("canny", "soft_edge", "lineart", "scribble", "lines"):
        together = hints(clip, method=method)[:, :, 52:]
        alone = np.stack([hints(frame[None], method=method)[0] for frame in clip])[:, :, 52:]
        assert flicker(together) == 0, method
        # a measure of each frame by itself: lines come and go
        assert method == "lineart" or flicker(alone) > 0.002, method


def test_a_dark_frame_keeps_the_measure_of_its_clip():
    clip = scene(5, grain=0)
    clip[2] //= 8
    assert not hints(clip, method="canny")[2].any()
    assert hints(clip[2:3], method="canny").any()
    assert np.array_equal(hints(clip, method="canny")[1], hints(clip[:2], method="canny")[1])


def test_flat_and_noisy_clips_have_no_edges():
    clip = np.random.default_rng(0).normal(128, 1.0, (3, SIDE, SIDE, 3)).astype(np.uint8)
    for method in ("canny", "scribble", "lines"):
        assert not hints(clip, method=method).any(), method


def test_strong_edges_do_not_depend_on_their_number_or_on_texture():
    lonely = np.zeros((100, 100), np.float32)
    lonely[50, 40:60] = 0.5
    crowded = np.zeros((100, 100), np.float32)
    crowded[::2] = 0.5
    textured = np.maximum(crowded, 0.06)
    values = [strong_edges([edge_counts(strength)]) for strength in (lonely, crowded, textured)]
    assert values == pytest.approx([0.5] * 3, abs=0.002)
    mixed = np.zeros((100, 100), np.float32)
    mixed[0], mixed[50, :10] = (
        0.4,
        0.8,
    )  # energies 16 and 6.4: the weaker have less than four fifths, though most pixels
    assert strong_edges([edge_counts(mixed)]) == pytest.approx(0.8, abs=0.002)
    assert strong_edges([edge_counts(np.zeros((4, 4), np.float32))]) == 0.1


def test_long_clips_are_measured_at_both_ends_and_between():
    assert measured_frames(3) == [0, 1, 2]
    chosen = measured_frames(1000)
    assert (len(chosen), chosen[0], chosen[-1]) == (16, 0, 999)


@pytest.mark.parametrize(("method", "factor"), [("canny", 2.0), ("soft_edge", 3.0), ("lineart", 3.0), ("recolor", 4.0)])
def test_smoothing_takes_flicker_of_noise(method, factor):
    """A still scene with new noise in every frame."""
    clip = scene(12)
    plain, smooth = (flicker(hints(clip, method=method, temporal_smoothing=weight)) for weight in (0.0, 0.8))
    assert plain > factor * smooth > 0


@pytest.mark.parametrize(("speed", "left"), [(4.0, 0.55), (2.5, 0.85)])
def test_smoothing_takes_noise_off_what_moves(speed, left):
    """Against the same clip without noise: small tiles move right, so that in place the past fits nowhere.

    At half pixels the clip itself is sharp in every other frame only, so that less of the noise can go.
    """
    random = np.random.default_rng(0)
    tiles = np.kron(random.integers(40, 216, (16, 30, 3)), np.ones((12, 12, 1)))  # twice as large, for half pixels
    large = np.stack([tiles[:, 120 - int(2 * speed * number) :][:, : 2 * SIDE] for number in range(10)])
    clean = large.reshape(10, SIDE, 2, SIDE, 2, 3).mean(axis=(2, 4))
    noisy = (clean + random.normal(0, 6, clean.shape)).clip(0, 255).astype(np.uint8)
    inside = np.s_[5:, 8:-8, 16:-8]  # what enters at the left has no past
    errors = {}
    for weight in (0.0, 0.8):
        smooth = hints(noisy, method="tile", strength=0.0, temporal_smoothing=weight)
        errors[weight] = np.abs(smooth[inside] - clean[inside]).mean()
    assert errors[0.8] < left * errors[0.0]


def test_nothing_trails_behind_a_moving_square():
    clip = scene(8, grain=2.0, speed=5)
    free = scene(8, grain=0.0, speed=200)  # the square is out of the picture
    smooth = hints(clip, method="tile", strength=0.0, temporal_smoothing=0.95).astype(int)
    for number in range(1, 8):
        behind = slice(8, 8 + 5 * number)  # was square, is stripes again
        assert np.abs(smooth[number, 30:62, behind] - free[number, 30:62, behind]).mean() < 4
        assert np.abs(smooth[number] - clip[number]).max() <= 32  # what is allowed for noise, twice


def test_nothing_is_left_of_what_was_before_a_cut():
    """The first frame after it is no further from its scene than its own noise, and then it gets nearer."""
    after, clean = 255 - scene(5, seed=2), 255 - scene(1, grain=0.0)[0]
    smooth = hints(np.concatenate([scene(3), after]), method="tile", strength=0.0, temporal_smoothing=0.9)[3:]
    far, noise = (np.abs(pictures.astype(int) - clean).mean(axis=(1, 2, 3)) for pictures in (smooth, after))
    assert far[0] < 1.02 * noise[0]
    assert far[4] < 0.7 * noise[4]


def smooth_frames(frames):
    """Frames mixed by 0.9 and otherwise as they are."""
    return hints(frames, method="tile", strength=0.0, temporal_smoothing=0.9).astype(int)


def test_a_dot_of_one_pixel_is_there_from_its_first_frame():
    """What is around it fits the past; 4 of 255 are taken for noise in a clip without any, and twice that is mixed."""
    clip = np.full((4, SIDE, SIDE, 3), 120, np.uint8)
    clip[2:, 40, 40] = 180
    assert np.abs(smooth_frames(clip) - clip).max() <= 2 * 4


def test_no_pixel_moves_further_than_the_most_that_is_taken_for_noise():
    clip = np.random.default_rng(0).normal(128, 40, (4, SIDE, SIDE, 3)).clip(0, 255).astype(np.uint8)
    assert np.abs(smooth_frames(clip) - clip).max() <= 2 * 16


def test_a_small_change_in_still_texture_is_no_noise():
    """By the single frame it could be; that most of the picture stays as it is tells otherwise."""
    texture = np.random.default_rng(0).normal(128, 20, (SIDE, SIDE, 3)).clip(0, 200)
    clip = np.stack([texture] * 4).astype(np.uint8)
    clip[2:, 30:60, 30:60] += 12
    assert np.abs(smooth_frames(clip) - clip)[:, 36:54, 36:54].max() <= 1


def test_breathing_of_two_percent_is_calmed_and_more_is_left():
    """As of depth maps, whose range is that of each frame."""
    for change, calm in ((4, True), (20, False)):
        clip = np.repeat(np.linspace(60, 180, SIDE)[None, None, :, None], 8, axis=0)
        clip = np.broadcast_to(clip, (8, SIDE, SIDE, 3)).astype(np.uint8)
        clip[1::2] += np.uint8(change)
        assert (flicker(smooth_frames(clip)) < 0.5 * flicker(clip)) == calm


def test_a_large_thing_that_enters_does_not_end_the_smoothing_beside_it():
    """No cut: half of the picture still shows what it did."""
    random = np.random.default_rng(5)
    clip = np.full((8, SIDE, SIDE, 3), 120.0)
    clip[6:, :, : SIDE // 2] = np.kron(random.integers(0, 255, (12, 6, 3)), np.ones((8, 8, 1)))
    noisy = (clip + random.normal(0, 6, clip.shape)).clip(0, 255).astype(np.uint8)
    smooth = hints(noisy, method="tile", strength=0.0, temporal_smoothing=0.8)
    far, noise = (np.abs(frames[6:, :, 60:].astype(int) - 120).mean() for frames in (smooth, noisy))
    assert far < 0.5 * noise


def test_flow_points_to_the_frame_before():
    random = np.random.default_rng(0)
    wide = np.kron(random.integers(0, 256, (24, 32, 3)), np.ones((6, 6, 1))).astype(np.uint8)
    flow = flow_back(wide[8:136, 20:148], wide[10:138, 16:144])
    assert np.median(flow[..., 0]) == pytest.approx(4, abs=0.3)
    assert np.median(flow[..., 1]) == pytest.approx(-2, abs=0.3)
    assert flow_back(wide[:20], wide[:20]) is None


def test_still_pictures_stay_as_they_are():
    picture, smoother = scene(1)[0], Smoother(0.9)
    for _ in range(4):
        assert np.array_equal(smoother.add(picture, flow_back(picture, picture)), picture)


@pytest.mark.parametrize("smoothing", [0.0, 0.5])
def test_only_a_few_frames_are_in_work_however_long_the_clip(smoothing):
    """A frame is in memory from when it is read until its hint is written."""
    frame, written, lead = scene(1)[0], [], [0]

    def read(number):
        if written:  # the measure at the start reads all over the clip, a few at a time as well
            lead.append(number - len(written))
        return frame

    settings = PreprocessSettings(method="tile", temporal_smoothing=smoothing)
    preprocess_clip(read, 60, settings, lambda n, _: written.append(n), lambda: None, 2)
    assert sorted(written) == list(range(60))
    assert max(lead) <= 2 * 3  # three at each of the two stages that smoothing needs


def test_work_ends_at_the_first_interrupt():
    class InterruptError(Exception):
        pass

    written = []

    def stop():
        raise InterruptError

    with pytest.raises(InterruptError):
        preprocess_clip(
            scene(1)[[0] * 50].__getitem__, 50, PreprocessSettings(), lambda n, _: written.append(n), stop, 2
        )
    assert len(written) <= 4


def test_items_are_taken_no_sooner_than_needed():
    taken = []

    def items():
        for number in range(20):
            taken.append(number)
            yield number

    with ThreadPoolExecutor(3) as pool:
        results = in_order(pool, lambda number: number * number, items(), ahead=4)
        assert next(results) == 0
        assert len(taken) == 4
        assert list(results) == [number * number for number in range(1, 20)]
