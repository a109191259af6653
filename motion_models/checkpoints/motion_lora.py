"""MotionLoRA files: low-rank changes of the temporal attentions, against our weight names."""

import math
import re
from dataclasses import dataclass

from torch import Tensor

from ...inputs.numbers import fits
from ..networks.low_rank import LoraPair
from ..spec import site_key
from .convert import incomplete
from .identify import MOTION_LORA_KIND, require_kind
from .state_dict import sizes, sound, tensors, unwrap
from .weight_names import QKV, unet_block

# Names of a layer in every published layout. Dots in the original, MotionDirector's, diffusers' and PEFT's, low lines
# in kohya's; MotionDirector puts "processor" before the last part of a layer's name.
SITE = re.compile(
    r"(?:lora_unet_)?(?P<part>down_blocks|mid_block|up_blocks)(?:[._](?P<level>\d+))?"
    r"[._](?:motion_modules|temporal_attentions)[._](?P<block>\d+)[._](?:temporal_transformer[._])?"
)
TRANSFORMER_BLOCK = r"transformer_blocks[._]0[._]"
LORA_LAYER = re.compile(
    rf"{TRANSFORMER_BLOCK}(?:attention_blocks[._](?P<original>\d+)|attn(?P<diffusers>[12]))[._](?:processor[._])?"
    r"(?P<weight>to_q|to_k|to_v|to_out)(?:[._](?:processor[._])?0)?"
    rf"|{TRANSFORMER_BLOCK}ff[._]net[._](?P<expand>0[._](?:processor[._])?proj)"
    rf"|{TRANSFORMER_BLOCK}ff[._]net[._](?P<contract>(?:processor[._])?2)"
    r"|(?:processor[._])?(?P<projection>proj_in|proj_out)"
)
LORA_ENTRY = re.compile(
    r"(?:_lora|\.lora|\.lora_layer)\.(?P<named>up|down|alpha)(?:\.weight)?"
    r"|\.lora_(?P<short>A|B|up|down)(?:\.[\w-]+)?\.weight"
    r"|\.(?P<alpha>alpha)"
)
ENTRIES = {"A": "down", "B": "up"}


@dataclass(frozen=True, eq=False)
class LoraFile:
    """A MotionLoRA file.

    Attributes:
        pairs: every pair in the file, also those of a middle block that a motion model may not have.
        unmatched: names of weights that are no part of a pair; tell the user about them.
    """

    pairs: tuple[LoraPair, ...]
    unmatched: tuple[str, ...]

    @property
    def middle(self) -> bool:
        """Whether it has layers of a middle block, as MotionLoRAs of v2 modules have."""
        return any(pair.target.startswith("sites.middle_0.") for pair in self.pairs)


def read_motion_lora(content: object) -> LoraFile:
    """Bring a MotionLoRA to our names.

    Args:
        content: what ``torch.load`` or safetensors returned, of any rank, in the original layout, that of
            AnimateDiff-MotionDirector (with feed-forward), of diffusers, of PEFT, or kohya's with alpha.

    Returns:
        The pairs with the file's own tensors, and what could not be used.

    Raises:
        MotionFileError: the file is something else, or half of a pair is missing or does not fit the other.

    Source:
        guoyww/AnimateDiff ``convert_lora_safetensor_to_diffusers.py``, ``load_diffusers_lora``; diffusers
        ``scripts/convert_animatediff_motion_lora_to_diffusers.py``; PEFT's and kohya-ss/sd-scripts' file formats.
    """
    entries = unwrap(content)
    require_kind(entries, MOTION_LORA_KIND)
    layers: dict[tuple[str, str], dict[str, tuple[str, Tensor]]] = {}
    unmatched: list[str] = []
    for name, tensor in tensors(entries).items():
        found = _parse(name)
        if found is None:
            unmatched.append(name)
        else:
            site, layer, entry = found
            layers.setdefault((site, layer), {})[entry] = (name, tensor if entry == "alpha" else sound(name, tensor))
    return LoraFile(tuple(_pair(*layer, parts) for layer, parts in layers.items()), tuple(unmatched))


def _parse(name: str) -> tuple[str, str, str] | None:
    """(our site, our layer with q, k and v apart, entry) of a weight's name."""
    site = SITE.match(name)
    layer = site and LORA_LAYER.match(name, site.end())
    entry = layer and LORA_ENTRY.fullmatch(name, layer.end())
    if not site or not layer or not entry:
        return None
    place = site_key(*unet_block(site["part"], int(site["level"] or 0), int(site["block"])))
    kind = entry["named"] or entry["short"] or entry["alpha"]
    return place, _our_layer(layer), ENTRIES.get(kind, kind)


def _our_layer(layer: re.Match[str]) -> str:
    if layer["weight"]:
        number = int(layer["original"]) if layer["original"] else int(layer["diffusers"]) - 1
        return f"attentions.{number}.{layer['weight']}"
    if layer["projection"]:
        return layer["projection"]
    return "feed_forward.expand" if layer["expand"] else "feed_forward.contract"


def _pair(site: str, layer: str, parts: dict[str, tuple[str, Tensor]]) -> LoraPair:
    for entry, other in (("up", "down"), ("down", "up")):
        if entry not in parts:
            near = parts.get(other) or next(iter(parts.values()))
            raise incomplete(f"the {entry} half of {near[0]} is missing")
    (up_name, up), (down_name, down) = parts["up"], parts["down"]
    if up.ndim != 2 or down.ndim != 2 or up.shape[1] != down.shape[0] or not up.numel() or not down.numel():
        raise incomplete(f"{up_name} is {sizes(up)} and {down_name} {sizes(down)}")
    alpha = _alpha(*parts["alpha"]) if "alpha" in parts else None
    before, _, weight = f"{site}.{layer}".rpartition(".")
    if weight not in QKV:
        return LoraPair(f"{before}.{weight}.weight", None, up, down, alpha)
    rows = up.shape[0]
    return LoraPair(f"{before}.to_qkv.weight", (QKV.index(weight) * rows, rows), up, down, alpha)


def _alpha(name: str, tensor: Tensor) -> float:
    value = float(tensor.reshape(-1)[0]) if tensor.numel() == 1 and not tensor.is_complex() else math.nan
    if not fits(value):
        raise incomplete(f"{name} is no finite number")
    return value
