"""CameraCtrl files of any width in the published layouts, and RealEstate10K pose texts."""

import torch
from torch import Tensor

from support.files.motion import TOY_WIDTHS, fill, module_names, width_of
from zoetrope.motion_models.networks.positions import sinusoidal_positions

POSITIONS = 16
MERGE = "{}.temporal_transformer.transformer_blocks.0.attention_blocks.0.processor.qkv_merge."

# The first two frames of the authors' assets/pose_files/0bf152ef84195293.txt, with its header.
POSE_TEXT = """https://www.youtube.com/watch?v=QShWPZxTDoE
158692025 0.474812461 0.844111024 0.500000000 0.500000000 0.000000000 0.000000000 0.780003667 0.059620168 -0.622928321 \
0.726968666 -0.062449891 0.997897983 0.017311305 0.217967188 0.622651041 0.025398925 0.782087326 -1.002211444
158958959 0.474812461 0.844111024 0.500000000 0.500000000 0.000000000 0.000000000 0.743836701 0.064830206 -0.665209770 \
0.951841944 -0.068305343 0.997446954 0.020830527 0.206496789 0.664861917 0.029942872 0.746365905 -1.084913992
"""


def conv_shapes(prefix: str, channels_in: int, channels: int) -> dict[str, tuple[int, ...]]:
    """One ResnetBlock as in CameraCtrl.ckpt (ksize 1, sk, no use_conv)."""
    shapes = {prefix + "block1": (channels, channels, 3, 3), prefix + "block2": (channels, channels, 1, 1)}
    if channels_in != channels:
        shapes[prefix + "in_conv"] = (channels, channels_in, 1, 1)
    return {name + ".weight": shape for name, shape in shapes.items()} | {
        name + ".bias": (channels,) for name in shapes
    }


def attention_shapes(prefix: str, channels: int) -> dict[str, tuple[int, ...]]:
    """One TemporalTransformerBlock with one attention."""
    c = channels
    shapes = {f"attention_blocks.0.{part}.weight": (c, c) for part in ("to_q", "to_k", "to_v", "to_out.0")}
    shapes |= {
        "attention_blocks.0.to_out.0.bias": (c,),
        "attention_blocks.0.pos_encoder.pe": (1, POSITIONS, c),
        "norms.0.weight": (c,),
        "norms.0.bias": (c,),
        "ff.net.0.proj.weight": (8 * c, c),
        "ff.net.0.proj.bias": (8 * c,),
        "ff.net.2.weight": (c, 4 * c),
        "ff.net.2.bias": (c,),
        "ff_norm.weight": (c,),
        "ff_norm.bias": (c,),
    }
    return {prefix + name: shape for name, shape in shapes.items()}


def encoder_shapes(widths: tuple[int, ...] = TOY_WIDTHS) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the pose encoder."""
    shapes = {"encoder_conv_in.weight": (widths[0], 384, 3, 3), "encoder_conv_in.bias": (widths[0],)}
    before = widths[0]
    for level, width in enumerate(widths):
        for block in range(2):
            shapes |= conv_shapes(f"encoder_down_conv_blocks.{level}.{block}.", before, width)
            shapes |= attention_shapes(f"encoder_down_attention_blocks.{level}.{block}.", width)
            before = width
    return shapes


def merge_shapes(widths: tuple[int, ...] = TOY_WIDTHS) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the layers in the UNet's motion modules."""
    shapes = {}
    for name in module_names(len(widths)):
        width, base = width_of(name, widths), MERGE.format(name)
        shapes |= {base + "weight": (width, width), base + "bias": (width,)}
    return shapes


def camera_file(widths: tuple[int, ...] = TOY_WIDTHS, seed: int = 31, dtype=torch.float32) -> dict[str, Tensor]:
    """A toy file in the pruned layout."""
    weights = fill(encoder_shapes(widths) | merge_shapes(widths), seed)
    for name in weights:
        if name.endswith(".pe"):
            weights[name] = sinusoidal_positions(POSITIONS, weights[name].shape[-1])
    return {name: weight.to(dtype) for name, weight in weights.items()}


def authors_layout(weights: dict[str, Tensor]) -> dict[str, object]:
    """The same weights as the authors' training script saves them."""
    return {
        "epoch": 3,
        "global_step": 50000,
        "pose_encoder_state_dict": {k: v for k, v in weights.items() if k.startswith("encoder")},
        "attention_processor_state_dict": {k: v for k, v in weights.items() if "qkv_merge" in k},
    }
