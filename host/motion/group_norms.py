"""GroupNorm statistics across frames, for the families that were trained that way.

Shapes: F = frames, C = channels, H and W = height and width.

The v1 motion modules were trained with a UNet whose ResBlock norms and output norm took their mean and
variance over (C/groups, F, H, W) of a clip. ComfyUI runs the same layers one frame at a time.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from comfy.ldm.modules.diffusionmodules.openaimodel import ResBlock, UNetModel
from einops import rearrange
from torch import Tensor, nn


@contextmanager
def across_frames(unet: UNetModel, frames: int) -> Iterator[None]:
    """Make the UNet's ResBlock norms and its output norm see whole clips inside the ``with`` block.

    Args:
        unet: the network about to run; only instance hooks are added, and they are gone afterwards.
        frames: frames per chunk of the batch, F.

    Source:
        guoyww/AnimateDiff ``animatediff/models/resnet.py`` without ``use_inflated_groupnorm`` (v1
        configs): ``norm1``, ``norm2`` of ResnetBlock3D and the UNet's ``conv_norm_out`` get the 5-D
        tensor; the spatial transformers and the motion modules norm each frame alone.
    """

    def to_clip(_module: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
        return (rearrange(args[0], "(b f) c h w -> b c (f h) w", f=frames),)

    def to_frames(_module: nn.Module, _args: tuple[Tensor], out: Tensor) -> Tensor:
        return rearrange(out, "b c (f h) w -> (b f) c h w", f=frames)

    hooks = []
    try:
        for norm in _norms(unet):
            hooks.append(norm.register_forward_pre_hook(to_clip))
            hooks.append(norm.register_forward_hook(to_frames))
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _norms(unet: UNetModel) -> Iterator[nn.Module]:
    """Blocks hold their ResBlocks directly; a walk over all modules took most of the time of the hooks."""
    for block in (*unet.input_blocks, unet.middle_block, *unet.output_blocks):
        for layer in () if block is None else block.children():
            if isinstance(layer, ResBlock):
                yield layer.in_layers[0]
                yield layer.out_layers[0]
    yield unet.out[0]
