"""Clips of any length from a queue of frames, each at a noise level of its own ("diagonal denoising").

The queue holds the frames that are under way: the first is nearly clean, the last is pure noise. An iteration denoises
every frame by one level, takes the first out as finished, moves the others up and appends fresh noise. Memory is that
of the queue, whatever the length of the clip.

Source: FIFO-Diffusion, Kim et al. 2024 (arXiv 2405.11473): diagonal denoising (3.1), latent partitioning (3.2) and
lookahead denoising (3.3).

Shapes: F = frames of a window, S = slots of the queue, C = latent channels, H, W = latent size.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..inputs.quoting import quoted
from .noise import frame_noise

# (latents (F, C, H, W), sigmas (F,), frame numbers) -> the clean latents the model expects, (F, C, H, W)
Predict = Callable[[Tensor, Tensor, list[int]], Tensor]
# (sigmas (F,), unit noise, clean latents, whether nothing of the clean latents is left) -> noisy latents
Renoise = Callable[[Tensor, Tensor, Tensor, bool], Tensor]


@dataclass(frozen=True, kw_only=True)
class FifoSettings:
    """What is made and how.

    Attributes:
        frames: of the clip.
        window: F, frames that the model sees together.
        partitions: windows that fit in the queue; there are ``partitions * window`` noise levels.
        lookahead: denoise each frame in a window of which it is in the noisier half; twice the work.
        sampler: one of SAMPLERS.
        seed: of all noise.
    """

    frames: int
    window: int = 16
    partitions: int = 4
    lookahead: bool = True
    sampler: str = "euler"
    seed: int = 0

    @property
    def levels(self) -> int:
        """Noise levels, and iterations that a frame spends in the queue."""
        return self.partitions * self.window

    @property
    def lead(self) -> int:
        """Finished frames that are kept in front of the queue, as cleaner neighbours of the first half window."""
        return self.window // 2 if self.lookahead else 0

    @property
    def slots(self) -> int:
        """S."""
        return self.lead + self.levels

    @property
    def warm_up(self) -> int:
        """Iterations before frame 0 is finished: the queue starts with copies of it in front."""
        return self.levels - self.window

    @property
    def iterations(self) -> int:
        """Iterations of the whole clip."""
        return self.warm_up + self.frames

    def validate(self) -> None:
        """Raise a ValueError whose sentence names the wrong value and the cure."""
        for name, value, least in (("frames", self.frames, 1), ("partitions", self.partitions, 1)):
            if value < least:
                raise ValueError(f"{name} {value} must be at least {least}.")
        if self.window < 2:
            raise ValueError(f"window {self.window} must be at least 2 frames; 16 suits most motion models.")
        if self.lookahead and self.window % 2:
            raise ValueError(
                f"window {self.window} cannot be halved, as lookahead does; use {self.window - 1} or {self.window + 1} "
                "frames, or switch lookahead off."
            )
        if self.sampler not in SAMPLERS:
            raise ValueError(f"Unknown sampler {quoted(self.sampler)}; choose one of {', '.join(SAMPLERS)}.")

    def blocks(self, iteration: int) -> list[tuple[int, int]]:
        """Windows over the queue that an iteration needs.

        Returns:
            (first slot, first slot that keeps its result); a window reaches over F slots. A result depends on slots of
            its own window only, and a frame moves up one slot an iteration, so the last iterations leave out windows
            that can no longer reach the last frame. That changes no frame of the clip.
        """
        advance = self.lead or self.window
        blocks = [(start, start + self.lead) for start in range(0, self.levels, advance)]
        return blocks[: self.iterations - iteration]

    def numbers(self, iteration: int) -> list[int]:
        """Frame number in each slot; negative before the clip, ``frames`` and more behind it."""
        first = iteration - self.warm_up - self.lead
        return list(range(first, first + self.slots))

    def inside(self, numbers: Sequence[int]) -> list[int]:
        """The same numbers, those outside the clip moved to its first or last frame."""
        return [min(max(number, 0), self.frames - 1) for number in numbers]


class Fifo:
    """The queue of one clip.

    Args:
        settings: valid settings.
        sigmas: (levels + 1,) falling noise levels with a 0 at the end.
        renoise: the model's way of adding noise.
    """

    def __init__(self, settings: FifoSettings, sigmas: Tensor, renoise: Renoise):
        self.settings, self.sigmas, self.renoise = settings, sigmas, renoise
        lead = sigmas.new_full((settings.lead,), float(sigmas[-2]))
        self.now = torch.cat([lead, sigmas[:-1].flip(0)])  # (S,) level of each slot
        self.after = torch.cat([torch.zeros_like(lead), sigmas[1:].flip(0)])  # (S,) level after its iteration
        self.queue: Tensor | None = None
        self.iteration = 0

    def noise(self, numbers: Sequence[int], like: Tensor, draws: Sequence[int] | None = None) -> Tensor:
        """Noise of frames with the size and device of ``like``."""
        return frame_noise(self.settings.seed, numbers, like.shape[1:], draws).to(like)

    def first_clip(self, predict: Predict, like: Tensor) -> Tensor:
        """A clip of F frames sampled the ordinary way, all frames at one level.

        Args:
            predict: the model.
            like: (F, C, H, W), for size, device and dtype.
        """
        numbers = list(range(self.settings.window))
        noise = self.noise(numbers, like, [-1] * len(numbers))
        x = self.renoise(self.sigmas[:1].expand(len(numbers)), noise, torch.zeros_like(like), True)
        for step in range(self.settings.levels):
            now, after = (self.sigmas[step + k].expand(len(numbers)) for k in (0, 1))
            denoised = predict(x, now, self.settings.inside(numbers))
            x = self._stepped(x, denoised, now, after, numbers, [-2 - step] * len(numbers))
        return x

    def fill(self, clip: Tensor) -> None:
        """Fill the queue: the clip in its last F slots, copies of its first frame before, noised to their levels.

        Args:
            clip: (F, C, H, W) clean latents.
        """
        settings = self.settings
        numbers = settings.numbers(0)
        clean = clip[[max(0, slot - (settings.slots - settings.window)) for slot in range(settings.slots)]]
        self.queue = self.renoise(self.now, self.noise(numbers, clip), clean, False)

    def iterate(self, predict: Predict) -> Tensor:
        """Denoise every frame by one level and move the queue up.

        Args:
            predict: the model.

        Returns:
            (1, C, H, W), the frame that left the queue; it is one of the clip when its number, ``iteration - warm_up``,
            is not negative.
        """
        assert self.queue is not None
        settings, queue = self.settings, self.queue
        numbers, done = settings.numbers(self.iteration), queue.clone()
        for start, keep in settings.blocks(self.iteration):
            window, kept = slice(start, start + settings.window), slice(keep, start + settings.window)
            denoised = predict(queue[window], self.now[window], settings.inside(numbers[window]))
            done[kept] = self._stepped(
                queue[kept],
                denoised[keep - start :],
                self.now[kept],
                self.after[kept],
                numbers[kept],
                range(kept.start + 1, kept.stop + 1),
            )
        fresh = self.noise([numbers[-1] + 1], queue)
        last = self.renoise(self.now[-1:], fresh, torch.zeros_like(fresh), True)
        self.queue = torch.cat([done[1:], last])
        self.iteration += 1
        return done[settings.lead : settings.lead + 1]

    def _stepped(
        self, x: Tensor, denoised: Tensor, now: Tensor, after: Tensor, numbers: Sequence[int], draws: Sequence[int]
    ) -> Tensor:
        """One step of each frame; ``draws`` are numbers of its fresh noise."""
        step = SAMPLERS[self.settings.sampler]
        return step(x, denoised, now, after, lambda: self.noise(numbers, x, draws), self.renoise)


SamplerStep = Callable[[Tensor, Tensor, Tensor, Tensor, Callable[[], Tensor], Renoise], Tensor]


def _column(sigmas: Tensor) -> Tensor:
    return sigmas.view(-1, 1, 1, 1)


def _euler(
    x: Tensor, denoised: Tensor, now: Tensor, after: Tensor, noise: Callable[[], Tensor], renoise: Renoise
) -> Tensor:
    """Euler's step, which is DDIM's: x + (x - denoised) / now * (after - now)."""
    return x + (x - denoised) / _column(now) * _column(after - now)


def _euler_ancestral(
    x: Tensor, denoised: Tensor, now: Tensor, after: Tensor, noise: Callable[[], Tensor], renoise: Renoise
) -> Tensor:
    """Euler to a lower level, then fresh noise up to ``after``.

    Source: k-diffusion ``get_ancestral_step`` with eta 1.
    """
    up = torch.minimum(after, (after**2 * (now**2 - after**2) / now**2).sqrt())
    down = (after**2 - up**2).sqrt()
    return _euler(x, denoised, now, down, noise, renoise) + noise() * _column(up)


def _lcm(
    x: Tensor, denoised: Tensor, now: Tensor, after: Tensor, noise: Callable[[], Tensor], renoise: Renoise
) -> Tensor:
    """The expected clean frame with fresh noise, as ComfyUI's lcm sampler."""
    return torch.where(_column(after) > 0, renoise(after, noise(), denoised, False), denoised)


SAMPLERS: dict[str, SamplerStep] = {"euler": _euler, "euler_ancestral": _euler_ancestral, "lcm": _lcm}
