"""Things besides motion modules that act in a UNet call: condition images and camera poses.

Shapes: B = chunks (conditionings in one call), F = frames of a chunk, C = channels, H, W = size of a feature map.
"""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from comfy.model_base import BaseModel
from comfy.model_patcher import ModelPatcher
from torch import Tensor, nn

from ..motion_models.call import PoseMerge
from ..motion_models.network import MotionNetwork
from ..motion_models.spec import Place as Part

Place = tuple[Part, int]


@dataclass(frozen=True, eq=False)
class ChunkInfo:
    """The UNet call a guide prepares for.

    Attributes:
        frames: global frame numbers of one chunk, F of them.
        total: frames of the clip.
        chunks: B; the batch holds all frames of one chunk, then those of the next.
        x: (B * F, C, H, W) noisy latents as the UNet gets them.
        base: the model about to run.
        cache: lives as long as the sampling run, for what does not change between steps.
    """

    frames: tuple[int, ...]
    total: int
    chunks: int
    x: Tensor
    base: BaseModel
    cache: MutableMapping[Any, Any]


@dataclass(frozen=True, eq=False)
class Guidance:
    """What a guide adds in one UNet call; tensors of F rows are repeated for each chunk.

    Attributes:
        first_block: (F or B * F, C, H, W), added to the output of the UNet's first convolution.
        before: (F or B * F, C, H, W) by block, added to what enters the block's motion module.
        poses: camera features by block.
    """

    first_block: Tensor | None = None
    before: Mapping[Place, Tensor] = field(default_factory=dict)
    poses: Mapping[Place, PoseMerge] = field(default_factory=dict)


class Guide(Protocol):
    """A frozen dataclass carried in `MotionSettings`; it keeps nothing of a run but what it puts in the cache."""

    @property
    def patcher(self) -> ModelPatcher | None:
        """Weights of its own that load with the run; None when they are part of the motion network."""
        ...

    def prepare(self, network: MotionNetwork, own: nn.Module | None, chunk: ChunkInfo) -> Guidance:
        """What to add in one UNet call.

        Args:
            network: the motion network the guide was applied with.
            own: the loaded network of ``patcher``, None without one.
            chunk: the call.
        """
        ...


def for_chunks(rows: Tensor, batch: int) -> Tensor:
    """(F or B * F, ...) rows as (B * F, ...) for a batch of B * F."""
    return rows if rows.shape[0] == batch else rows.repeat(batch // rows.shape[0], *[1] * (rows.ndim - 1))
