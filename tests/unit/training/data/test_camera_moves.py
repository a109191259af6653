"""Clips with a camera move: the flow that is measured in them is the one asked for.

Shapes: H, W = size in pixels.
"""

import math

import cv2
import numpy as np
import pytest
import torch

from zoetrope.training.data.camera_moves import CAMERA_MOVES, MOVE_EASINGS, CameraMove, camera_frames, camera_views

SIZE = (192, 128)
PICTURE = (600, 420)


def texture(size=PICTURE, coarse=6, seed=3):
    """Smooth random spots, (height, width, 3) in 0 to 1; a spot is about ``coarse`` pixels."""
    noise = np.random.default_rng(seed).random((size[1], size[0], 3), dtype=np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), coarse / 2)
    return torch.from_numpy((soft - soft.min()) / (soft.max() - soft.min()))


def made(motion, amount=0.3, ease="linear", frames=9, size=SIZE, picture=None):
    picture = texture() if picture is None else picture
    move = CameraMove(motion=motion, amount=amount, ease=ease, frames=frames)
    views = camera_views(move, (picture.shape[1], picture.shape[0]), size)
    return torch.stack(list(camera_frames(picture, views, size)))


def fitted_motion(first, second):
    """Scale, turn in radians, and shift (x, y) in pixels that dense flow (DIS, Kroeger et al. 2016) finds between frames.

    What stands at p in the first frame, measured from the centre, stands at scale * R(turn) p + shift in the second.
    """
    grays = [cv2.cvtColor((frame.numpy() * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY) for frame in (first, second)]
    finder = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    finder.setFinestScale(0)
    flow = finder.calc(*grays, None)
    height, width = grays[0].shape
    y, x = np.mgrid[0:height, 0:width]
    x, y = x - (width - 1) / 2, y - (height - 1) / 2
    inner = (slice(16, -16), slice(16, -16))  # what leaves the frame has no flow
    x, y, u, v = (part[inner].ravel() for part in (x, y, flow[..., 0], flow[..., 1]))
    # u = (a - 1) x - b y + tx, v = b x + (a - 1) y + ty
    one, zero = np.ones_like(x), np.zeros_like(x)
    rows = np.vstack([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    (a, b, across, down), *_ = np.linalg.lstsq(rows, np.concatenate([u, v]), rcond=None)
    return math.hypot(1 + a, b), math.atan2(b, 1 + a), across, down


def near(value, wanted):
    return value == pytest.approx(wanted, rel=0.05)


@pytest.mark.parametrize(("motion", "amount"), [(m, a) for m in CAMERA_MOVES if m != "static" for a in (0.15, 0.4)])
def test_measured_flow_is_the_move_that_was_asked_for(motion, amount):
    """Each frame of a linear move has 1/8 of the whole, and things move against the camera."""
    frames = made(motion, amount)
    for pair in (0, 4, 7):
        scale, turn, across, down = fitted_motion(frames[pair], frames[pair + 1])
        zoom, right, lower, clockwise = CAMERA_MOVES[motion]
        step = amount / 8
        assert near(math.log(scale), zoom * math.log(1 + amount) / 8) if zoom else abs(scale - 1) < 1e-3
        assert near(turn, -clockwise * step * math.pi / 2) if clockwise else abs(turn) < 1e-3
        assert near(across, -right * step * SIZE[0]) if right else abs(across) < 0.05
        assert near(down, -lower * step * SIZE[1]) if lower else abs(down) < 0.05


def test_static_is_one_picture():
    frames = made("static")
    assert torch.equal(frames, frames[:1].expand_as(frames))


@pytest.mark.parametrize("ease", MOVE_EASINGS)
def test_an_ease_spreads_the_same_way_otherwise(ease):
    """The way of a pan is what the easing says at each frame; the ends are those of linear."""
    views = camera_views(CameraMove(motion="pan_right", amount=0.5, ease=ease, frames=5), PICTURE, SIZE)
    way = (views[:, 0, 2] - views[0, 0, 2]) / (views[-1, 0, 2] - views[0, 0, 2])
    wanted = {
        "linear": [0, 0.25, 0.5, 0.75, 1],
        "ease_in": [0, 1 / 16, 1 / 4, 9 / 16, 1],
        "ease_out": [0, 7 / 16, 3 / 4, 15 / 16, 1],
        "ease_in_out": [0, (1 - math.sqrt(0.5)) / 2, 0.5, (1 + math.sqrt(0.5)) / 2, 1],
    }
    assert way.tolist() == pytest.approx(wanted[ease])


@pytest.mark.parametrize("motion", CAMERA_MOVES)
@pytest.mark.parametrize("picture", [(600, 420), (100, 900), (64, 64), (2000, 100)])
@pytest.mark.parametrize("amount", [0.0, 0.3, 3.0])
def test_no_view_leaves_the_picture_and_one_touches_its_edge(motion, picture, amount):
    views = camera_views(CameraMove(motion=motion, amount=amount, ease="linear", frames=7), picture, SIZE)
    corners = torch.tensor([[x * SIZE[0] / 2, y * SIZE[1] / 2, 1.0] for x in (-1, 1) for y in (-1, 1)])
    reached = (views @ corners.double().T).abs().amax(dim=(0, 2)) / torch.tensor(picture) * 2
    assert float(reached.max()) == pytest.approx(1)


def test_edges_of_the_picture_are_never_drawn_out():
    """A picture whose border is black and whose inside is white: black shows where a view reaches the edge, at most."""
    picture = torch.ones(420, 600, 3)
    picture[:2] = picture[-2:] = 0
    picture[:, :2] = picture[:, -2:] = 0
    for motion in CAMERA_MOVES:
        frames = made(motion, 0.4, picture=picture)
        assert float(frames[:, 2:-2, 2:-2].min()) > 0.9


def test_a_finer_picture_gives_the_same_frames():
    """Antialiasing: a picture of four times the width, and noise too fine for the frames, change nothing that is seen."""
    fine = texture((1200, 840), coarse=24)
    coarse = torch.nn.functional.avg_pool2d(fine.movedim(-1, 0)[None], 4)[0].movedim(0, -1)
    for motion in ("zoom_in", "roll_clockwise"):
        difference = made(motion, 0.8, picture=fine) - made(motion, 0.8, picture=coarse)
        assert float(difference.abs().mean()) < 0.01
    noise = torch.from_numpy(np.random.default_rng(5).integers(0, 2, (1536, 2304, 1)).astype(np.float32)).expand(
        -1, -1, 3
    )
    # 12 x 12 pixels of the picture in one of the frame: their mean has a spread of 0.5 / 12; a sample alone has 0.5.
    assert float(made("static", picture=noise).std()) < 0.07
    assert float(made("zoom_in", 1.0, picture=noise)[0].std()) < 0.07


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"motion": "dolly"}, "motion is 'dolly': choose one of 'zoom_in'"),
        ({"ease": "hold"}, "ease is 'hold'"),
        ({"amount": -0.1}, "amount is -0.1: give 0 to 3"),
        ({"amount": float("nan")}, "amount is nan"),
        ({"frames": 0}, "frames is 0"),
    ],
)
def test_moves_that_cannot_be_made_are_refused(settings, words):
    given = {"motion": "zoom_in", "amount": 0.3, "ease": "linear", "frames": 8, **settings}
    with pytest.raises(ValueError, match=words):
        camera_views(CameraMove(**given), PICTURE, SIZE)
