"""Noise of a clip: how the frames' noise is drawn, and how frames share it.

Shapes: N = frames of the clip, F = some of them, C = latent channels, H, W = latent size.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..inputs.quoting import quoted

NOISE_TYPES = ("default", "freenoise", "repeated", "constant")
SEEDS = 2**64  # seeds are counted modulo this, as wide as ComfyUI's seed widget


@dataclass(frozen=True, kw_only=True)
class NoiseSettings:
    """What the noise of a run looks like.

    Attributes:
        kind: one of NOISE_TYPES.
        blend: weight of the shared noise against the frame's own, 0 to 1.
        length: frames of a window, for ``freenoise`` and ``repeated``.
        overlap: frames that neighbouring windows share, for ``freenoise``.
        seed_offset: added to the seed of the run.
        frame_seeds: frame ``i`` is drawn from the run's seed plus ``i``.
    """

    kind: str = "freenoise"
    blend: float = 1.0
    length: int = 16
    overlap: int = 4
    seed_offset: int = 0
    frame_seeds: bool = False

    def validate(self) -> None:
        """Check the settings against each other.

        Raises:
            ValueError: unknown type, weight or window out of range, or an overlap that leaves no way forward.
        """
        if self.kind not in NOISE_TYPES:
            raise ValueError(f"Unknown noise_type {quoted(self.kind)}; choose one of {', '.join(NOISE_TYPES)}.")
        if not 0 <= self.blend <= 1:
            raise ValueError(f"blend {self.blend} must lie between 0 and 1.")
        if self.length < 1:
            raise ValueError(f"window_length {self.length} must be at least 1.")
        if self.kind == "freenoise" and not 0 <= self.overlap < self.length:
            raise ValueError(
                f"window_overlap {self.overlap} must be smaller than window_length {self.length}, and not negative."
            )


def clip_noise(settings: NoiseSettings, noise: Tensor, seed: int) -> Tensor:
    """Noise of a run.

    Args:
        settings: what it looks like.
        noise: (N, C, H, W) unit noise that was drawn for the run.
        seed: of the run.

    Returns:
        (N, C, H, W) unit noise. ``noise`` itself is rearranged where it can be, so that a clip whose frames have
        numbers of their own (ComfyUI's ``batch_index``) keeps them; it is drawn anew for ``seed_offset`` and
        ``frame_seeds``.
    """
    seed = (seed + settings.seed_offset) % SEEDS
    if settings.frame_seeds:
        noise = torch.cat([draw_like(noise[:1], seed + frame) for frame in range(len(noise))])
    elif settings.seed_offset:
        noise = draw_like(noise, seed)
    return share(noise, noise_sources(settings, len(noise), seed), settings.blend)


def draw_like(noise: Tensor, seed: int) -> Tensor:
    """Gaussian noise of the shape, type and device of ``noise``.

    Source:
        ComfyUI ``comfy/sample.py``, ``prepare_noise``: drawn on the CPU in float32, so it is the same on all devices.
        Unlike that function this one leaves torch's global generator alone.
    """
    generator = torch.Generator("cpu").manual_seed(seed % SEEDS)
    return torch.randn(noise.shape, generator=generator, dtype=torch.float32).to(noise)


def derived_seed(seed: int, purpose: str) -> int:
    """A seed whose noise has nothing to do with that of the run, of its neighbours or of other purposes."""
    return int.from_bytes(hashlib.sha256(f"{seed} {purpose}".encode()).digest()[:8], "big")


def frame_noise(seed: int, frames: Sequence[int], shape: Sequence[int], draws: Sequence[int] | None = None) -> Tensor:
    """Noise that belongs to frame numbers, so that a clip sampled piece by piece gets the same as in one go.

    Args:
        seed: of the run.
        frames: F frame numbers; negative ones are frames before the clip.
        shape: (C, H, W) of one frame.
        draws: for each frame which of its independent noises; the first of all if None.

    Returns:
        (F, C, H, W) unit noise, float32 on the CPU. A frame's rows depend on the seed, its number and the draw only.
    """
    row = torch.empty((1, *shape))
    draws = [0] * len(frames) if draws is None else draws
    seeds = (derived_seed(seed, f"frame {frame} draw {draw}") for frame, draw in zip(frames, draws, strict=True))
    return torch.cat([draw_like(row, one) for one in seeds])


def noise_sources(settings: NoiseSettings, total: int, seed: int) -> list[int]:
    """For each of ``total`` frames the frame whose noise it gets.

    Source:
        ``freenoise``: Qiu et al. 2023, FreeNoise (arXiv 2310.15169), with the order of frames of ComfyUI
        ``comfy/context_windows.py``, ``apply_freenoise``: what a window adds to the one before it repeats, shuffled,
        the noise of as many frames one window earlier.
    """
    if settings.kind == "constant":
        return [0] * total
    if settings.kind == "repeated":
        return [frame % settings.length for frame in range(total)]
    sources = list(range(total))
    if settings.kind == "freenoise":
        generator = torch.Generator("cpu").manual_seed(seed)
        step = settings.length - settings.overlap
        for start in range(0, total - settings.length, step):
            place = start + settings.length
            count = min(step, total - place)
            order = torch.randperm(count, generator=generator)
            sources[place : place + count] = [sources[start + int(index)] for index in order]
    return sources


def share(noise: Tensor, sources: Sequence[int], blend: float) -> Tensor:
    """Give frames the noise of other frames, in part.

    Args:
        noise: (N, C, H, W) unit noise, independent between frames or equal.
        sources: for each frame the frame whose noise it gets.
        blend: weight of that noise; the frame's own makes up the rest.

    Returns:
        (N, C, H, W) noise whose variance is 1 at any ``blend``: the weights are square roots, and a frame whose
        shared noise is its own already keeps it.
    """
    shared = noise[list(sources)]
    own = (shared == noise).flatten(1).all(1).view(-1, 1, 1, 1)
    return torch.where(own, noise, shared * blend**0.5 + noise * (1 - blend) ** 0.5)
