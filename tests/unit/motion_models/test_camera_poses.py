"""Camera poses: motions worked out by hand, pose texts, and rays against geometry restated one pixel at a time."""

import math

import numpy as np
import pytest
import torch

from support.files.camera import POSE_TEXT
from zoetrope.motion_models.camera_poses import (
    MOTIONS,
    CameraPose,
    chain,
    from_first,
    motion_poses,
    parse_poses,
    pluecker_rays,
    poses_at,
    with_camera,
)

STILL = (1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
LINE = "0 0.5 0.9 0.5 0.5 0 0 1 0 0 0 0 1 0 0 0 0 1 0"


def matrix(pose):
    """4 x 4 world to camera."""
    return np.vstack([np.reshape(pose.world_to_camera, (3, 4)), [0, 0, 0, 1]])


def place(pose):
    """Where the camera stands in the world."""
    return np.linalg.inv(matrix(pose))[:3, 3]


def sight(pose):
    """Where the camera looks: its z axis in the world."""
    return np.linalg.inv(matrix(pose))[:3, 2]


# x is right, y is down, z is forward. After 8 of 16 steps a motion of speed 1 has gone 0.5 * 1.5 (zooms 2 * that).
@pytest.mark.parametrize(
    ("motion", "where"),
    [
        ("static", (0, 0, 0)),
        ("pan_left", (-0.75, 0, 0)),
        ("pan_right", (0.75, 0, 0)),
        ("pan_up", (0, -0.75, 0)),
        ("pan_down", (0, 0.75, 0)),
        ("zoom_in", (0, 0, 1.5)),
        ("zoom_out", (0, 0, -1.5)),
    ],
)
def test_motions_that_move_the_camera(motion, where):
    poses = motion_poses([(motion, 1.0)], 9)
    assert poses[0].world_to_camera == STILL
    np.testing.assert_allclose(place(poses[8]), where, atol=1e-12)
    np.testing.assert_allclose(sight(poses[8]), (0, 0, 1), atol=1e-12)


# After 8 of 16 steps the angle is 30 degrees: sine 1/2, cosine sqrt(3) / 2.
@pytest.mark.parametrize(
    ("motion", "looks"),
    [("tilt_left", (-0.5, 0, 1)), ("tilt_right", (0.5, 0, 1)), ("tilt_up", (0, -0.5, 1)), ("tilt_down", (0, 0.5, 1))],
)
def test_motions_that_turn_the_camera(motion, looks):
    pose = motion_poses([(motion, 1.0)], 9)[8]
    np.testing.assert_allclose(sight(pose), np.multiply(looks, (1, 1, math.sqrt(3) / 2)), atol=1e-12)
    np.testing.assert_allclose(place(pose), (0, 0, 0), atol=1e-12)


@pytest.mark.parametrize(("motion", "sign"), [("roll_clockwise", 1), ("roll_anticlockwise", -1)])
def test_rolls_turn_the_cameras_right_side_down_or_up(motion, sign):
    right = np.linalg.inv(matrix(motion_poses([(motion, 1.0)], 9)[8]))[:3, 0]
    np.testing.assert_allclose(right, (math.sqrt(3) / 2, sign * 0.5, 0), atol=1e-12)


def test_there_are_thirteen_motions():
    assert len(MOTIONS) == 13


def test_speed_and_sum_of_motions():
    """Translations 16/16 * 1.5 * (2 * (1, 0, 0) + 0.5 * (0, 0, -2)); the turn is its own share of 60 degrees."""
    both = motion_poses([("pan_left", 2.0), ("zoom_in", 0.5), ("tilt_down", 1.5)], 17)[16]
    np.testing.assert_allclose(matrix(both)[:3, 3], (3.0, 0.0, -1.5), atol=1e-12)
    np.testing.assert_allclose(matrix(both)[:3, :3], [[1, 0, 0], [0, 0, -1], [0, 1, 0]], atol=1e-12)  # 90 degrees


def test_rotation_order_is_z_after_y_after_x():
    """90 degrees about x, then y, then z: Rz Ry Rx = ((0, 0, 1), (0, 1, 0), (-1, 0, 0)), worked out by hand."""
    turns = [("tilt_down", 1.5), ("tilt_left", 1.5), ("roll_anticlockwise", 1.5)]
    np.testing.assert_allclose(
        matrix(motion_poses(turns, 17)[16])[:3, :3], [[0, 0, 1], [0, 1, 0], [-1, 0, 0]], atol=1e-12
    )


def test_chained_motion_goes_on_in_the_axes_of_the_last_camera():
    """A camera turned 90 degrees to the left that zooms in moves along the world's -x."""
    turned = motion_poses([("tilt_left", 1.5)], 17)
    poses = chain(turned, motion_poses([("zoom_in", 1.0)], 8, first=1))
    assert poses[:17] == turned and len(poses) == 25
    np.testing.assert_allclose(place(poses[17]), (-3 / 16, 0, 0), atol=1e-12)
    np.testing.assert_allclose(place(poses[24]), (-1.5, 0, 0), atol=1e-12)
    np.testing.assert_allclose(sight(poses[24]), (-1, 0, 0), atol=1e-12)


def test_read_poses_chain_from_their_own_first_camera():
    read = parse_poses(POSE_TEXT)
    moved = from_first(read)
    np.testing.assert_allclose(matrix(moved[0]), np.eye(4), atol=1e-9)
    np.testing.assert_allclose(matrix(moved[1]) @ matrix(read[0]), matrix(read[1]), atol=1e-9)
    assert chain((), read) == read


def test_last_pose_holds_and_windows_pick_their_frames():
    poses = motion_poses([("zoom_in", 1.0)], 3)
    assert poses_at(poses, [2, 0, 1, 7]) == (poses[2], poses[0], poses[1], poses[2])


@pytest.mark.parametrize("frames", [0, -1])
def test_no_frame_is_refused(frames):
    with pytest.raises(ValueError, match=f"frames is {frames}; .* at least 1 pose"):
        motion_poses([("static", 1.0)], frames)


def test_speed_must_be_finite():
    with pytest.raises(ValueError, match="speed of the camera motion zoom_in is nan"):
        motion_poses([("zoom_in", math.nan)], 2)


def test_pose_text_of_the_authors():
    first, second = parse_poses(POSE_TEXT)
    assert (first.fx, first.fy, first.cx, first.cy) == (0.474812461, 0.844111024, 0.5, 0.5)
    assert first.world_to_camera[:4] == (0.780003667, 0.059620168, -0.622928321, 0.726968666)
    assert second.world_to_camera[11] == -1.084913992


@pytest.mark.parametrize("text", [LINE, f"\n{LINE}\n\n", f"video\n{LINE}", f"a video's address\r\n{LINE}\r\n"])
def test_header_and_empty_lines_are_optional(text):
    assert parse_poses(text) == (CameraPose(STILL, 0.5, 0.9),)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "hold no pose"),
        ("https://a.video\n", "hold no pose"),
        (f"head\n{LINE}\n{LINE} 1", "Line 3 of the camera poses has 20 numbers and needs 19"),
        (f"{LINE}\n\n0 0.5", "Line 3 of the camera poses has 2 numbers"),
        (f"{LINE}\n{LINE.replace('0.9', 'x')}", "Line 2 of the camera poses has 'x' where a finite number"),
        (LINE.replace("0.9", "nan"), "Line 1 of the camera poses has 'nan'"),
        (LINE.replace("0.9", "-0.9"), "Line 1 .* focal lengths 0.5 and -0.9; they must be at least"),
        (LINE.replace("0.9", "1e-300"), "Line 1 .* focal lengths 0.5 and 1e-300; they must be at least 1e-06"),
        (LINE.replace("0.9", "1e30"), "Line 1 .* has '1e30' where a finite number of at most 1e[+]06 in size"),
        ("0 0.5 0.9 0.5 0.5 0 0" + " 0" * 12, "Line 1 .* matrix without an inverse"),
    ],
)
def test_unreadable_pose_texts_name_the_line(text, problem):
    with pytest.raises(ValueError, match=problem):
        parse_poses(text)


def rays_by_pixel(poses, height, width):
    """Pluecker coordinates of each pixel from textbook geometry, in float64: K^-1, then camera to first camera."""
    out = np.zeros((len(poses), 6, height, width))
    first = matrix(poses[0])
    for frame, pose in enumerate(poses):
        to_first = first @ np.linalg.inv(matrix(pose))
        # The picture of the poses' aspect that covers the rendered one, cut at its sides or at top and bottom.
        full_width = max(width, height * pose.aspect)
        full_height = max(height, width / pose.aspect)
        lens = np.diag([pose.fx * full_width, pose.fy * full_height, 1.0])
        lens[:2, 2] = pose.cx * width, pose.cy * height
        for row in range(height):
            for column in range(width):
                ray = to_first[:3, :3] @ np.linalg.inv(lens) @ (column + 0.5, row + 0.5, 1.0)
                ray /= np.linalg.norm(ray)
                out[frame, :, row, column] = (*np.cross(to_first[:3, 3], ray), *ray)
    return out


@pytest.mark.parametrize("size", [(6, 8), (8, 4), (9, 16)])
@pytest.mark.parametrize("aspect", [16 / 9, 0.75])
def test_rays_are_those_of_a_pinhole_camera(size, aspect):
    poses = with_camera(parse_poses(POSE_TEXT), aspect=aspect, cx=0.45)
    ours = pluecker_rays(poses, *size)
    assert ours.dtype == torch.float32 and ours.shape == (2, 6, *size)
    np.testing.assert_allclose(ours.numpy(), rays_by_pixel(poses, *size), atol=1e-6)


def test_rays_worked_out_by_hand():
    """One pixel per quarter of a 2 x 2 picture, focal length 1/2 of a side: x and y are -1/2 or 1/2 over 1.

    The second camera stands 0.75 to the left, and (-0.75, 0, 0) x (a, b, c) = (0, 0.75 c, -0.75 b).
    """
    poses = with_camera(motion_poses([("pan_left", 8.0)], 2), fx=0.5, fy=0.5, aspect=1.0)
    rays = pluecker_rays(poses, 2, 2)
    length = math.sqrt(0.25 + 0.25 + 1)
    right_top = [0.5 / length, -0.5 / length, 1 / length]
    torch.testing.assert_close(rays[0, :, 0, 1], torch.tensor([0, 0, 0, *right_top]))
    moment = [0, 0.75 * right_top[2], -0.75 * right_top[1]]
    torch.testing.assert_close(rays[1, :, 0, 1], torch.tensor([*moment, *right_top]))


def test_rays_are_relative_to_the_first_pose():
    moving = motion_poses([("pan_left", 1.0), ("tilt_up", 1.0)], 4)
    elsewhere = chain(motion_poses([("zoom_out", 5.0), ("roll_clockwise", 1.0)], 9), moving)[9:]
    torch.testing.assert_close(pluecker_rays(elsewhere, 4, 4), pluecker_rays(moving, 4, 4))
    assert pluecker_rays(elsewhere, 4, 4)[0, :3].abs().max() == 0


def test_square_picture_of_a_wide_camera_keeps_its_pixels_square():
    """The usual camera, fx 0.4748 of 1280 and fy 0.8441 of 720 pixels, has square pixels; so has each cut of it."""
    rays = pluecker_rays(motion_poses([("static", 1.0)], 1), 8, 8)[0]
    torch.testing.assert_close(rays[3], rays[4].T, atol=1e-6, rtol=0)
