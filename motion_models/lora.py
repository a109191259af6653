"""MotionLoRA files: low-rank changes of the temporal attentions, against our weight names.

Shape letters: O = outputs and I = inputs of a linear layer, R = rank.
"""

import re
from dataclasses import dataclass

from torch import Tensor

from .errors import MotionFileError
from .identify import MOTION_LORA, require_kind
from .keys import ORIGINAL, QKV, unet_block
from .spec import Site
from .state import tensors, unwrap

PAIR = re.compile(
    ORIGINAL.site.pattern + r"transformer_blocks\.0\.attention_blocks\.(?P<attention>\d+)\.processor"
    r"\.(?P<layer>to_q|to_k|to_v|to_out)_lora\.(?P<entry>down\.weight|up\.weight|alpha)"
)


@dataclass(frozen=True)
class LoraPair:
    """Two thin matrices whose product is added to a weight: strength * (alpha / R) * up @ down.

    Attributes:
        target: the weight, by our name.
        slice: (first row, number of rows) of the weight that changes; None is all of it.
        up: (O, R).
        down: (R, I).
        alpha: numerator of the scale; None means the scale is 1, as in the official files.
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
        unmatched: names of weights that are no pair, to be reported.
    """

    pairs: tuple[LoraPair, ...]
    unmatched: tuple[str, ...]


def read_motion_lora(content: object) -> LoraFile:
    """Bring a MotionLoRA in the original layout to our names.

    Args:
        content: what ``torch.load`` or safetensors returned, of any rank.

    Raises:
        MotionFileError: the file is something else, or half of a pair is missing or does not fit the other.

    Source:
        guoyww/AnimateDiff ``convert_lora_safetensor_to_diffusers.py``, ``load_diffusers_lora``.
    """
    entries = unwrap(content)
    require_kind(entries, MOTION_LORA)
    layers: dict[tuple[str, ...], dict[str, Tensor]] = {}
    unmatched = []
    for name, tensor in tensors(entries).items():
        if match := PAIR.fullmatch(name):
            layers.setdefault((name.removesuffix(match["entry"]),), {})[match["entry"]] = tensor
        else:
            unmatched.append(name)
    return LoraFile(tuple(_pair(stem, layer) for stem, layer in layers.items()), tuple(unmatched))
