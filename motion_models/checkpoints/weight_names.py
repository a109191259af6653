"""Weight names: published layouts on the left, ours on the right.

Our state dict, which LoRA keys and saved weights rely on:

    sites.<part>_<index>.norm.{weight,bias}
    sites.<part>_<index>.proj_in.{weight,bias}
    sites.<part>_<index>.attentions.<n>.norm.{weight,bias}
    sites.<part>_<index>.attentions.<n>.positions
    sites.<part>_<index>.attentions.<n>.to_qkv.weight            rows: q, then k, then v
    sites.<part>_<index>.attentions.<n>.to_out.{weight,bias}
    sites.<part>_<index>.feed_forward.norm.{weight,bias}
    sites.<part>_<index>.feed_forward.expand.{weight,bias}       rows: value, then gate
    sites.<part>_<index>.feed_forward.contract.{weight,bias}
    sites.<part>_<index>.proj_out.{weight,bias}

<part>_<index> is ComfyUI's block: input_1 .. input_11, middle_0, output_0 .. output_11.
"""

import re
from dataclasses import dataclass

from ..spec import BlockIndex

# Shapes are given in widths of the module: (8, 1) is a matrix of 8C x C.
Shape = tuple[int, ...]
Rows = tuple[tuple[str, str, Shape], ...]

QKV = ("to_q", "to_k", "to_v")


@dataclass(frozen=True, eq=False)
class KeyTable:
    """One published layout. ``{n}`` in a name stands for the number of an attention.

    Attributes:
        site: pattern of a motion module's name, with the groups ``part``, ``level`` and ``block``.
        module: (published, ours, shape) of weights a module has once.
        attention: the same for weights each attention has.
        positions: published name of an attention's positional encoding.
    """

    site: re.Pattern[str]
    module: Rows
    attention: Rows
    positions: str


# Weights of a transformer block; {n} is the number of an attention.
FEED_FORWARD: Rows = (
    ("ff_norm.weight", "feed_forward.norm.weight", (1,)),
    ("ff_norm.bias", "feed_forward.norm.bias", (1,)),
    ("ff.net.0.proj.weight", "feed_forward.expand.weight", (8, 1)),
    ("ff.net.0.proj.bias", "feed_forward.expand.bias", (8,)),
    ("ff.net.2.weight", "feed_forward.contract.weight", (1, 4)),
    ("ff.net.2.bias", "feed_forward.contract.bias", (1,)),
)
ATTENTION: Rows = (
    ("norms.{n}.weight", "attentions.{n}.norm.weight", (1,)),
    ("norms.{n}.bias", "attentions.{n}.norm.bias", (1,)),
    *((f"attention_blocks.{{n}}.{part}.weight", f"attentions.{{n}}.{part}.weight", (1, 1)) for part in QKV),
    ("attention_blocks.{n}.to_out.0.weight", "attentions.{n}.to_out.weight", (1, 1)),
    ("attention_blocks.{n}.to_out.0.bias", "attentions.{n}.to_out.bias", (1,)),
)
POSITIONS = "attention_blocks.{n}.pos_encoder.pe"


def _in_block(rows: Rows) -> Rows:
    return tuple((f"transformer_blocks.0.{theirs}", mine, shape) for theirs, mine, shape in rows)


ORIGINAL = KeyTable(
    site=re.compile(
        r"(?P<part>down_blocks|mid_block|up_blocks)(?:\.(?P<level>\d+))?\.motion_modules\.(?P<block>\d+)"
        r"\.temporal_transformer\."
    ),
    module=(
        ("norm.weight", "norm.weight", (1,)),
        ("norm.bias", "norm.bias", (1,)),
        ("proj_in.weight", "proj_in.weight", (1, 1)),
        ("proj_in.bias", "proj_in.bias", (1,)),
        *_in_block(FEED_FORWARD),
        ("proj_out.weight", "proj_out.weight", (1, 1)),
        ("proj_out.bias", "proj_out.bias", (1,)),
    ),
    attention=_in_block(ATTENTION),
    positions=f"transformer_blocks.0.{POSITIONS}",
)


def unet_block(part: str, level: int, block: int) -> BlockIndex:
    """ComfyUI's block of a published motion module, for SD1.5 and SDXL alike.

    Args:
        part: ``down_blocks``, ``mid_block`` or ``up_blocks``.
        level: number of the resolution level; 0 for the middle block.
        block: number of the motion module within the level.

    Returns:
        Part of the UNet and block index. Each level of the way down is two blocks and a downsampler behind the first
        convolution, each level of the way up is three blocks.

    Source:
        comfy/ldm/modules/diffusionmodules/openaimodel.py, the order ``UNetModel`` builds its blocks in.
    """
    if part == "mid_block":
        return "middle", 0
    return ("input", 1 + 3 * level + block) if part == "down_blocks" else ("output", 3 * level + block)


def module_name(part: str, level: int, block: int) -> str:
    """Published name of a motion module, the reverse of ``KeyTable.site``."""
    return f"{part}.motion_modules.{block}" if part == "mid_block" else f"{part}.{level}.motion_modules.{block}"
