"""What a clip of the world shows, as numbers: where the thing is, what it is, and whether it stays that.

Shapes: F = frames, S = 16.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity
from toy_models.vae import RGB

from .sprites import COLOURS, GROUND, INTO_LATENT, SHAPES, SIDE, Sprite, draw

FAINT = 0.5  # a pixel whose colour is nearer to the ground's is ground; the colours are 1.4 to 1.9 away from it


@dataclass(frozen=True, kw_only=True)
class ClipNumbers:
    """Of one clip; lengths are in latent pixels.

    Attributes:
        smooth: mean cosine of neighbouring frames, of what differs from the ground.
        path: mean length of a step of the thing's centre.
        straightness: distance of the first and the last centre over the length of the path between.
        flow: mean step, x and y.
        colour_spread: deviation of the thing's mean colour over the frames, mean of red, green and blue.
        ground_flicker: deviation of the mean colour of the ground over the frames.
        seen: share of frames in which there is a thing at all.
        colour: what most frames show.
        shape: what most frames show.
    """

    smooth: float
    path: float
    straightness: float
    flow: tuple[float, float]
    colour_spread: float
    ground_flicker: float
    seen: float
    colour: str
    shape: str


def linear_colours(latents: Tensor) -> Tensor:
    """Red, green and blue (F, 3, S, S) of latents (F, 4, S, S), -1 to 1 where a preview does not clip them."""
    return torch.einsum("fchw,cr->frhw", latents, RGB)


def weights_of_thing(colours: Tensor) -> Tensor:
    """How far each pixel is from the ground's colour, 0 where it is ground: (F, S, S)."""
    away = (colours - torch.tensor(GROUND)[:, None, None]).square().sum(dim=1).sqrt()
    return (away - FAINT).clamp(min=0)


def centres_of(weights: Tensor) -> Tensor:
    """Centres (F, 2) of weights (F, S, S), x and y."""
    total = weights.sum((1, 2)).clamp(min=1e-6)
    along = torch.arange(SIDE) + 0.5
    return torch.stack(((weights.sum(1) * along).sum(1), (weights.sum(2) * along).sum(1)), dim=1) / total[:, None]


def mean_colours(colours: Tensor, weights: Tensor) -> Tensor:
    """Colour (F, 3) of what has weight."""
    return (colours * weights[:, None]).sum((2, 3)) / weights.sum((1, 2)).clamp(min=1e-6)[:, None]


def colour_names(colours: Tensor) -> list[str]:
    """The nearest colour of the world for each of (F, 3)."""
    known = torch.tensor(list(COLOURS.values()))
    return [list(COLOURS)[int(i)] for i in torch.cdist(colours, known).argmin(dim=1)]


def shape_names(latents: Tensor, centres: Tensor, colours: list[str]) -> list[str]:
    """The shape that, drawn at the same place in the same colour, differs least from each frame."""
    names = []
    for latent, centre, colour in zip(latents, centres, colours, strict=True):
        errors = [(draw(Sprite(colour, shape), centre[None]) - latent).square().sum() for shape in SHAPES]
        names.append(SHAPES[int(torch.stack(errors).argmin())])
    return names


def most_common(names: list[str]) -> str:
    return max(sorted(set(names)), key=names.count)


def numbers_of(latents: Tensor) -> ClipNumbers:
    """Numbers of a clip's latents (F, 4, S, S), in the scale that a UNet works in."""
    colours = linear_colours(latents)
    weights = weights_of_thing(colours)
    centres, thing = centres_of(weights), mean_colours(colours, weights)
    steps = centres[1:] - centres[:-1]
    lengths = steps.norm(dim=1)
    ground = latents - (torch.tensor(GROUND) @ INTO_LATENT)[:, None, None]
    names = colour_names(thing)
    still = (weights == 0).float()
    flow = steps.mean(0).tolist()
    return ClipNumbers(
        smooth=cosine_similarity(ground[1:].flatten(1), ground[:-1].flatten(1)).mean().item(),
        path=lengths.mean().item(),
        straightness=((centres[-1] - centres[0]).norm() / lengths.sum().clamp(min=1e-6)).item(),
        flow=(flow[0], flow[1]),
        colour_spread=thing.std(dim=0).mean().item(),
        ground_flicker=mean_colours(colours, still).std(dim=0).mean().item(),
        seen=(weights.amax((1, 2)) > FAINT).float().mean().item(),
        colour=most_common(names),
        shape=most_common(shape_names(latents, centres, names)),
    )
