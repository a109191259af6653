"""Motion module and MotionLoRA files for the toy UNets, in the published key layouts (pure torch, seeded)."""

import torch

from support.files.motion import fill, module_names, motion_file
from zoetrope.motion_models.networks.positions import sinusoidal_positions

# family -> (middle block, stored positions, resolution levels), as in the published files
SHAPES = {
    "v1": (False, 24, 4),
    "v2": (True, 32, 4),
    "v3": (False, 32, 4),
    "long": (True, 64, 4),
    "sdxl_beta": (False, 32, 3),
    "hotshot_xl": (False, 24, 3),
    "animatelcm": (True, None, 4),
    "animatelcm_i2v": (True, None, 4),
    "lightning": (True, 32, 4),
    "pia": (True, 32, 4),
}


def motion_state_dict(version: str = "v2", channels: int = 32, seed: int = 11, gain: float = 0.5) -> dict:
    """A motion module file of a family.

    Args:
        version: name of the family; a Lightning file is told from v2 only by its name.
        channels: width of every block.
        seed: seed of the weights.
        gain: size of proj_out; 0 gives the untrained module, which changes nothing.
    """
    middle, positions, levels = SHAPES[version]
    weights = motion_file(widths=(channels,) * levels, middle=middle, positions=positions, seed=seed)
    for key in weights:
        if "proj_out" in key:
            weights[key] *= gain
        elif key.endswith(".pe"):
            weights[key] = sinusoidal_positions(positions or 0, channels)
        elif "to_q" in key or "to_k" in key:
            weights[key] *= 2.0  # frames choose whom they attend to
    if version == "hotshot_xl":
        return {hotshot_name(key): weight for key, weight in weights.items()}
    if version == "pia":
        image = {"conv_in.weight": (channels, 9, 3, 3), "conv_in.bias": (channels,)}
        weights |= fill(image, seed + 1)
    if version == "animatelcm_i2v":
        from support.toy_models.image_encoder import image_encoder_shapes

        weights |= fill(image_encoder_shapes((channels,) * levels), seed + 1)
    return weights


def hotshot_name(key: str) -> str:
    """Name of a weight in HotshotXL's files.

    Source: hotshotco/Hotshot-XL ``hotshot_xl/models/transformer_temporal.py`` and ``unet_blocks.py``.
    """
    key = key.replace("motion_modules", "temporal_attentions").replace(".temporal_transformer", "")
    return key.replace("pos_encoder.pe", "pos_encoder.positional_encoding")


def diffusers_layout(weights: dict, stored_positions: bool = True) -> dict:
    """A motion module file in the layout of diffusers' MotionAdapter.

    Source: diffusers ``scripts/convert_animatediff_motion_module_to_diffusers.py``; its models store one positional
    encoding per block, as ``pos_embed.pe``.
    """
    names = {"attention_blocks.0": "attn1", "attention_blocks.1": "attn2", "norms.0": "norm1", "norms.1": "norm2"}
    out = {}
    for key, weight in weights.items():
        key = key.replace("temporal_transformer.", "").replace("ff_norm", "norm3")
        if key.endswith("attention_blocks.0.pos_encoder.pe") and stored_positions:
            key = key.replace("attention_blocks.0.pos_encoder.pe", "pos_embed.pe")
        elif key.endswith("pos_encoder.pe"):
            continue
        for old, new in names.items():
            key = key.replace(old, new)
        out[key] = weight
    return out


def lora_layers(mid: bool = True, levels: int = 4, feed_forward: bool = False) -> list[tuple[str, int, int]]:
    """(layer in the original layout, output and input widths) of every layer a MotionLoRA changes."""
    layers = []
    for name in module_names(levels=levels, middle=mid):
        block = f"{name}.temporal_transformer.transformer_blocks.0."
        layers += [
            (f"{block}attention_blocks.{n}.{part}", 1, 1)
            for n in range(2)
            for part in ("to_q", "to_k", "to_v", "to_out.0")
        ]
        layers += [(f"{block}ff.net.0.proj", 8, 1), (f"{block}ff.net.2", 1, 4)] * feed_forward
    return layers


def lora_state_dict(
    mid: bool = True,
    channels: int = 32,
    rank: int = 4,
    seed: int = 12,
    layout: str = "original",
    feed_forward: bool = False,
    levels: int = 4,
) -> dict:
    """A MotionLoRA file: q, k, v and out of both attentions of every module, and the feed-forward where asked for."""
    generator = torch.Generator().manual_seed(seed)
    out = {}
    for layer, rows, columns in lora_layers(mid, levels, feed_forward):
        width = columns * channels
        down = torch.randn((rank, width), generator=generator) / width**0.5
        up = torch.randn((rows * channels, rank), generator=generator) / rank**0.5
        down_name, up_name = LORA_NAMES[layout](layer)
        out |= {down_name: down, up_name: up}
        if layout == "kohya":
            out[down_name.split(".")[0] + ".alpha"] = torch.tensor(float(rank))
    return out


def _processor(layer: str, *, out_number: bool) -> tuple[str, str]:
    """Names of peft-less training code: "processor" before the last part."""
    layer = layer if out_number else layer.removesuffix(".0") if ".to_out" in layer else layer
    before, _, last = layer.rpartition(".")
    return f"{before}.processor.{last}_lora.down.weight", f"{before}.processor.{last}_lora.up.weight"


def _in_diffusers(layer: str) -> str:
    layer = layer.replace("temporal_transformer.", "")
    return "unet." + layer.replace("attention_blocks.0", "attn1").replace("attention_blocks.1", "attn2")


def _kohya(layer: str) -> tuple[str, str]:
    flat = "lora_unet_" + layer.replace(".", "_")
    return f"{flat}.lora_down.weight", f"{flat}.lora_up.weight"


def _peft(layer: str) -> tuple[str, str]:
    return f"{layer}.lora_A.weight", f"{layer}.lora_B.weight"


# layout -> layer in the original layout -> names of down and up.
# Sources: the published v2_lora files; ExponentialML/AnimateDiff-MotionDirector's exports as read by
# ComfyUI-AnimateDiff-Evolved; diffusers' convert_animatediff_motion_lora_to_diffusers.py; PEFT; kohya-ss/sd-scripts.
LORA_NAMES = {
    "original": lambda layer: _processor(layer, out_number=False),
    "motion_director": lambda layer: _processor(layer, out_number=True),
    "diffusers": lambda layer: _processor(_in_diffusers(layer), out_number=False),
    "peft": lambda layer: _peft(_in_diffusers(layer)),
    "peft_original": lambda layer: _peft("base_model.model." + layer),
    "kohya": _kohya,
    "kohya_diffusers": lambda layer: _kohya(_in_diffusers(layer).removeprefix("unet.")),
}
