"""What acts in a UNet call beside motion modules: condition images and camera poses.

Shapes: B = chunks (conditionings in one call), F = frames of a chunk (of all windows stacked in it), C = channels,
H, W = size of a feature map.
"""

from collections.abc import Callable, Hashable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from comfy.model_base import BaseModel
from comfy.model_patcher import ModelPatcher
from torch import Tensor, nn

from ...motion_models.networks.module_call import PoseMerge
from ...motion_models.networks.motion_module import MotionNetwork
from ...motion_models.networks.views import ViewGroup
from ...motion_models.spec import BlockIndex
from ..call.frames import CallFrames

# Features of a window of 16 frames at 512 x 512 are 76 MiB in fp16. Windows that move at every step would fill the
# device; what does not fit is encoded again, which for camera poses costs about 8 % of the arithmetic of the UNet call
# with CFG.
CACHED_BYTES = 2**29

Features = tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class CallInputs:
    """The UNet call that a conditioner prepares for.

    Attributes:
        frames: which frames of the clip it holds.
        x: (B * F, C, H, W) noisy latents as the UNet gets them.
        base: the model about to run.
        cache: lives as long as the sampling run, for what does not change between steps.
        views: pieces of a window in which motion modules attend; none is all of it at once.
    """

    frames: CallFrames
    x: Tensor
    base: BaseModel
    cache: MutableMapping[Any, Any]
    views: tuple[ViewGroup, ...] = ()


@dataclass(frozen=True, eq=False)
class Conditions:
    """What a conditioner adds in one UNet call; tensors of fewer rows than the batch are repeated.

    Attributes:
        first_block: (F or B * F, C, H, W), added to the output of the UNet's first convolution.
        before: the same by block, added to what enters the block's motion module; rows of one window are enough where
            they are the same in all.
        poses: camera features by block.
    """

    first_block: Tensor | None = None
    before: Mapping[BlockIndex, Tensor] = field(default_factory=dict)
    poses: Mapping[BlockIndex, PoseMerge] = field(default_factory=dict)


class Conditioner(Protocol):
    """A frozen dataclass carried in `MotionSettings`; it keeps nothing of a run but what it puts in the cache."""

    @property
    def patcher(self) -> ModelPatcher | None:
        """Weights of its own that load with the run; None when they are part of the motion network."""
        ...

    def prepare(self, network: MotionNetwork, own: nn.Module | None, call: CallInputs) -> Conditions:
        """What to add in one UNet call.

        Args:
            network: the motion network that the conditioner was applied with.
            own: the loaded network of ``patcher``, None without one.
            call: the call.
        """
        ...


def add_rows(x: Tensor, rows: Tensor) -> Tensor:
    """(B * F, ...) plus rows of one window, one chunk or all chunks, repeated over the batch."""
    return (x.unflatten(0, (-1, rows.shape[0])) + rows.to(x)).flatten(0, 1)


def concatenated(windows: Sequence[Features]) -> Features:
    """Features of a chunk from those of its windows; of a single one the tensors themselves."""
    if len(windows) == 1:
        return windows[0]
    return tuple(torch.cat(level) for level in zip(*windows, strict=True))


def cached(cache: MutableMapping[Any, Features], key: Hashable, make: Callable[[], Features]) -> Features:
    """Features from the cache of the run where they still are, else made anew.

    Args:
        cache: of a `CallInputs`.
        key: what the features depend on.
        make: computes them.
    """
    features = cache.pop(key, None)
    cache[key] = features = make() if features is None else features  # at the end: the one used last is dropped last
    while len(cache) > 1 and sum(level.nbytes for kept in cache.values() for level in kept) > CACHED_BYTES:
        del cache[next(iter(cache))]
    return features
