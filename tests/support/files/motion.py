"""Motion module files of any shape in the published layout, and layers that cast their weights."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

TOY_WIDTHS = (32, 64, 64, 64)
SD15_WIDTHS = (320, 640, 1280, 1280)
BLOCK = "temporal_transformer.transformer_blocks.0."


def module_names(levels: int = 4, middle: bool = False) -> list[str]:
    """Published names of all motion modules."""
    names = [f"down_blocks.{i}.motion_modules.{j}" for i in range(levels) for j in range(2)]
    names += ["mid_block.motion_modules.0"] * middle
    return names + [f"up_blocks.{i}.motion_modules.{j}" for i in range(levels) for j in range(3)]


def width_of(name: str, widths: tuple[int, ...]) -> int:
    """Channels of the UNet level that a motion module belongs to."""
    part, level, *_ = name.split(".")
    if part == "mid_block":
        return widths[-1]
    return widths[int(level)] if part == "down_blocks" else widths[::-1][int(level)]


def module_shapes(channels: int, positions: int | None, attentions: int = 2) -> dict[str, tuple[int, ...]]:
    """Names and shapes of one motion module, as in mm_sd_v15_v2.ckpt."""
    c = channels
    shapes = {
        "temporal_transformer.norm.weight": (c,),
        "temporal_transformer.norm.bias": (c,),
        "temporal_transformer.proj_in.weight": (c, c),
        "temporal_transformer.proj_in.bias": (c,),
        "temporal_transformer.proj_out.weight": (c, c),
        "temporal_transformer.proj_out.bias": (c,),
        BLOCK + "ff_norm.weight": (c,),
        BLOCK + "ff_norm.bias": (c,),
        BLOCK + "ff.net.0.proj.weight": (8 * c, c),
        BLOCK + "ff.net.0.proj.bias": (8 * c,),
        BLOCK + "ff.net.2.weight": (c, 4 * c),
        BLOCK + "ff.net.2.bias": (c,),
    }
    for n in range(attentions):
        attention = f"{BLOCK}attention_blocks.{n}."
        shapes |= {attention + f"{part}.weight": (c, c) for part in ("to_q", "to_k", "to_v", "to_out.0")}
        shapes |= {attention + "to_out.0.bias": (c,)}
        shapes |= {f"{BLOCK}norms.{n}.weight": (c,), f"{BLOCK}norms.{n}.bias": (c,)}
        if positions is not None:
            shapes[attention + "pos_encoder.pe"] = (1, positions, c)
    return shapes


def motion_shapes(
    widths: tuple[int, ...] = TOY_WIDTHS, middle: bool = False, positions: int | None = 24, attentions: int = 2
) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a whole motion module file."""
    return {
        f"{name}.{end}": shape
        for name in module_names(len(widths), middle)
        for end, shape in module_shapes(width_of(name, widths), positions, attentions).items()
    }


def fill(shapes: dict[str, tuple[int, ...]], seed: int = 0, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Seeded weights: matrices and kernels keep the size of what they multiply, gains are near 1, the rest is small."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in shapes.items():
        noise = torch.randn(shape, generator=generator)
        if len(shape) > 3:
            noise = noise * math.prod(shape[1:]) ** -0.5
        elif len(shape) == 2:
            noise = noise * shape[1] ** -0.5
        elif len(shape) == 1:
            noise = 0.1 * noise + name.endswith("weight")
        weights[name] = noise.to(dtype)
    return weights


def motion_file(**options) -> dict[str, Tensor]:
    """A toy motion module file; ``dtype`` and ``seed`` go to `fill`, the rest to `motion_shapes`."""
    filling = {key: options.pop(key) for key in ("dtype", "seed") if key in options}
    return fill(motion_shapes(**options), **filling)


class CastingLinear(nn.Linear):
    def reset_parameters(self) -> None:
        """Leave the weights as they are; fp8 has no random initialisation."""

    def forward(self, input: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.to(input.dtype)
        return functional.linear(input, self.weight.to(input.dtype), bias)


class CastingLayerNorm(nn.LayerNorm):
    def forward(self, input: Tensor) -> Tensor:
        weight, bias = self.weight.to(input.dtype), self.bias.to(input.dtype)
        return functional.layer_norm(input, self.normalized_shape, weight, bias, self.eps)


class CastingGroupNorm(nn.GroupNorm):
    def forward(self, input: Tensor) -> Tensor:
        weight, bias = self.weight.to(input.dtype), self.bias.to(input.dtype)
        return functional.group_norm(input, self.num_groups, weight, bias, self.eps)


class CastingOperations:
    """Layers that bring their weights to the input's dtype, as comfy.ops.manual_cast does."""

    Linear = CastingLinear
    LayerNorm = CastingLayerNorm
    GroupNorm = CastingGroupNorm
