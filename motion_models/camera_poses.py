"""Camera poses over time and the Pluecker rays that CameraCtrl is conditioned on.

Shapes: F = frames, H and W = height and width of the rendered picture in pixels.

A pose is a pinhole camera: x right, y down, z forward. Translations have no unit; RealEstate10K's are about metres.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..inputs.numbers import LARGEST_WRITTEN, finite, fits
from ..inputs.quoting import plain, quoted
from ..inputs.written import LONGEST_PROMPTS, readable_text

# Intrinsics and picture of the clips that the authors and AnimateDiff-Evolved take as the usual camera.
FX, FY, CENTRE = 0.474812461, 0.844111024, 0.5
ORIGINAL_SIZE = (1280, 720)

LONGEST_POSES = LONGEST_PROMPTS  # characters: some thousand frames
SHORTEST_FOCAL = 1e-6  # in picture widths or heights; below it float32 sees a picture of no size
NUMBERS = 19  # of one line: time, fx, fy, cx, cy, two unused, 3 x 4 matrix
FULL_MOTION_FRAMES = 16  # frames over which a motion of speed 1 takes its whole angle and way
FULL_ANGLE = math.pi / 3
FULL_WAY = 1.5


@dataclass(frozen=True)
class CameraPose:
    """The camera of one frame.

    Attributes:
        world_to_camera: 12 numbers, the 3 x 4 matrix (rotation | translation) row by row.
        fx: focal length in picture widths.
        fy: focal length in picture heights.
        cx: principal point in picture widths from the left.
        cy: principal point in picture heights from the top.
        aspect: width / height of the picture that the focal lengths belong to.
    """

    world_to_camera: tuple[float, ...]
    fx: float = FX
    fy: float = FY
    cx: float = CENTRE
    cy: float = CENTRE
    aspect: float = ORIGINAL_SIZE[0] / ORIGINAL_SIZE[1]


Poses = tuple[CameraPose, ...]
Vector = tuple[float, float, float]


@dataclass(frozen=True)
class CameraMotion:
    """A direction to move and an axis to turn about, in the camera's own axes.

    Attributes:
        turn: angles about x, y and z in units of `FULL_ANGLE`.
        move: translation of the world-to-camera matrix in units of `FULL_WAY`; the camera goes the other way.
    """

    turn: Vector = (0.0, 0.0, 0.0)
    move: Vector = (0.0, 0.0, 0.0)


# Source: numbers and names of ComfyUI-AnimateDiff-Evolved ``nodes_cameractrl.py``, class CAM, so that workflows move
# as they did. A pan moves the camera sideways or up, a tilt turns it, a zoom moves it forward or back.
MOTIONS: dict[str, CameraMotion] = {
    "static": CameraMotion(),
    "pan_up": CameraMotion(move=(0.0, 1.0, 0.0)),
    "pan_down": CameraMotion(move=(0.0, -1.0, 0.0)),
    "pan_left": CameraMotion(move=(1.0, 0.0, 0.0)),
    "pan_right": CameraMotion(move=(-1.0, 0.0, 0.0)),
    "zoom_in": CameraMotion(move=(0.0, 0.0, -2.0)),
    "zoom_out": CameraMotion(move=(0.0, 0.0, 2.0)),
    "roll_clockwise": CameraMotion(turn=(0.0, 0.0, -1.0)),
    "roll_anticlockwise": CameraMotion(turn=(0.0, 0.0, 1.0)),
    "tilt_up": CameraMotion(turn=(-1.0, 0.0, 0.0)),
    "tilt_down": CameraMotion(turn=(1.0, 0.0, 0.0)),
    "tilt_left": CameraMotion(turn=(0.0, 1.0, 0.0)),
    "tilt_right": CameraMotion(turn=(0.0, -1.0, 0.0)),
}


def motion_poses(motions: Iterable[tuple[str, float]], frames: int, first: int = 0) -> Poses:
    """Poses of an even motion that starts from the world's own axes.

    Args:
        motions: (name of `MOTIONS`, speed) pairs; their angles and ways are added up.
        frames: F, number of poses.
        first: step of the motion at the first pose; 0 is the pose before it moves.

    Raises:
        ValueError: no frame, or a speed that is not finite.

    Source:
        ComfyUI-AnimateDiff-Evolved ``nodes_cameractrl.py``, ``get_camera_motion``: at step i the angles are
        i / 16 * speed * pi / 3, the rotation Rz Ry Rx, the translation i / 16 * speed * 1.5.
    """
    if frames < 1:
        raise ValueError(f"frames is {frames}; a camera motion needs at least 1 pose.")
    turn, move = [0.0] * 3, [0.0] * 3
    for name, speed in motions:
        if not math.isfinite(speed):
            raise ValueError(
                f"The speed of the camera motion {plain(name)} is {quoted(speed)}; it must be a finite number."
            )
        for axis in range(3):
            turn[axis] += speed * MOTIONS[name].turn[axis] * FULL_ANGLE
            move[axis] += speed * MOTIONS[name].move[axis] * FULL_WAY
    poses: list[CameraPose] = []
    for step in range(first, first + frames):
        share = step / FULL_MOTION_FRAMES
        translation = torch.tensor([[share * way] for way in move], dtype=torch.float64)
        rotation = _rotation([share * angle for angle in turn])
        poses.append(CameraPose(_numbers(torch.cat((rotation, translation), dim=1))))
    return tuple(poses)


def _rotation(angles: Sequence[float]) -> Tensor:
    """Rz Ry Rx of three angles in radians, (3, 3) float64."""
    (cx, sx), (cy, sy), (cz, sz) = ((math.cos(angle), math.sin(angle)) for angle in angles)
    about_x = [[1.0, 0.0, 0.0], [0.0, cx, -sx], [0.0, sx, cx]]
    about_y = [[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]]
    about_z = [[cz, -sz, 0.0], [sz, cz, 0.0], [0.0, 0.0, 1.0]]
    x, y, z = (torch.tensor(rows, dtype=torch.float64) for rows in (about_x, about_y, about_z))
    return z @ y @ x


def chain(previous: Poses, poses: Poses) -> Poses:
    """``previous``, then ``poses`` moved so that their world is the last camera of ``previous``.

    Source:
        ComfyUI-AnimateDiff-Evolved ``nodes_cameractrl.py``, ``combine_RTs``: new matrix times last matrix.
    """
    if not previous:
        return poses
    last = _matrices(previous[-1:])[0]
    moved = _matrices(poses) @ last
    return (*previous, *(_placed(pose, matrix) for pose, matrix in zip(poses, moved, strict=True)))


def from_first(poses: Poses) -> Poses:
    """The same cameras in a world whose axes are those of the first camera."""
    matrices = _matrices(poses)
    moved = matrices @ matrices[0].inverse()
    return tuple(_placed(pose, matrix) for pose, matrix in zip(poses, moved, strict=True))


def poses_at(poses: Poses, frames: Sequence[int]) -> Poses:
    """Poses of some frames of a clip; the last pose holds for the rest of a clip that is longer."""
    return tuple(poses[min(frame, len(poses) - 1)] for frame in frames)


def parse_poses(text: str) -> Poses:
    """Read a RealEstate10K pose text.

    Args:
        text: one line a frame: time, fx, fy, cx, cy, two unused numbers, then the 3 x 4 world-to-camera matrix row
            by row. Empty lines and a first line that does not start with a number (a video's address) are skipped.

    Raises:
        ValueError: a line cannot be read, or there is none; the sentence names the line.
    """
    rows = readable_text("The text of the camera poses", text, LONGEST_POSES).split("\n")
    lines = [(number, row.split()) for number, row in enumerate(rows, start=1) if row.strip()]
    if lines and finite(lines[0][1][0]) is None:
        lines = lines[1:]
    if not lines:
        raise ValueError(
            f"The camera poses hold no pose; give one line of {NUMBERS} numbers a frame, as in RealEstate10K."
        )
    poses = tuple(_pose(number, words) for number, words in lines)
    for (number, _), determinant in zip(lines, _matrices(poses).det().tolist(), strict=True):  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType, reportUnknownArgumentType]
        if abs(cast("float", determinant)) < 1e-6:
            raise ValueError(
                f"Line {plain(number)} of the camera poses has a matrix without an inverse; numbers 8 to 19 of the "
                "line must be a rotation and a translation, row by row."
            )
    return poses


def _pose(number: int, words: list[str]) -> CameraPose:
    if len(words) != NUMBERS:
        raise ValueError(
            f"Line {number} of the camera poses has {len(words)} numbers and needs {NUMBERS}: time, fx, fy, cx, cy, "
            "two unused, then the 3 x 4 world-to-camera matrix row by row."
        )
    values: list[float] = []
    for place, word in enumerate(words):
        value = finite(word)
        # Times are often microseconds.
        if value is None or (place and not fits(value, LARGEST_WRITTEN)):
            raise ValueError(
                f"Line {number} of the camera poses has {quoted(word)} where a finite number of at most "
                f"{LARGEST_WRITTEN:g} in size must be."
            )
        values.append(value)
    pose = CameraPose(tuple(values[7:]), *values[1:5])
    if min(pose.fx, pose.fy) < SHORTEST_FOCAL:
        raise ValueError(
            f"Line {number} of the camera poses has focal lengths {quoted(pose.fx)} and {quoted(pose.fy)}; they must be "
            f"at least {SHORTEST_FOCAL:g}."
        )
    return pose


def pluecker_rays(poses: Poses, height: int, width: int, device: torch.device | None = None) -> Tensor:
    """Each pixel's line of sight, relative to the first pose.

    Args:
        poses: F poses.
        height: H of the rendered picture.
        width: W of the rendered picture.
        device: where the rays are computed.

    Returns:
        (F, 6, H, W) float32: o x d, then d, for the camera's place o and the ray's unit direction d through the
        centre of the pixel, in the axes of the first camera. Focal lengths are fitted to a picture that was cut to
        H x W from one of the poses' aspect, as the authors cut theirs.

    Source:
        hehao13/CameraCtrl ``inference.py``: ``get_relative_pose``, ``ray_condition`` and the rescaling in ``main``.
    """
    # Inverses in double precision on the CPU: some devices have none, and F matrices are nothing.
    matrices = _matrices(poses)
    camera_to_first = (matrices[0] @ matrices.inverse()).float()
    camera_to_first[0] = torch.eye(4)
    camera_to_first = camera_to_first.to(device)
    fx, fy, cx, cy = _intrinsics(poses, height, width).to(device).T.unsqueeze(-1)
    x = (torch.arange(width, device=device) + 0.5 - cx) / fx
    y = (torch.arange(height, device=device) + 0.5 - cy) / fy
    shape = (len(poses), height, width)
    rays = torch.stack((x[:, None, :].expand(shape), y[:, :, None].expand(shape), torch.ones(shape, device=device)), -1)
    rays = normalize(rays, dim=-1)
    rotation, place = camera_to_first[:, :3, :3], camera_to_first[:, :3, 3]
    direction = torch.einsum("fij,fhwj->fihw", rotation, rays)
    moment = torch.cross(place[:, :, None, None].expand_as(direction), direction, dim=1)
    return torch.cat((moment, direction), dim=1)


def _intrinsics(poses: Poses, height: int, width: int) -> Tensor:
    """(F, 4) float32 fx, fy, cx and cy in pixels of a picture of H x W."""
    rows: list[list[float]] = []
    for pose in poses:
        wider = pose.aspect / (width / height)
        fx, fy = (pose.fx * wider, pose.fy) if wider > 1 else (pose.fx, pose.fy / wider)
        rows.append([fx * width, fy * height, pose.cx * width, pose.cy * height])
    return torch.tensor(rows)


def with_camera(poses: Poses, **fields: float) -> Poses:
    """The same motion seen by another camera: any of fx, fy, cx, cy and aspect."""
    return tuple(replace(pose, **fields) for pose in poses)


def _matrices(poses: Sequence[CameraPose]) -> Tensor:
    """(F, 4, 4) float64 world-to-camera matrices."""
    rows = torch.tensor([pose.world_to_camera for pose in poses], dtype=torch.float64).view(-1, 3, 4)
    bottom = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64).expand(len(poses), 1, 4)
    return torch.cat((rows, bottom), dim=1)


def _placed(pose: CameraPose, matrix: Tensor) -> CameraPose:
    return replace(pose, world_to_camera=_numbers(matrix[:3]))


def _numbers(matrix: Tensor) -> tuple[float, ...]:
    # torch says a list, not of what
    return tuple(cast("list[float]", matrix.flatten().tolist()))  # pyright: ignore[reportUnknownMemberType]
