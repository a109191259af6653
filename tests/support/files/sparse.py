"""SparseCtrl files of any width in the three published layouts (pure torch, seeded).

Source of the names: guoyww/AnimateDiff ``animatediff/models/sparse_controlnet.py``; diffusers
``scripts/convert_animatediff_sparsectrl_to_diffusers.py``; Mikubill/sd-webui-controlnet's SparseCtrl.
"""

from support.files.motion import fill, module_shapes

PIXEL_CONVS = ((16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 96, 2), (96, 96, 1), (96, 256, 2))
LEVELS, BLOCKS = 4, 2
# Image layers by the start of their names: in the original file, in ComfyUI's ControlNet.
IN_COMFY = {
    "time_embedding.linear_1.": "time_embed.0.",
    "time_embedding.linear_2.": "time_embed.2.",
    "conv_in.": "input_blocks.0.0.",
    "down_blocks.0.resnets.0.": "input_blocks.1.0.",
    "down_blocks.0.attentions.0.": "input_blocks.1.1.",
    "down_blocks.0.resnets.1.": "input_blocks.2.0.",
    "down_blocks.0.attentions.1.": "input_blocks.2.1.",
    "down_blocks.0.downsamplers.0.conv.": "input_blocks.3.0.op.",
    "down_blocks.1.resnets.0.": "input_blocks.4.0.",
    "down_blocks.1.attentions.0.": "input_blocks.4.1.",
    "down_blocks.1.resnets.1.": "input_blocks.5.0.",
    "down_blocks.1.attentions.1.": "input_blocks.5.1.",
    "down_blocks.1.downsamplers.0.conv.": "input_blocks.6.0.op.",
    "down_blocks.2.resnets.0.": "input_blocks.7.0.",
    "down_blocks.2.attentions.0.": "input_blocks.7.1.",
    "down_blocks.2.resnets.1.": "input_blocks.8.0.",
    "down_blocks.2.attentions.1.": "input_blocks.8.1.",
    "down_blocks.2.downsamplers.0.conv.": "input_blocks.9.0.op.",
    "down_blocks.3.resnets.0.": "input_blocks.10.0.",
    "down_blocks.3.resnets.1.": "input_blocks.11.0.",
    "mid_block.resnets.0.": "middle_block.0.",
    "mid_block.attentions.0.": "middle_block.1.",
    "mid_block.resnets.1.": "middle_block.2.",
    "controlnet_mid_block.": "middle_block_out.0.",
    **{f"controlnet_down_blocks.{k}.": f"zero_convs.{k}.0." for k in range(12)},
}
RESNET = {
    "norm1.": "in_layers.0.",
    "conv1.": "in_layers.2.",
    "time_emb_proj.": "emb_layers.1.",
    "norm2.": "out_layers.0.",
    "conv2.": "out_layers.3.",
    "conv_shortcut.": "skip_connection.",
}


def _conv(name: str, out: int, inp: int, size: int = 3) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, inp, size, size), f"{name}.bias": (out,)}


def _linear(name: str, out: int, inp: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, inp), f"{name}.bias": (out,)}


def _norm(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}


def _resnet(name: str, inp: int, out: int, time: int) -> dict[str, tuple[int, ...]]:
    shapes = (
        _norm(f"{name}.norm1", inp) | _conv(f"{name}.conv1", out, inp) | _linear(f"{name}.time_emb_proj", out, time)
    )
    shapes |= _norm(f"{name}.norm2", out) | _conv(f"{name}.conv2", out, out)
    return shapes | (_conv(f"{name}.conv_shortcut", out, inp, 1) if inp != out else {})


def _transformer(name: str, c: int, context: int) -> dict[str, tuple[int, ...]]:
    block = f"{name}.transformer_blocks.0"
    shapes = _norm(f"{name}.norm", c) | _conv(f"{name}.proj_in", c, c, 1) | _conv(f"{name}.proj_out", c, c, 1)
    for attention, width in (("attn1", c), ("attn2", context)):
        shapes |= {f"{block}.{attention}.{part}.weight": (c, width) for part in ("to_k", "to_v")}
        shapes |= {f"{block}.{attention}.to_q.weight": (c, c)} | _linear(f"{block}.{attention}.to_out.0", c, c)
    shapes |= _linear(f"{block}.ff.net.0.proj", 8 * c, c) | _linear(f"{block}.ff.net.2", c, 4 * c)
    for norm in ("norm1", "norm2", "norm3"):
        shapes |= _norm(f"{block}.{norm}", c)
    return shapes


def _hint(kind: str, width: int) -> dict[str, tuple[int, ...]]:
    if kind == "rgb":
        return _conv("controlnet_cond_embedding", width, 5)
    shapes = _conv("controlnet_cond_embedding.conv_in", 16, 4)
    for number, (inp, out, _) in enumerate(PIXEL_CONVS):
        shapes |= _conv(f"controlnet_cond_embedding.blocks.{number}", out, inp)
    return shapes | _conv("controlnet_cond_embedding.conv_out", width, 256)


def sparse_shapes(
    kind: str, widths: tuple[int, ...] = (32,) * LEVELS, context: int = 16, positions: int | None = 32
) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a file in the original layout."""
    time, before = 4 * widths[0], widths[0]
    shapes = _linear("time_embedding.linear_1", time, before) | _linear("time_embedding.linear_2", time, time)
    shapes |= _conv("conv_in", before, 4) | _hint(kind, before)
    outputs = [before]
    for level, width in enumerate(widths):
        for block in range(BLOCKS):
            shapes |= _resnet(f"down_blocks.{level}.resnets.{block}", before, width, time)
            if level < LEVELS - 1:
                shapes |= _transformer(f"down_blocks.{level}.attentions.{block}", width, context)
            module = module_shapes(width, positions, attentions=1)
            shapes |= {f"down_blocks.{level}.motion_modules.{block}.{end}": shape for end, shape in module.items()}
            before = width
        if level < LEVELS - 1:
            shapes |= _conv(f"down_blocks.{level}.downsamplers.0.conv", width, width)
        outputs += [width] * (BLOCKS + (level < LEVELS - 1))
    for block in range(2):
        shapes |= _resnet(f"mid_block.resnets.{block}", before, before, time)
    shapes |= _transformer("mid_block.attentions.0", before, context) | _conv("controlnet_mid_block", before, before, 1)
    for number, width in enumerate(outputs):
        shapes |= _conv(f"controlnet_down_blocks.{number}", width, width, 1)
    return shapes


def sparse_file(kind: str, seed: int = 21, **options) -> dict:
    """A file in the original layout with seeded weights; the zero convolutions are not zero."""
    return fill(sparse_shapes(kind, **options), seed)


def comfy_name(name: str) -> str:
    """ComfyUI's name of an image layer of the original file; other names as they are."""
    for old, new in IN_COMFY.items():
        if name.startswith(old):
            rest = name.removeprefix(old)
            part = next((part for part in RESNET if ".resnets." in old and rest.startswith(part)), "")
            return new + RESNET.get(part, "") + rest.removeprefix(part)
    return name


def a1111_layout(weights: dict) -> dict:
    """The file as sd-webui-controlnet publishes it."""
    return {
        comfy_name(name).replace("controlnet_cond_embedding", "input_hint_block.0"): w for name, w in weights.items()
    }


def diffusers_layout(weights: dict) -> dict:
    """The file as diffusers' converter writes it: other names in the motion modules, and no positions."""
    names = {"attention_blocks.0": "attn1", "norms.0": "norm1", "ff_norm": "norm3", ".temporal_transformer": ""}
    out = {}
    for name, weight in weights.items():
        if "motion_modules" in name:
            for old, new in names.items():
                name = name.replace(old, new)
        if "pos_encoder" not in name:
            out[name] = weight
    return out
