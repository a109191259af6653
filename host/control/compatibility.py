"""Whether a control fits the checkpoint. Core would crash deep inside, or log a line and sample without the control.

Shapes: R = rows of the UNet call, C = channels, H, W = latent size, h, w = size of a residual.
"""

from typing import Any

from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from torch import Tensor, nn

from .residuals import Residuals

WIDTHS = {768: "SD1.5", 1024: "SD2", 2048: "SDXL"}  # of the prompt, by family
FAMILIES_BY_BLOCKS = {12: "SD1.5 or SD2", 9: "SDXL"}  # input blocks of the UNet, by family

Block = tuple[int, int, int]  # C, h, w that a block puts out


def check_width(control: Any, unet: nn.Module) -> None:
    """Compare the prompt widths that a control and the UNet of a run are made for, where both have one.

    Raises:
        ValueError: they differ.
    """
    ours, theirs = _prompt_width(unet), _control_width(control)
    if isinstance(unet, UNetModel) and ours and theirs and ours != theirs:
        raise ValueError(
            f"The ControlNet is made for {_family(WIDTHS, theirs)} (prompt width {theirs}), but the checkpoint is "
            f"{_family(WIDTHS, ours)} (prompt width {ours}); load a ControlNet made for the checkpoint."
        )


def check_residuals(control: Residuals | None, unet: nn.Module, latents: tuple[int, ...]) -> None:
    """Compare residuals with what the blocks of the UNet put out.

    Args:
        control: what one control returned.
        unet: of the run; other models than UNets for pictures are not looked at.
        latents: (R, C, H, W) of the call.

    Raises:
        ValueError: a residual cannot be added; the sentence names the likely cause.
    """
    if control is None or not isinstance(unet, UNetModel) or len(latents) != 4:
        return
    blocks = unet_blocks(unet, *latents[-2:])
    output, middle, entering = (control.get(part, []) for part in ("output", "middle", "input"))
    if output and len(output) != len(blocks):
        raise ValueError(
            f"The ControlNet has {len(output)} layers ({_family(FAMILIES_BY_BLOCKS, len(output))}), but the checkpoint's UNet has "
            f"{len(blocks)} ({_family(FAMILIES_BY_BLOCKS, len(blocks))}); load a ControlNet made for the checkpoint."
        )
    if any(residual is not None for residual in entering[: max(0, len(entering) - len(blocks))]):
        raise ValueError(
            f"The T2I-Adapter has layers for more blocks than the {len(blocks)} of the checkpoint's UNet "
            f"({_family(FAMILIES_BY_BLOCKS, len(blocks))}); load one made for the checkpoint."
        )
    for place, residual in [*enumerate(output), *enumerate(reversed(entering)), *((-1, one) for one in middle[:1])]:
        if residual is not None and residual.ndim == 4 and place < len(blocks):
            _check_residual(residual, blocks[place], latents, _family(FAMILIES_BY_BLOCKS, len(blocks)))


def _check_residual(residual: Tensor, block: Block, latents: tuple[int, ...], family: str) -> None:
    channels, height, width = block
    if residual.shape[1] != channels:
        raise ValueError(
            f"The ControlNet or T2I-Adapter gives {residual.shape[1]} channels where the checkpoint's UNet ({family}) has "
            f"{channels:d}; load one made for the checkpoint."
        )
    if tuple(residual.shape[-2:]) != (height, width):
        raise ValueError(
            f"The ControlNet or T2I-Adapter gives maps of {residual.shape[-1]}x{residual.shape[-2]} where the UNet "
            f"({family}) has {width:d}x{height:d}; load one made for the checkpoint."
        )
    if residual.shape[0] not in (1, latents[0]):
        raise ValueError(
            f"The ControlNet gives residuals for {residual.shape[0]} images where the UNet has {latents[0]}; "
            "give it one hint image, or one per frame."
        )


def unet_blocks(unet: UNetModel, height: int, width: int) -> list[Block]:
    """What the input blocks put out for latents of a size, the first block first.

    Source:
        ComfyUI ``openaimodel.py``, ``UNetModel.__init__``: a convolution, then per level its ResBlocks and, but for the
        last level, a convolution of stride 2.
    """
    blocks: list[Block] = [(unet.model_channels, height, width)]
    for level, (factor, count) in enumerate(zip(unet.channel_mult, unet.num_res_blocks, strict=False)):
        channels = int(factor * unet.model_channels)
        blocks += [(channels, height, width)] * count
        if level + 1 < len(unet.channel_mult):
            height, width = (height + 1) // 2, (width + 1) // 2
            blocks.append((channels, height, width))
    return blocks


def elements(unet: nn.Module, images: int, height: int, width: int) -> int:
    """Numbers in the residuals and hints of ``images`` latents; 0 for other models than UNets."""
    if not isinstance(unet, UNetModel):
        return 0
    blocks = unet_blocks(unet, height, width)
    residuals = sum(channels * h * w for channels, h, w in [*blocks, blocks[-1]])
    return images * (residuals + 3 * 64 * height * width)


def _control_width(control: Any) -> int | None:
    weights = getattr(control, "control_weights", None)
    if isinstance(weights, dict):  # Control-LoRA, whose network is made when the run starts
        return next((w.shape[1] for key, w in weights.items() if key.endswith("attn2.to_k.down")), None)
    network = getattr(control, "control_model", None)
    return _prompt_width(network) if isinstance(network, nn.Module) else None


def _prompt_width(network: nn.Module) -> int | None:
    layers = (layer for name, layer in network.named_modules() if name.endswith("attn2.to_k"))
    return next((getattr(layer, "in_features", None) for layer in layers), None)


def _family(names: dict[int, str], number: int) -> str:
    return names.get(number, "another model")
