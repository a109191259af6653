"""One motion model in one UNet call: its settings resolved for the frames and feature maps of the call.

Shapes: B = chunks, F = frames of a chunk (of all windows stacked in it), C = channels, H, W = size of a feature map.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from comfy.model_base import BaseModel
from torch import Tensor

from ...motion_models.block_values import BlockValue
from ...motion_models.networks.low_rank import LowRankNetwork
from ...motion_models.networks.module_call import Branch, ModuleCall, PoseMerge, Value
from ...motion_models.networks.motion_module import MotionNetwork
from ...motion_models.spec import BlockIndex, Site
from ..call.strength import Strength
from .conditioner import CallInputs, Conditions, add_rows
from .settings import MotionPatchers, MotionSettings, patchers_of, settings_of

FIRST_BLOCK: BlockIndex = ("input", 0)  # the UNet's first convolution, which no motion module follows


class MotionModelCall:
    """A motion model that acts in a UNet call.

    Args:
        settings: how it acts.
        patchers: its loaded networks.
        call: the UNet call.
        factor: of the effect at this step.
        lora_factors: of each entry of ``settings.loras`` at this step.
    """

    def __init__(
        self,
        settings: MotionSettings,
        patchers: MotionPatchers,
        call: CallInputs,
        factor: float,
        lora_factors: list[float],
    ):
        self.settings = settings
        self.network: MotionNetwork = patchers.motion.model
        self.sites: dict[BlockIndex, Site] = {(site.part, site.index): site for site in self.network.spec.sites}
        self.low_rank: LowRankNetwork | None = None if patchers.low_rank is None else patchers.low_rank.model
        self.call = call
        self.factor = factor
        self.lora_factors = lora_factors
        self.resolved: dict[tuple[Any, ...], Value] = {}
        self.ran = 0
        self.conditions: list[Conditions] = [
            conditioner.prepare(self.network, None if own is None else own.model, self._with_cache(number))
            for number, (conditioner, own) in enumerate(zip(settings.conditioners, patchers.conditioners, strict=True))
        ]

    def acts_in(self, block: BlockIndex) -> bool:
        """Whether anything is added to what the block gives."""
        if block == FIRST_BLOCK:
            return any(conditions.first_block is not None for conditions in self.conditions)
        return self.network.module_at(*block) is not None

    def after_first_block(self, x: Tensor) -> Tensor:
        """Output of the UNet's first convolution with what the conditioners add there."""
        for conditions in self.conditions:
            if conditions.first_block is not None:
                x = add_rows(x, conditions.first_block)
        return x

    def run(self, block: BlockIndex, x: Tensor) -> Tensor:
        """Output of the motion module of a block for the block's output ``x`` (B * F, C, H, W)."""
        module = self.network.module_at(*block)
        if module is None:
            return x
        for conditions in self.conditions:
            if block in conditions.before:
                x = add_rows(x, conditions.before[block])
        self.ran += 1
        return module(x, self.call.frames.length, self._module_call(block, x))

    def _module_call(self, block: BlockIndex, x: Tensor) -> ModuleCall:
        settings, site = self.settings, self.sites[block]
        effect, scale = self.factor, 1.0
        for blocks in settings.blocks:
            value: BlockValue = blocks.at(site)
            effect, scale = effect * value.effect, scale * value.scale
        branches: dict[str, tuple[Branch, ...]] = {}
        for name, branch in self._branches(site, x):
            branches[name] = (*branches.get(name, ()), branch)
        return ModuleCall(
            scale=self._at(settings.scale, x) * scale,
            effect=self._at(settings.effect, x) * effect,
            branches=branches,
            pose=self._pose(block),
            views=self.call.views,
        )

    def _branches(self, site: Site, x: Tensor) -> Iterator[tuple[str, Branch]]:
        for number, (lora, factor) in enumerate(zip(self.settings.loras, self.lora_factors, strict=True)):
            if factor and self.low_rank is not None:
                yield from self.low_rank.branches(number, self._at(lora.strength, x) * factor, f"{site.key}.")

    def _pose(self, block: BlockIndex) -> PoseMerge | None:
        return next((conditions.poses[block] for conditions in self.conditions if block in conditions.poses), None)

    def _at(self, strength: Strength, x: Tensor) -> Value:
        """A strength at this feature map; asked for by many modules, of the same size or of any."""
        key = (id(strength), x.shape[-2:] if strength.spatial else None)
        if key not in self.resolved:
            frames, (height, width) = self.call.frames, x.shape[-2:]
            self.resolved[key] = strength.at(frames.numbers, frames.total, height, width, x, self.call.cache)
        return self.resolved[key]

    def _with_cache(self, conditioner: int) -> CallInputs:
        key = (str(self.call.x.device), id(self.settings), conditioner)
        return replace(self.call, cache=self.call.cache.setdefault(key, {}))


def model_calls(base: BaseModel, options: dict[str, Any], call: CallInputs) -> list[MotionModelCall]:
    """The motion models at work at this step, the first applied first."""
    model = base.current_patcher
    active: list[MotionModelCall] = []
    for settings, patchers in zip(settings_of(model), patchers_of(model), strict=True):
        factor = settings.factor_at(base, options)
        if factor:
            loras = [lora.when.at(base, options) for lora in settings.loras]
            active.append(MotionModelCall(settings, patchers, call, factor, loras))
    return active
