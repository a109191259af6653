"""Clips with an exact camera move, cut out of one picture.

The camera's view is a rectangle on the picture that is scaled, moved and turned from frame to frame. Its size is the
largest with which no view of the clip leaves the picture, so there are no borders to fill.

Shapes: F = frames, H, W = size of a frame in pixels, P, Q = rows and columns of the picture, C = channels.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ...inputs.quoting import plain, quoted, quoted_names
from ...temporal.frame_keys import EASINGS

# Which part of a view changes as the camera moves, and in which direction: (zoom, across, down, turn).
CAMERA_MOVES: dict[str, tuple[int, int, int, int]] = {
    "zoom_in": (1, 0, 0, 0),
    "zoom_out": (-1, 0, 0, 0),
    "pan_left": (0, -1, 0, 0),
    "pan_right": (0, 1, 0, 0),
    "tilt_up": (0, 0, -1, 0),
    "tilt_down": (0, 0, 1, 0),
    "roll_clockwise": (0, 0, 0, 1),
    "roll_anticlockwise": (0, 0, 0, -1),
    "static": (0, 0, 0, 0),
}
MOVE_EASINGS = tuple(name for name in EASINGS if name != "hold")
LARGEST_AMOUNT = 3.0
QUARTER = math.pi / 2


@dataclass(frozen=True, kw_only=True)
class CameraMove:
    """What the camera does in a clip.

    Attributes:
        motion: one of `CAMERA_MOVES`, said of the camera: with pan_right things move to the left, with roll_clockwise
            they turn anticlockwise.
        amount: over the whole clip: the picture grows or shrinks by the factor 1 + amount, the camera moves by so many
            widths (pan) or heights (tilt) of a frame, or turns by so many quarters of a turn.
        ease: one of `MOVE_EASINGS`, how the way is spread over the clip; a zoom has one speed where the scale changes by
            one factor from frame to frame.
        frames: F.
    """

    motion: str
    amount: float
    ease: str
    frames: int

    def check(self) -> None:
        """Raise a ValueError for a move that cannot be made."""
        if self.motion not in CAMERA_MOVES:
            raise ValueError(f"motion is {quoted(self.motion)}: choose one of {quoted_names(CAMERA_MOVES)}.")
        if self.ease not in MOVE_EASINGS:
            raise ValueError(f"ease is {quoted(self.ease)}: choose one of {quoted_names(MOVE_EASINGS)}.")
        if not 0 <= self.amount <= LARGEST_AMOUNT:
            raise ValueError(f"amount is {plain(self.amount)}: give 0 to {LARGEST_AMOUNT:g}.")
        if self.frames < 1:
            raise ValueError(f"frames is {plain(self.frames)}: give 1 or more.")


def camera_views(move: CameraMove, picture: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Where each frame lies on the picture.

    Args:
        move: what the camera does.
        picture: (width, height) in pixels.
        size: (width, height) of a frame.

    Returns:
        (F, 2, 3) float64, each of which takes a place in the frame to a place in the picture; both are measured in pixels from
        the centre, to the right and down.

    Raises:
        ValueError: there is no such move.
    """
    move.check()
    zoom, across, down, turn = CAMERA_MOVES[move.motion]
    last = max(move.frames - 1, 1)
    shares = torch.tensor([EASINGS[move.ease](frame / last) for frame in range(move.frames)], dtype=torch.float64)
    centred = move.amount * (shares - 0.5)  # the way is the same to both sides of the picture's centre
    scale = (1 + move.amount) ** (-zoom * shares)
    angle = QUARTER * turn * centred
    turns = torch.stack((angle.cos(), -angle.sin(), angle.sin(), angle.cos()), dim=1).view(-1, 2, 2)
    way = torch.stack((across * size[0] * centred, down * size[1] * centred), dim=1)
    views = torch.cat((scale[:, None, None] * turns, way[:, :, None]), dim=2)
    return views * _largest(views, picture, size)


def _largest(views: Tensor, picture: tuple[int, int], size: tuple[int, int]) -> float:
    """The factor by which all views (F, 2, 3) are as large as the picture allows."""
    corners = torch.tensor([[x * size[0] / 2, y * size[1] / 2, 1.0] for x in (-1, 1) for y in (-1, 1)])
    reached = (views @ corners.double().T).abs().amax(dim=(0, 2))
    return min(picture[0] / 2 / float(reached[0]), picture[1] / 2 / float(reached[1]))


def camera_frames(picture: Tensor, views: Tensor, size: tuple[int, int]) -> Iterator[Tensor]:
    """The frames of a camera move, one at a time.

    A picture with more detail than a frame can show is scaled down first, and each frame is averaged from several
    samples a pixel where it still is finer, so that nothing flickers.

    Args:
        picture: (P, Q, C), 0 to 1.
        views: (F, 2, 3) of `camera_views`.
        size: (width, height) of a frame.

    Returns:
        F frames (H, W, C) float32.
    """
    height, width = picture.shape[:2]
    planes = picture.movedim(-1, 0)[None].float()
    finest = float(_pixels_each(views).min())
    if finest > 1:
        smaller = max(1, round(height / finest)), max(1, round(width / finest))
        planes = functional.interpolate(planes, smaller, mode="bilinear", antialias=True, align_corners=False)
    from_pixels = torch.tensor([[2 / width], [2 / height]], dtype=torch.float64)
    to_pixels = torch.tensor([size[0] / 2, size[1] / 2, 1.0], dtype=torch.float64)
    for view in views:
        samples = max(1, math.ceil(float(_pixels_each(view[None])) / max(finest, 1.0) - 1e-6))
        shape = [1, planes.shape[1], size[1] * samples, size[0] * samples]
        theta = (from_pixels * view * to_pixels).float()[None]
        grid = functional.affine_grid(theta, shape, align_corners=False)
        frame = functional.grid_sample(planes, grid, mode="bicubic", padding_mode="border", align_corners=False)
        yield functional.avg_pool2d(frame, samples)[0].movedim(0, -1).clamp(0, 1)


def _pixels_each(views: Tensor) -> Tensor:
    """Pixels of the picture along a pixel of a frame, (F,) of (F, 2, 3)."""
    return (views[:, :, 0] ** 2).sum(dim=1).sqrt()
