"""Clips with a camera move, made from the user's own pictures.

Shapes: B = pictures, H, W = size of a picture, C = channels.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ...inputs.quoting import plain
from ...training.data.camera_moves import CameraMove, camera_frames, camera_views
from ...video.encode.frame_arrays import to_uint8
from ..loading.digests import pictures_digest
from .sources import ClipSource, FoundSources, Frames, captions_for


@dataclass(frozen=True, kw_only=True)
class CameraClips:
    """Which clips are made.

    Attributes:
        motion: one of `CAMERA_MOVES`.
        amount_from: least amount of the move, see `CameraMove`.
        amount_to: largest; each clip draws its own between the two.
        ease: one of `MOVE_EASINGS`.
        frames: of a clip.
        count: clips; each takes the next picture, and after the last the first again.
        seed: of the amounts.
    """

    motion: str
    amount_from: float
    amount_to: float
    ease: str
    frames: int
    count: int
    seed: int

    def move(self, number: int) -> CameraMove:
        """The move of a clip."""
        draws = random.Random(f"{self.seed} {number}")  # seeded with text by SHA-512: the same on every system
        amount = draws.uniform(self.amount_from, self.amount_to)
        return CameraMove(motion=self.motion, amount=amount, ease=self.ease, frames=self.frames)


def camera_sources(images: Tensor, captions: Sequence[str], clips: CameraClips) -> FoundSources:
    """Clips of pictures.

    Args:
        images: (B, H, W, C), 0 to 1.
        captions: one each, one for all, or none.
        clips: which.

    Raises:
        ValueError: there is another number of captions, or no such move.
    """
    if clips.amount_from > clips.amount_to:
        raise ValueError(
            f"amount_from {plain(clips.amount_from)} is larger than amount_to {plain(clips.amount_to)}: exchange them."
        )
    if clips.count < len(images):
        raise ValueError(
            f"clips is {plain(clips.count)} for {len(images)} images: give at least one clip for each, or connect fewer."
        )
    given = captions_for(captions, len(images), "images")
    digests = [pictures_digest([picture]) for picture in images]
    sources: list[ClipSource] = []
    for number in range(clips.count):
        picture = number % len(images)
        move = clips.move(number)
        move.check()
        sources.append(_source(number, images[picture], digests[picture], given[picture], move))
    return FoundSources(tuple(sources))


def _source(number: int, picture: Tensor, digest: str, caption: str | None, move: CameraMove) -> ClipSource:
    own = picture.shape[1], picture.shape[0]

    def frames(size: tuple[int, int]) -> Frames:
        for frame in camera_frames(picture, camera_views(move, own, size), size):
            yield to_uint8(frame[None])[0]

    return ClipSource(
        name=f"{move.motion} {number + 1}",
        caption=caption,
        count=move.frames,
        size=own,
        facts={
            "picture": digest,
            "motion": move.motion,
            "amount": move.amount,
            "ease": move.ease,
            "frames": move.frames,
        },
        frames=frames,
    )
