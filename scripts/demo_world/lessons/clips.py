"""Clips of the world as the pack's trainer takes them.

Shapes: F = frames that are read, h, w = size of a latent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor
from toy_models.vae import SCALE

from ..sprites import SIDE, Moves, clip, generator_of, sprite_of

CLIPS = 4096  # then they come again


@dataclass(frozen=True, kw_only=True)
class WorldClip:
    """One clip; it is drawn when it is read."""

    name: str
    caption: str
    frames: int
    height: int = SIDE
    width: int = SIDE


class WorldClips:
    """A set of clips that needs no memory.

    Args:
        seed: of the set.
        frames: of each clip.
        moves: its speeds and directions.
        texts: encodings (1, 77, 768) by caption.
    """

    flips = False

    def __init__(self, seed: int, frames: int, moves: Moves, texts: Mapping[str, Tensor]) -> None:
        self.seed, self.frames, self.moves, self.texts = seed, frames, moves, texts
        self.digest = f"{seed} {frames} {moves}"
        captions = [sprite_of(generator_of(seed, number)).caption for number in range(CLIPS)]
        self.clips: Sequence[WorldClip] = [
            WorldClip(name=str(number), caption=caption, frames=frames) for number, caption in enumerate(captions)
        ]

    def latents(self, clip_number: int, numbers: Sequence[int], flipped: bool = False) -> Tensor:
        """Frames of a clip, (F, 4, h, w)."""
        latents, _, _ = clip(self.seed, clip_number, self.frames, self.moves)
        return latents[list(numbers)] / SCALE

    def text(self, caption: str) -> dict[str, Tensor]:
        """What the text encoder says to a caption."""
        return {"cross_attn": self.texts[caption]}
