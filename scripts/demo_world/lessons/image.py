"""Image training from nothing: single pictures, both noise tables, so that the network works with and without motion.

Shapes: B = pictures of a step, S = 16.
"""

from __future__ import annotations

# The checkout becomes the package zoetrope at run time.
# pyright: reportMissingImports=false
import argparse
from dataclasses import dataclass

import torch
from torch import Tensor

from zoetrope.training.losses import min_snr_weight

from .. import sprites
from ..layout import UNET
from ..narrow import image_network
from ..text import NOTHING, encodings
from . import noise
from .fit import Task, add_fit_arguments, fit

BATCH = 16
DROPOUT = 0.1
SNR_LIMIT = 2.0
WORLD_SEED, STEP_SEED = 15, 16
TABLES = (False, True)  # SD1.5's noise levels, those of motion models


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Everything random of a step.

    Attributes:
        latents: (B, 4, S, S).
        eps: the noise, of the same shape.
        sigma: noise levels (B,).
        times: steps of the noise table (B,).
        context: encoded captions (B, 77, 768).
        hints: outlines (B, 3, 8S, 8S).
    """

    latents: Tensor
    eps: Tensor
    sigma: Tensor
    times: Tensor
    context: Tensor
    hints: Tensor | None = None

    def noisy(self) -> Tensor:
        """What the network gets: (B, 4, S, S) of spread 1."""
        level = self.sigma[:, None, None, None]
        return (self.latents + level * self.eps) / (level**2 + 1).sqrt()

    def loss(self, guess: Tensor) -> tuple[Tensor, Tensor]:
        """Weighted and plain squared error of the guessed noise."""
        error = (guess - self.eps).square().mean((1, 2, 3))
        return (error * min_snr_weight(self.sigma, SNR_LIMIT)).mean(), error.mean()


def draw_batch(step: int, texts: dict[str, Tensor], seed: int, with_hints: bool = False) -> Batch:
    """The batch of a step, a pure function of its number.

    Args:
        step: from 0.
        texts: encodings by caption.
        seed: of the pictures; noise and the rest take the one behind it.
        with_hints: draw outlines as well.
    """
    drawn = [sprites.picture(seed, step * BATCH + i) for i in range(BATCH)]
    generator = sprites.generator_of(seed + 1, step)
    captions = [sprite.caption for _, sprite, _ in drawn]
    for i in torch.nonzero(torch.rand(BATCH, generator=generator) < DROPOUT).flatten().tolist():
        captions[i] = NOTHING[int(torch.randint(len(NOTHING), (), generator=generator))]
    times = torch.randint(noise.STEPS, (BATCH,), generator=generator)
    tables = torch.stack([noise.sigmas(straight) for straight in TABLES])
    table = torch.randint(len(TABLES), (BATCH,), generator=generator)
    latents = torch.cat([latent for latent, _, _ in drawn])
    return Batch(
        latents=latents,
        eps=torch.randn(latents.shape, generator=generator),
        sigma=tables[table, times],
        times=times.float(),
        context=torch.cat([texts[caption] for caption in captions]),
        hints=torch.cat([sprites.outline(sprite, centre) for _, sprite, centre in drawn]) if with_hints else None,
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_fit_arguments(parser, 2500)


def run(options: argparse.Namespace) -> None:
    texts = encodings(options.folder / "texts.safetensors")
    unet = image_network()

    def loss(step: int) -> tuple[Tensor, Tensor]:
        batch = draw_batch(step, texts, WORLD_SEED)
        return batch.loss(unet(batch.noisy(), batch.times, context=batch.context))

    task = Task(name="image", prefix=UNET, network=unet, loss=loss, learning_rate=1.5e-3, seed=WORLD_SEED)
    fit(task, options.folder, options.steps, options.save_every)
