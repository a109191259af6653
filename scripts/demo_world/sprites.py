"""The world: a soft ball or box in red, green or blue on one fixed ground, as latents of 16x16 (128x128 pixels).

Everything is a pure function of (seed, number), so that training can be resumed and repeated without stored data.

Shapes: F = frames, B = pictures, S = 16, the side of a latent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from toy_models.vae import RGB

SIDE = 16
COLOURS = {"red": (0.85, -0.55, -0.45), "green": (-0.55, 0.65, -0.45), "blue": (-0.50, -0.35, 0.95)}
SHAPES = ("ball", "box")
GROUND = (-0.50, -0.50, -0.40)
INTO_LATENT = torch.linalg.pinv(RGB)  # (3, 4)
BALL_RADIUS, BOX_HALF = 3.1, 2.8  # latent pixels
SOFTNESS = 0.7  # width of an edge, in latent pixels
PIXELS, LINE = 8, 0.75  # pixels of a latent one; half the width of an outline, in pixels
MARGIN = 2.0  # centres stay this far inside the picture


@dataclass(frozen=True)
class Sprite:
    """What is drawn.

    Attributes:
        colour: a key of ``COLOURS``.
        shape: one of ``SHAPES``.
    """

    colour: str
    shape: str

    @property
    def caption(self) -> str:
        """The prompt that names it."""
        return f"a {self.colour} {self.shape}"


SPRITES = tuple(Sprite(colour, shape) for colour in COLOURS for shape in SHAPES)
CAPTIONS = tuple(sprite.caption for sprite in SPRITES)


@dataclass(frozen=True, kw_only=True)
class Moves:
    """Which straight moves clips have.

    Attributes:
        slowest: latent pixels a frame.
        fastest: latent pixels a frame.
        direction: angle in degrees, 0 is to the right and 90 down; None is any.
    """

    slowest: float
    fastest: float
    direction: float | None = None


def inside(sprite: Sprite, centres: Tensor, side: int = SIDE) -> Tensor:
    """How far inside the sprite each point of a grid is, in latent pixels; negative outside.

    Args:
        sprite: its shape counts.
        centres: (B, 2), x and y in latent pixels, 0 at the outer edge of the first.
        side: points along a side of the picture.

    Returns:
        (B, side, side).
    """
    along = (torch.arange(side) + 0.5) * (SIDE / side)
    x = (along[None, None, :] - centres[:, 0, None, None]).abs()
    y = (along[None, :, None] - centres[:, 1, None, None]).abs()
    return BALL_RADIUS - torch.sqrt(x**2 + y**2) if sprite.shape == "ball" else BOX_HALF - torch.maximum(x, y)


def outline(sprite: Sprite, centres: Tensor) -> Tensor:
    """A white outline on black, as an edge detector draws it: (B, 3, 8S, 8S), 0 to 1."""
    line = inside(sprite, centres, SIDE * PIXELS).abs() < LINE / PIXELS
    return line.float()[:, None].expand(-1, 3, -1, -1)


def draw(sprite: Sprite, centres: Tensor) -> Tensor:
    """Latents of a sprite at places.

    Args:
        sprite: what.
        centres: see `inside`.

    Returns:
        (B, 4, S, S), in the scale that a UNet of SD1.5 works in.
    """
    ground, colour = torch.tensor(GROUND) @ INTO_LATENT, torch.tensor(COLOURS[sprite.colour]) @ INTO_LATENT
    covered = torch.sigmoid(inside(sprite, centres) * (4.0 / SOFTNESS))[:, None]
    return ground[:, None, None] + covered * (colour - ground)[:, None, None]


def generator_of(seed: int, number: int) -> torch.Generator:
    """The random numbers of one picture, clip or step."""
    return torch.Generator().manual_seed(seed * 1_000_003 + number)


def _uniform(generator: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * torch.rand((), generator=generator).item()


def sprite_of(generator: torch.Generator) -> Sprite:
    """What a picture or clip shows, the first thing that is drawn for it."""
    return SPRITES[int(torch.randint(len(SPRITES), (), generator=generator))]


def picture(seed: int, number: int) -> tuple[Tensor, Sprite, Tensor]:
    """One picture of the world.

    Returns:
        Latent (1, 4, S, S), what it shows, and the centre (1, 2).
    """
    generator = generator_of(seed, number)
    sprite = sprite_of(generator)
    centres = MARGIN + (SIDE - 2 * MARGIN) * torch.rand(1, 2, generator=generator)
    return draw(sprite, centres), sprite, centres


def path(generator: torch.Generator, frames: int, moves: Moves) -> Tensor:
    """Centres of a straight move that stays inside the picture.

    Args:
        generator: of the clip.
        frames: F.
        moves: the speeds and directions it may have.

    Returns:
        (F, 2).

    Raises:
        ValueError: the fastest move is longer than the picture is wide.
    """
    room = SIDE - 2 * MARGIN
    if moves.fastest * (frames - 1) > room:
        raise ValueError(
            f"{frames} frames at {moves.fastest:g} latent pixels a frame leave the picture; at most {room / (frames - 1):.2f}."
        )
    speed = _uniform(generator, moves.slowest, moves.fastest)
    turn = _uniform(generator, 0.0, 360.0)
    angle = math.radians(turn if moves.direction is None else moves.direction)
    step = torch.tensor([math.cos(angle), math.sin(angle)]) * speed
    span = step * (frames - 1)
    start = MARGIN + (-span).clamp(min=0) + torch.rand(2, generator=generator) * (room - span.abs())
    return start + step * torch.arange(frames)[:, None]


def clip(seed: int, number: int, frames: int, moves: Moves) -> tuple[Tensor, Sprite, Tensor]:
    """One clip of the world.

    Args:
        seed: of the set.
        number: of the clip.
        frames: F.
        moves: the speeds and directions it may have.

    Returns:
        Latents (F, 4, S, S), what they show, and the centres (F, 2).
    """
    generator = generator_of(seed, number)
    sprite = sprite_of(generator)
    centres = path(generator, frames, moves)
    return draw(sprite, centres), sprite, centres


def colours_of(latents: Tensor) -> Tensor:
    """Red, green and blue of latents as ComfyUI's preview shows them.

    Args:
        latents: (B, 4, S, S).

    Returns:
        (B, 3, S, S), 0 to 1.
    """
    return ((torch.einsum("bchw,cr->brhw", latents, RGB) + 1) / 2).clamp(0, 1)
