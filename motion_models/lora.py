"""MotionLoRA files: low-rank changes of the temporal attentions, against our weight names.

Shape letters: O = outputs and I = inputs of a linear layer, R = rank.
"""

import re
from dataclasses import dataclass

from torch import Tensor

from .convert import incomplete
from .identify import MOTION_LORA, require_kind
from .keys import ORIGINAL, QKV, unet_block
from .spec import site_key
from .state import tensors, unwrap

LAYER = re.compile(
    ORIGINAL.site.pattern + r"transformer_blocks\.0\.attention_blocks\.(?P<attention>\d+)"
    r"\.processor\.(?P<weight>to_q|to_k|to_v|to_out)_lora\."
)
ENTRIES = ("up.weight", "down.weight", "alpha")


@dataclass(frozen=True)
class LoraPair:
    """Two thin matrices; strength * (alpha / R) * up @ down is added to a weight.

    Attributes:
        target: the weight, by our name.
        slice: (first row, number of rows) of the weight that changes; None is all of it.
        up: (O, R).
        down: (R, I).
        alpha: numerator of the scale; None means a scale of 1, as in the official files.
    """

    target: str
    slice: tuple[int, int] | None
    up: Tensor
    down: Tensor
    alpha: float | None


@dataclass(frozen=True)
class LoraFile:
    """A MotionLoRA file.

    Attributes:
        pairs: every pair in the file, also those of a middle block that a motion model may not have.
        unmatched: names of weights that are no part of a pair; tell the user about them.
    """

    pairs: tuple[LoraPair, ...]
    unmatched: tuple[str, ...]


def read_motion_lora(content: object) -> LoraFile:
    """Bring a MotionLoRA in the original layout to our names.

    Args:
        content: what ``torch.load`` or safetensors returned, of any rank.

    Returns:
        The pairs with the file's own tensors, and what could not be used.

    Raises:
        MotionFileError: the file is something else, or half of a pair is missing or does not fit the other.

    Source:
        guoyww/AnimateDiff ``convert_lora_safetensor_to_diffusers.py``, ``load_diffusers_lora``.
    """
    entries = unwrap(content)
    require_kind(entries, MOTION_LORA)
    layers: dict[str, tuple[re.Match[str], dict[str, Tensor]]] = {}
    unmatched = []
    for name, tensor in tensors(entries).items():
        match = LAYER.match(name)
        if match and (entry := name[match.end() :]) in ENTRIES:
            layers.setdefault(match[0], (match, {}))[1][entry] = tensor
        else:
            unmatched.append(name)
    return LoraFile(tuple(_pair(*layer) for layer in layers.values()), tuple(unmatched))


def _pair(layer: re.Match[str], parts: dict[str, Tensor]) -> LoraPair:
    up, down, alpha = (parts.get(entry) for entry in ENTRIES)
    if up is None or down is None:
        raise incomplete(f"{layer[0]}{'up' if up is None else 'down'}.weight is missing")
    if up.ndim != 2 or down.ndim != 2 or up.shape[1] != down.shape[0]:
        raise incomplete(f"{layer[0]}up.weight is {tuple(up.shape)} and down.weight {tuple(down.shape)}")
    site = site_key(*unet_block(layer["part"], int(layer["level"] or 0), int(layer["block"])))
    prefix = f"{site}.attentions.{layer['attention']}."
    alpha = None if alpha is None else float(alpha)
    if layer["weight"] not in QKV:
        return LoraPair(f"{prefix}{layer['weight']}.weight", None, up, down, alpha)
    rows = up.shape[0]
    return LoraPair(f"{prefix}to_qkv.weight", (QKV.index(layer["weight"]) * rows, rows), up, down, alpha)
