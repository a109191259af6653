"""One motion model in one UNet call: its settings resolved for the frames and feature maps of the call.

Shapes: B = chunks, F = frames of a chunk (of all windows stacked in it), C = channels, H, W = size of a feature map.
"""

from collections.abc import Iterator
from dataclasses import replace

from comfy.model_base import BaseModel
from torch import Tensor

from ...motion_models.block_values import BlockValue
from ...motion_models.networks.low_rank import LowRankNetwork
from ...motion_models.networks.module_call import Branch, PoseMerge, SiteCall, Value
from ...motion_models.networks.motion_module import MotionNetwork
from ...motion_models.spec import Site
from ..call.strength import Strength
from .conditioner import ChunkInfo, Guidance, Place, add_rows
from .settings import MotionSettings, networks_of

# transformer_options: what this run computed once, published by host.run. A UserDict, because the host copies every
# dict in the options for each call.
CACHE_KEY = "zoetrope_cache"


class ActiveMotion:
    """A motion model that acts in a UNet call.

    Args:
        settings: how it acts.
        networks: its loaded networks, in the order of `patchers_of`.
        chunk: the call.
        factor: of the effect at this step.
        lora_factors: of each entry of ``settings.loras`` at this step.
    """

    def __init__(
        self, settings: MotionSettings, networks: list, chunk: ChunkInfo, factor: float, lora_factors: list[float]
    ):
        self.settings = settings
        self.network: MotionNetwork = networks[0]
        self.sites: dict[Place, Site] = {(site.place, site.index): site for site in self.network.spec.sites}
        self.low_rank: LowRankNetwork | None = networks[1] if settings.loras else None
        self.chunk = chunk
        self.factor = factor
        self.lora_factors = lora_factors
        self.resolved: dict[tuple, Value] = {}
        self.ran = 0
        own = iter(networks[1 + bool(settings.loras) :])
        self.guidances: list[Guidance] = [
            guide.prepare(self.network, None if guide.patcher is None else next(own), self._with_cache(index))
            for index, guide in enumerate(settings.guides)
        ]

    def after_first_block(self, x: Tensor) -> Tensor:
        """Output of the UNet's first convolution with what the guides add there."""
        for guidance in self.guidances:
            if guidance.first_block is not None:
                x = add_rows(x, guidance.first_block)
        return x

    def run(self, place: Place, x: Tensor) -> Tensor:
        """Output of the motion module of a block for the block's output ``x`` (B * F, C, H, W)."""
        module = self.network.module_at(*place)
        if module is None:
            return x
        for guidance in self.guidances:
            if place in guidance.before:
                x = add_rows(x, guidance.before[place])
        self.ran += 1
        return module(x, self.chunk.length, self._site_call(place, x))

    def _site_call(self, place: Place, x: Tensor) -> SiteCall:
        settings, site = self.settings, self.sites[place]
        effect, scale = self.factor, 1.0
        for blocks in settings.blocks:
            value: BlockValue = blocks.at(site)
            effect, scale = effect * value.effect, scale * value.scale
        branches: dict[str, tuple[Branch, ...]] = {}
        for name, branch in self._branches(site, x):
            branches[name] = (*branches.get(name, ()), branch)
        return SiteCall(
            scale=self._at(settings.scale, x) * scale,
            effect=self._at(settings.effect, x) * effect,
            branches=branches,
            pose=self._pose(place),
            views=self.chunk.views,
        )

    def _branches(self, site: Site, x: Tensor) -> Iterator[tuple[str, Branch]]:
        for number, (lora, factor) in enumerate(zip(self.settings.loras, self.lora_factors, strict=True)):
            if factor and self.low_rank is not None:
                yield from self.low_rank.branches(number, self._at(lora.strength, x) * factor, f"{site.key}.")

    def _pose(self, place: Place) -> PoseMerge | None:
        return next((guidance.poses[place] for guidance in self.guidances if place in guidance.poses), None)

    def _at(self, strength: Strength, x: Tensor) -> Value:
        """A strength at this feature map; asked for by many modules, of the same size or of any."""
        key = (id(strength), x.shape[-2:] if strength.spatial else None)
        if key not in self.resolved:
            height, width = x.shape[-2:]
            self.resolved[key] = strength.at(self.chunk.frames, self.chunk.total, height, width, x, self.chunk.cache)
        return self.resolved[key]

    def _with_cache(self, guide: int) -> ChunkInfo:
        key = (str(self.chunk.x.device), id(self.settings), guide)
        return replace(self.chunk, cache=self.chunk.cache.setdefault(key, {}))


def active_motions(base: BaseModel, options: dict, chunk: ChunkInfo) -> list[ActiveMotion]:
    """The motion models at work at this step, the first applied first."""
    active = []
    for settings, patchers in networks_of(base.current_patcher):
        factor = 0.0 if settings.effect.off else settings.range.at(base, options)
        if factor:
            loras = [lora.range.at(base, options) for lora in settings.loras]
            active.append(ActiveMotion(settings, [patcher.model for patcher in patchers], chunk, factor, loras))
    return active
