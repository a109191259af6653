"""Hints of single pictures: where their lines are, and what is left of the picture."""

import cv2
import numpy as np
import pytest
from PIL import Image

from zoetrope.preprocessors import edges
from zoetrope.preprocessors import filters as texture
from zoetrope.preprocessors import line_segments as straight
from zoetrope.preprocessors.methods import METHODS, Look, PreprocessSettings

TOP, LEFT, BOTTOM, RIGHT = 20, 16, 44, 48  # first row and column of a box, and first ones behind it


def box(inside=255, outside=0, size=64):
    picture = np.full((size, size, 3), outside, np.uint8)
    picture[TOP:BOTTOM, LEFT:RIGHT] = inside
    return picture


def noise(size=64):
    return np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)


def near_outline(drawing, far):
    """True where all that is drawn is at most ``far`` pixels from the outline of the box."""
    outline = np.zeros(drawing.shape, np.uint8)
    outline[TOP:BOTTOM, LEFT:RIGHT] = 255
    outline = cv2.morphologyEx(outline, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    reach = cv2.dilate(outline, np.ones((2 * far - 1, 2 * far - 1), np.uint8))
    return not (drawing[reach == 0] > 0).any()


def test_canny_draws_one_pixel_at_each_step():
    drawing = edges.canny(box(), 0.1, 0.2)
    for row in range(TOP + 2, BOTTOM - 2):
        left, right = np.flatnonzero(drawing[row])
        assert left in (LEFT - 1, LEFT)  # both pixels beside a step are as steep
        assert right in (RIGHT - 1, RIGHT)
    assert near_outline(drawing, 1)
    assert set(np.unique(drawing)) == {0, 255}


def test_edges_between_colours_of_one_brightness_are_found():
    picture = box((200, 60, 40), (0, 145, 92))  # BT.601 brightness 100 and 96
    grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    assert edges.canny(picture, 0.1, 0.2).any()
    assert not edges.canny(grey, 0.1, 0.2).any()


def test_strength_of_an_edge_is_the_height_of_its_step():
    strength = edges.steepness(box(153))
    assert strength[32, LEFT - 1] == strength[32, LEFT] == pytest.approx(153 / 255)
    assert strength[32, LEFT + 2] == 0
    # diagonal corners are the only steeper places
    assert strength.max() <= 153 / 255 * np.sqrt(2)


def test_soft_edges_are_as_bright_as_the_edge_is_strong():
    look = Look(1.0, 0.0, 1.0)
    full, half = (METHODS["soft_edge"].draw(box(value), look).astype(float) for value in (255, 128))
    assert full[32].argmax() in range(LEFT - 2, LEFT + 2) or full[32].argmax() in range(RIGHT - 2, RIGHT + 2)
    assert np.abs(full * 128 / 255 - half).max() <= 2  # rounding of bytes at three sizes
    twice = METHODS["soft_edge"].draw(box(128), Look(2.0, 0.0, 1.0))
    assert np.abs(twice - full).max() <= 4


def test_lineart_draws_what_is_darker_than_its_surroundings():
    picture = np.full((128, 128, 3), 200, np.uint8)
    picture[:, 40:42] = 20
    picture[:, 90:92] = 255
    strength = edges.darkness(picture)
    assert strength[64].argmax() in (40, 41)
    assert strength[64, 90:92].max() == 0
    assert strength[64, 41] > 0.3
    picture[:, 60:62] = (20, 200, 200)  # a colour, no ink
    assert edges.darkness(picture)[64, 55:65].max() == 0


def test_weak_lines_are_lifted_between_black_and_white():
    strength = np.array([[0.1, 0.2, 0.5, 0.9]], np.float32)
    # 0.2 is a quarter of the way from 0.1 to 0.5, and the square root of a quarter is a half
    assert edges.drawn(strength, 0.1, 0.5, 0.5, 1.0).tolist() == [[0, 128, 255, 255]]
    assert edges.drawn(strength, 0.1, 0.5, 1.0, 0.5).tolist() == [[0, 32, 128, 128]]


def test_scribbles_are_thick_and_have_no_crumbs():
    picture = box(size=256)
    picture[200:203, 200:203] = 255  # a speck
    assert edges.canny(picture, 0.1, 0.2)[190:210, 190:210].any()
    thin, thick = (edges.scribble(picture, 0.1, 0.2, pen) for pen in (1.0, 7.0))
    assert not thin[190:210, 190:210].any()
    across = np.count_nonzero(thick[32, :32])
    assert 6 <= across <= 8
    assert near_outline(thick[:64, :64], 5)


def test_a_pen_fills_the_gap_between_lines_that_nearly_touch():
    for wide, lines in ((10, 1), (12, 2)):  # 3 and 5 pixels are between the lines of a pen of 7
        picture = np.zeros((256, 256, 3), np.uint8)
        picture[40:220, 100 : 100 + wide] = 255
        starts = np.diff(edges.scribble(picture, 0.1, 0.2, 7.0)[128].astype(int)) > 0
        assert np.count_nonzero(starts) == lines


def test_straight_lines_follow_edges_and_weak_ones_are_left_out():
    picture = np.full((256, 256, 3), 60, np.uint8)
    picture[60:200, 50:120] = 250
    picture[60:200, 160:220] = 75
    strength = edges.steepness(picture)
    drawing = straight.straight_lines(picture, strength, 0.1, 1.0)
    assert (drawing[80:180, 48:52].max(axis=1) > 100).all()
    assert not drawing[:, 140:].any()
    assert straight.straight_lines(picture, strength, 0.02, 1.0)[:, 140:].any()
    assert not straight.straight_lines(picture, strength, 0.02, 20.0).any()  # all are shorter


@pytest.mark.parametrize("degrees", [0, 15, 30, 45])
def test_a_straight_line_is_as_strong_as_its_step_in_any_direction(degrees):
    y, x = np.mgrid[:256, :256] - 128.0
    angle = np.radians(degrees)
    step = np.clip(x * np.cos(angle) + y * np.sin(angle) + 0.5, 0, 1)
    picture = np.repeat((60 + 100 * step).round().astype(np.uint8)[..., None], 3, axis=2)
    strength = edges.steepness(picture)
    assert straight.straight_lines(picture, strength, 0.97 * 100 / 255, 1.0).any()
    assert not straight.straight_lines(picture, strength, 1.1 * 100 / 255, 1.0).any()


def test_the_shortest_straight_line_grows_with_the_picture():
    """24 pixels at a shorter side of 512, so 12 at 256."""
    for side, length, found in ((256, 16, True), (512, 16, False), (512, 32, True)):
        picture = np.full((side, side, 3), 60, np.uint8)
        picture[100 : 100 + length, 100 : 100 + length] = 250
        assert straight.straight_lines(picture, edges.steepness(picture), 0.1, 1.0).any() == found


def test_lines_name_another_method_where_opencv_has_no_detector(monkeypatch):
    monkeypatch.delattr(cv2, "createLineSegmentDetector")
    with pytest.raises(ValueError, match="choose canny"):
        PreprocessSettings(method="lines").check()
    PreprocessSettings(method="canny").check()


def test_tile_takes_detail_of_the_size_that_is_asked_for():
    checks = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    checks = np.repeat(checks[..., None], 3, axis=2)
    assert np.abs(texture.tile(checks, 1.0).astype(int) - 127.5).max() < 1  # 4x4 pixels have one mean
    blocks = np.kron(noise(4), np.ones((16, 16, 1), np.uint8))
    assert (texture.tile(blocks, 1.0)[8::16, 8::16] == blocks[8::16, 8::16]).mean() > 0.9
    assert np.ptp(texture.tile(noise(), 3.0), axis=(0, 1)).max() == 0  # 64 times smaller: one pixel


def test_blur_is_gaussian():
    point = np.zeros((513, 513, 3), np.uint8)
    point[248:265, 248:265] = 255
    row = texture.blur(point, 2.0)[256, :, 0].astype(float)
    # A box of 17 pixels under a Gaussian of sigma 16 is nearly that Gaussian, sigma**2 being 16**2 + 17**2 / 12.
    sigma = np.sqrt(16**2 + 17**2 / 12) * 513 / 512
    assert row[256 + 16] / row[256] == pytest.approx(np.exp(-0.5 * (16 / sigma) ** 2), abs=0.03)


def test_recolor_is_pillows_grey():
    picture = noise()
    reference = np.asarray(Image.fromarray(picture).convert("L")).astype(int)
    assert np.abs(texture.recolor(picture, 1.0) - reference[..., None]).max() <= 1  # both round
    half = (picture + reference[..., None]) / 2
    assert np.abs(texture.recolor(picture, 0.5) - half).max() <= 1
    assert np.array_equal(texture.recolor(picture, 4.0), texture.recolor(picture, 1.0))


def test_shuffle_moves_pixels_smoothly():
    x, y = texture.shuffle_places(96, 128, 1.0, seed=3)
    assert (x.min(), x.max(), y.min(), y.max()) == pytest.approx((0, 127, 0, 95), abs=1e-3)
    assert np.abs(np.diff(x, axis=1)).max() < 16
    assert np.array_equal(x, texture.shuffle_places(96, 128, 1.0, seed=3)[0])
    assert not np.allclose(x, texture.shuffle_places(96, 128, 1.0, seed=4)[0])
    half = texture.shuffle_places(96, 128, 0.5, seed=3)[0]
    assert np.allclose(half, (x + np.arange(128)) / 2, atol=1e-3)  # half of the way
    assert np.array_equal(x, texture.shuffle_places(96, 128, 4.0, seed=3)[0])


def test_strength_is_what_the_help_page_says_of_each_method():
    random = np.random.default_rng(0)
    picture = box(size=256)
    noisy = (picture * 0.5 + random.normal(60, 10, picture.shape)).clip(0, 255).astype(np.uint8)

    def drawn(method, strength, of=picture):
        return METHODS[method].draw(of, Look(strength, 0.05, 0.1)).astype(int)

    crumbs = [np.count_nonzero(drawn("canny", strength, noisy)[100:, 100:]) for strength in (0.0, 4.0)]
    assert crumbs[0] > 100  # without smoothing the noise has edges
    assert crumbs[1] == 0
    assert not drawn("scribble", 1.0, noisy)[100:, 100:].any()  # smoothed whatever the strength
    thin, thick = (np.count_nonzero(drawn("scribble", strength)) for strength in (1.0, 4.0))
    assert thick > 2 * thin
    assert drawn("lines", 1.0).any()  # 24 and 32 pixels, the shortest being 12 here
    assert not drawn("lines", 4.0).any()
    ink = 200 - picture // 2
    full, half = (drawn("lineart", strength, ink) for strength in (1.0, 0.5))
    assert full.max() == 255
    assert np.abs(half - full / 2).max() <= 1


def test_strength_nought_leaves_pictures():
    picture = noise()
    for method in ("tile", "blur", "recolor"):
        assert np.array_equal(METHODS[method].draw(picture, Look(0.0)), picture), method
    still = Look(0.0, places=texture.shuffle_places(64, 64, 0.0, 0))
    assert np.array_equal(METHODS["shuffle"].draw(picture, still), picture)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 0, (0.1, 0.2)), (0, 0.4, (0.2, 0.4)), (0.15, 0, (0.15, 0.2)), (0.3, 0, (0.3, 0.3)), (0.3, 0.6, (0.3, 0.6))],
)
def test_thresholds_left_out_follow_the_other(low, high, expected):
    settings = PreprocessSettings(low_threshold=low, high_threshold=high)
    assert settings.thresholds(0.1, 0.2) == pytest.approx(expected)


def test_a_method_without_a_low_threshold_takes_none():
    for high, expected in ((0, 0.15), (0.4, 0.4)):
        settings = PreprocessSettings(method="lines", low_threshold=0.3, high_threshold=high)
        assert settings.thresholds(METHODS["lines"].low, METHODS["lines"].high) == (0, expected)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"method": "hed"}, "no method 'hed': choose one of canny, lineart"),
        ({"low_threshold": 0.5, "high_threshold": 0.3}, "low_threshold 0.5 is above high_threshold 0.3"),
        ({"temporal_smoothing": 1.0}, "temporal_smoothing is 1: give a number from 0 to 0.95"),
        ({"strength": float("nan")}, "strength is nan"),
    ],
)
def test_bad_settings_are_told(settings, words):
    with pytest.raises(ValueError, match=words):
        PreprocessSettings(**settings).check()
