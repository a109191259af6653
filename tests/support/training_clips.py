"""Small clips in memory that training takes like a set on disk."""

from dataclasses import dataclass, field

import torch

FRAMES, SIZE = 4, 16
CONTEXT_WIDTH = 16  # of the toy UNet


@dataclass(frozen=True)
class ToyClip:
    name: str
    caption: str
    frames: int = FRAMES
    height: int = SIZE
    width: int = SIZE


@dataclass
class ToyClips:
    """Seeded latents of clips; ``asked`` is what was read, as (clip, numbers, flipped)."""

    clips: tuple = (ToyClip("one", "a red ball"), ToyClip("two", "a box", 7), ToyClip("three", "a ball", 5))
    flips: bool = False
    digest: str = "toy clips"
    asked: list = field(default_factory=list)

    def latents(self, clip, numbers, flipped=False):
        self.asked.append((clip, tuple(numbers), flipped))
        info = self.clips[clip]
        generator = torch.Generator().manual_seed(100 + clip)
        stored = torch.randn((info.frames, 4, info.height, info.width), generator=generator) * 5
        stored = stored.flip(-1) if flipped else stored
        return stored[list(numbers)]

    def text(self, caption):
        generator = torch.Generator().manual_seed(len(caption))
        return {"cross_attn": torch.randn((1, 4, CONTEXT_WIDTH), generator=generator)}
