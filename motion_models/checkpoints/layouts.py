"""Other published names of motion module weights, brought to those of the original release."""

import re
from collections.abc import Iterable, Mapping
from typing import Literal, TypeVar

Named = TypeVar("Named")
Layout = Literal["original", "diffusers", "hotshot"]

HOTSHOT = re.compile(r"(?<=\.)temporal_attentions\.(\d+)\.")
# In diffusers' MotionAdapter the transformer sits directly in `motion_modules.<n>`.
DIFFUSERS = re.compile(r"(?<=\.)motion_modules\.(\d+)\.(?=norm\.|proj_in\.|proj_out\.|transformer_blocks\.)")
BLOCK_MEMBER = re.compile(r"(?<=\.transformer_blocks\.0\.)(attn1|attn2|norm1|norm2|norm3)\.")
BLOCK_NAMES = {
    "attn1": "attention_blocks.0.",
    "attn2": "attention_blocks.1.",
    "norm1": "norms.0.",
    "norm2": "norms.1.",
    "norm3": "ff_norm.",
}
SHARED_POSITIONS = "transformer_blocks.0.pos_embed.pe"  # one table for both attentions of a block


def layout_of(names: Iterable[str]) -> Layout:
    """Whose names a file uses."""
    for name in names:
        if HOTSHOT.search(name):
            return "hotshot"
        if DIFFUSERS.search(name):
            return "diffusers"
    return "original"


def to_original(entries: Mapping[str, Named]) -> dict[str, Named]:
    """A motion module file with the names of the original release; the values are the given ones.

    Source:
        hotshotco/Hotshot-XL ``hotshot_xl/models/transformer_temporal.py``; diffusers
        ``scripts/convert_animatediff_motion_module_to_diffusers.py``, the other way round.
    """
    renamed: dict[str, Named] = {}
    for name, value in entries.items():
        name = HOTSHOT.sub(r"motion_modules.\1.temporal_transformer.", name)
        name = name.replace(".pos_encoder.positional_encoding", ".pos_encoder.pe")
        name, changed = DIFFUSERS.subn(r"motion_modules.\1.temporal_transformer.", name)
        if changed and name.endswith(SHARED_POSITIONS):
            start = name.removesuffix("pos_embed.pe")
            renamed |= {f"{start}attention_blocks.{n}.pos_encoder.pe": value for n in range(2)}
        else:
            renamed[BLOCK_MEMBER.sub(lambda match: BLOCK_NAMES[match[1]], name) if changed else name] = value
    return renamed
