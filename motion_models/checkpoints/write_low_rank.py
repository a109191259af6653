"""Low-rank pairs as files in published layouts: MotionLoRA, the reverse of ``motion_lora.py``, and the domain adapter.

No file holds an alpha, which readers of the original layout do not look at: a scale is part of ``up``.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from ..networks.low_rank import LoraPair
from ..spec import BlockIndex, UNetPart
from .weight_names import QKV, module_name
from .write_motion_model import published_block

LORA_LAYOUTS = ("original", "diffusers")
# Our layer of a transformer block: its names in the original release and in diffusers; {n} is the number of an attention.
FEED_FORWARD_LAYERS = {"feed_forward.expand": "ff.net.0.proj", "feed_forward.contract": "ff.net.2"}


def published_motion_lora(
    pairs: Iterable[LoraPair], layout: str = "original", dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """A MotionLoRA file.

    Args:
        pairs: of temporal attentions and feed-forwards, by our names.
        layout: ``original``, which the official code and ComfyUI-AnimateDiff-Evolved read, or ``diffusers``; no names are
            read by both.
        dtype: of the file.

    Source:
        The published v2_lora files; PEFT's names in diffusers' ``UNetMotionModel``.
    """
    published: dict[str, Tensor] = {}
    for pair in pairs:
        up, down = (_original if layout == "original" else _diffusers)(pair)
        published |= _halves(pair, up, down, dtype)
    return published


def published_adapter(
    pairs: Iterable[LoraPair], names: Mapping[str, str], dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """A domain adapter file.

    Args:
        pairs: of spatial attentions, by the UNet's own names of weights.
        names: diffusers' name of each of these weights.
        dtype: of the file.

    Source:
        guoyww/AnimateDiff v3_sd15_adapter.ckpt.
    """
    published: dict[str, Tensor] = {}
    for pair in pairs:
        layer = names[pair.target].removesuffix(".weight").removesuffix(".0")  # to_out.0 has no number there
        published |= _halves(pair, *_processor(layer), dtype)
    return published


def _halves(pair: LoraPair, up: str, down: str, dtype: torch.dtype) -> dict[str, Tensor]:
    factor = 1.0 if pair.alpha is None else pair.alpha / pair.down.shape[0]
    return {down: pair.down.detach().to(dtype), up: (pair.up.detach() * factor).to(dtype)}


def _processor(layer: str) -> tuple[str, str]:
    before, _, last = layer.rpartition(".")
    return f"{before}.processor.{last}_lora.up.weight", f"{before}.processor.{last}_lora.down.weight"


def _original(pair: LoraPair) -> tuple[str, str]:
    module, layer, number = _place(pair)
    inner = f"attention_blocks.{number}.{layer}" if number is not None else FEED_FORWARD_LAYERS[layer]
    return _processor(f"{module}.temporal_transformer.transformer_blocks.0.{inner}")


def _diffusers(pair: LoraPair) -> tuple[str, str]:
    module, layer, number = _place(pair)
    inner = FEED_FORWARD_LAYERS[layer] if number is None else f"attn{number + 1}.{layer}"
    layer = f"unet.{module}.transformer_blocks.0.{inner}{'.0' if layer == 'to_out' else ''}"
    return f"{layer}.lora_B.weight", f"{layer}.lora_A.weight"


def _place(pair: LoraPair) -> tuple[str, str, int | None]:
    """Published name of a pair's module, its layer with q, k and v apart, and the number of its attention."""
    _, site, *rest, last, _ = pair.target.split(".")
    part, _, index = site.rpartition("_")
    module = module_name(*published_block(_block(part, int(index))))
    if rest[0] != "attentions":
        return module, f"{rest[0]}.{last}", None
    if pair.slice is not None:
        first, rows = pair.slice
        last = QKV[first // rows]
    return module, last, int(rest[1])


def _block(part: str, index: int) -> BlockIndex:
    parts: tuple[UNetPart, ...] = ("input", "middle", "output")
    return next(known for known in parts if known == part), index
