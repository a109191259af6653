"""Where motion modules act in ComfyUI's SD UNet, and whether a motion model fits one."""

from comfy.ldm.modules.attention import SpatialTransformer, SpatialVideoTransformer
from comfy.ldm.modules.diffusionmodules.openaimodel import ResBlock, UNetModel, VideoResBlock
from comfy.model_patcher import ModelPatcher
from torch import nn

from ...inputs.quoting import plain, quoted
from ...motion_models.families import BASE_TITLES
from ...motion_models.spec import BlockIndex, MotionSpec, UNetPart

SpatialLayer = SpatialTransformer | ResBlock
BASES_BY_CONTEXT = {768: "sd15", 1024: "sd2", 2048: "sdxl"}
TITLES = {**BASE_TITLES, "sd2": "SD2.x"}


def motion_sites(unet: UNetModel) -> dict[BlockIndex, SpatialLayer]:
    """The layer of each block that a motion module follows.

    It is the block's last spatial transformer, or its ResBlock where there is none; so in the middle
    block the motion module comes before the second ResBlock, and in blocks that end with an Upsample it
    comes before that.

    Source: guoyww/AnimateDiff ``animatediff/models/unet_blocks.py``, order of resnet, attention, motion.
    """
    blocks: list[tuple[UNetPart, int, nn.Module]] = []
    blocks.extend(("input", i, block) for i, block in enumerate(unet.input_blocks))
    if unet.middle_block is not None:
        blocks.append(("middle", 0, unet.middle_block))
    blocks.extend(("output", i, block) for i, block in enumerate(unet.output_blocks))
    sites = {}
    for part, index, block in blocks:
        layer = _followed_layer(block)
        if layer is not None:
            sites[part, index] = layer
    return sites


def _followed_layer(block: nn.Module) -> SpatialLayer | None:
    layers = list(block.children())
    transformers = [layer for layer in layers if isinstance(layer, SpatialTransformer)]
    residuals = [layer for layer in layers if isinstance(layer, ResBlock)]
    return transformers[-1] if transformers else residuals[0] if residuals else None


def check_fits(model: ModelPatcher, spec: MotionSpec, name: str) -> None:
    """Refuse a motion model that was not made for this kind of checkpoint.

    Raises:
        ValueError: not an SD UNet, another base, or blocks of another width.
    """
    unet = model.get_model_object("diffusion_model")
    unet = getattr(unet, "_orig_mod", unet)  # torch.compile wraps the UNet in place
    if not isinstance(unet, UNetModel) or any(
        isinstance(m, (VideoResBlock, SpatialVideoTransformer)) for m in unet.modules()
    ):
        raise ValueError(
            f"Motion model {quoted(name)} animates {TITLES[spec.family.base]} checkpoints, but this MODEL is "
            f"{plain(type(model.model).__name__)}; connect an {TITLES[spec.family.base]} checkpoint."
        )
    base = BASES_BY_CONTEXT.get(model.model.model_config.unet_config.get("context_dim"))
    if base is not None and base != spec.family.base:
        raise ValueError(plain(_other_base(name, spec, TITLES[base]), 600))
    sites = motion_sites(unet)
    for site in spec.sites:
        layer = sites.get((site.part, site.index))
        channels = 0 if layer is None else _channels(layer)
        if channels != site.channels:
            where = f"its block {site.part} {site.index} has {channels} channels, not {site.channels}"
            raise ValueError(plain(_other_base(name, spec, f"of another kind ({where})"), 600))


def _other_base(name: str, spec: MotionSpec, found: str) -> str:
    return (
        f"Motion model {quoted(name)} is made for {TITLES[spec.family.base]}, but this checkpoint is {found}; "
        "use a checkpoint and a motion model of the same base."
    )


def _channels(layer: SpatialLayer) -> int:
    return layer.in_channels if isinstance(layer, SpatialTransformer) else layer.out_channels
