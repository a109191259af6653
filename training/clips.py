"""What training asks of a set of clips; a folder on disk answers it, and so can anything else.

Shapes: F = frames that are read, C = channels, h, w = size of a latent, T = tokens, D = width of the text encoder.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor


class TrainingClip(Protocol):
    """One clip of a set."""

    @property
    def name(self) -> str:
        """Of its source, for messages."""
        ...

    @property
    def caption(self) -> str:
        """What it shows."""
        ...

    @property
    def frames(self) -> int:
        """How many there are."""
        ...

    @property
    def height(self) -> int:
        """Of a latent."""
        ...

    @property
    def width(self) -> int:
        """Of a latent."""
        ...


class Clips(Protocol):
    """A set of clips as latents, with its encoded captions."""

    @property
    def clips(self) -> Sequence[TrainingClip]:
        """What is in the set."""
        ...

    @property
    def digest(self) -> str:
        """Another one where anything in the set is another."""
        ...

    @property
    def flips(self) -> bool:
        """Whether the clips are there mirrored as well."""
        ...

    def latents(self, clip: int, numbers: Sequence[int], flipped: bool = False) -> Tensor:
        """Frames ``numbers`` of a clip by its place in ``clips``: (F, C, h, w) float32, as the VAE encoded them."""
        ...

    def text(self, caption: str) -> Mapping[str, Tensor]:
        """``cross_attn`` (1, T, D) of a caption, and ``pooled_output`` where the text encoder has one; "" is always there."""
        ...
