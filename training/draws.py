"""Everything random of a training, as a pure function of the seed, the step, the UNet call within the step and the process.

So a training that goes on after a stop draws what it would have drawn, and nothing of the past has to be kept.

Shapes: F = frames of a drawn clip, N = frames of a stored clip.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Generator, Tensor

from .clips import TrainingClip

Thing = TypeVar("Thing")
TIMESTEPS = 1000  # noise levels of every published schedule


@dataclass(frozen=True, kw_only=True)
class ClipDraw:
    """What is drawn for one clip of a UNet call.

    Attributes:
        clip: its place in the set.
        numbers: of its F frames.
        flipped: take it mirrored.
        timestep: its noise level, 0 to 999; all frames of a clip have the same.
        captioned: give the UNet its caption, else "".
        debias_frame: the frame that the debiased loss takes away from all others, 0 to F - 1.
    """

    clip: int
    numbers: tuple[int, ...]
    flipped: bool
    timestep: int
    captioned: bool
    debias_frame: int


@dataclass(frozen=True, kw_only=True)
class BatchDraw:
    """What is drawn for one UNet call.

    Attributes:
        clips: all of one size; those of this process.
        noise_seed: of the call's noise.
        first: place of the first of them in the batch of all processes.
        whole: clips in that batch.
    """

    clips: tuple[ClipDraw, ...]
    noise_seed: int
    first: int
    whole: int

    def noise(self, shape: Sequence[int]) -> Tensor:
        """Normal noise of a shape whose first number is that of ``clips``.

        In float32, drawn on the CPU for the clips of all processes, so that it is the same on every device and however the
        batch is shared out.
        """
        drawn = torch.randn((self.whole, *shape[1:]), generator=Generator().manual_seed(self.noise_seed))
        return drawn[self.first : self.first + shape[0]]


class Draws:
    """The draws of a training.

    Args:
        clips: of the set.
        flips: they are there mirrored as well.
        frames: F.
        stride: stored frames from one drawn frame to the next.
        batch: clips in a UNet call of one process.
        accumulation: UNet calls in a step.
        text_dropout: share of clips without caption.
        timesteps: the lowest and the highest noise level.
        seed: of everything.
        processes: that train together; each draws the clips of all and takes its own, so that n of them draw what one
            with n times the batch draws.
        rank: of this process.
    """

    def __init__(
        self,
        clips: Sequence[TrainingClip],
        *,
        flips: bool,
        frames: int,
        stride: int,
        batch: int,
        accumulation: int,
        text_dropout: float,
        timesteps: tuple[int, int],
        seed: int,
        processes: int = 1,
        rank: int = 0,
    ) -> None:
        self.clips, self.flips = clips, flips
        self.frames, self.stride = frames, stride
        self.batch, self.accumulation = batch, accumulation
        self.whole, self.first = batch * processes, batch * rank
        self.text_dropout, self.timesteps, self.seed = text_dropout, timesteps, seed
        self.sizes: dict[tuple[int, int], list[int]] = {}
        for number, clip in enumerate(clips):
            self.sizes.setdefault((clip.height, clip.width), []).append(number)
        self.calls_of_epoch = sum(-(-len(numbers) // self.whole) for numbers in self.sizes.values())

    def at(self, step: int, call: int) -> BatchDraw:
        """What UNet call ``call`` of step ``step`` gets, both from 0."""
        epoch, place = divmod(step * self.accumulation + call, self.calls_of_epoch)
        generator = seeded(self.seed, "call", step, call)
        drawn = tuple(self._clip(number, generator) for number in self._epoch(epoch)[place])
        return BatchDraw(
            clips=drawn[self.first : self.first + self.batch],
            noise_seed=_number(self.seed, "noise", step, call),
            first=self.first,
            whole=self.whole,
        )

    def _epoch(self, epoch: int) -> list[list[int]]:
        """Clips of each UNet call of an epoch: every clip once; calls of a size that lack clips get its first ones again."""
        generator = seeded(self.seed, "epoch", epoch)
        calls: list[list[int]] = []
        for numbers in self.sizes.values():
            order = _shuffled(numbers, generator)
            missing = -len(order) % self.whole
            order += [order[i % len(order)] for i in range(missing)]
            calls += [order[start : start + self.whole] for start in range(0, len(order), self.whole)]
        return _shuffled(calls, generator)

    def _clip(self, number: int, generator: Generator) -> ClipDraw:
        def below(limit: int) -> int:
            return int(torch.randint(limit, (), generator=generator))

        def share() -> float:
            return float(torch.rand((), dtype=torch.float64, generator=generator))

        # All are drawn whatever is used, so that one setting does not change what another one draws.
        place, flip, timestep, caption, frame = share(), share(), below(TIMESTEPS), share(), below(self.frames)
        lowest, highest = self.timesteps
        return ClipDraw(
            clip=number,
            numbers=frame_numbers(self.clips[number].frames, self.frames, self.stride, place),
            flipped=self.flips and flip < 0.5,
            timestep=lowest + timestep * (highest - lowest + 1) // TIMESTEPS,
            captioned=caption >= self.text_dropout,
            debias_frame=frame,
        )


def _shuffled(things: Sequence[Thing], generator: Generator) -> list[Thing]:
    return [things[int(i)] for i in torch.randperm(len(things), generator=generator)]


def frame_numbers(stored: int, frames: int, stride: int, place: float) -> tuple[int, ...]:
    """Which frames of a stored clip are drawn.

    Args:
        stored: N, at least F.
        frames: F.
        stride: from one to the next; less where the clip is too short for it.
        place: of the first one among all that are possible, 0 to below 1.

    Source:
        guoyww/AnimateDiff ``animatediff/data/dataset.py``, ``WebVid10M.get_batch``.
    """
    length = min(stored, (frames - 1) * stride + 1)
    first = int(place * (stored - length + 1))
    return tuple(np.linspace(first, first + length - 1, frames, dtype=int).tolist())


def seeded(*parts: object) -> Generator:
    """A generator for one purpose, that of no other."""
    return Generator().manual_seed(_number(*parts))


def _number(*parts: object) -> int:
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1
