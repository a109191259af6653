"""Exact widening: narrow weights of 64 channels as files of the published 320-channel layouts.

Each narrow channel becomes five equal ones, and whoever reads it reads the first of the five. Norms see the same
statistics, eight heads of 8 become eight heads of 40 whose queries are divided by sqrt(5), and a sinusoid of 320 channels
holds that of 64 at every fifth. Numbers are copied and not divided, so float16 stays exact but for the queries.

Shapes: r = rank of a MotionLoRA.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from toy_models.motion import positions

from .layout import (
    ACTIVE_ATTENDING,
    ACTIVE_RESIDUAL,
    ATTENDING,
    CONTEXT,
    CONTROL,
    REPEAT,
    RESIDUAL,
    UNET,
    WIDE,
)

HINT, HINT_END = "input_hint_block.", "input_hint_block.14."
LATENT_IN, LATENT_OUT = "input_blocks.0.0.", "out.2."
FRAMES = 32  # of a v3 motion module's positions
EMBEDDING = 4 * WIDE


def narrow_positions() -> Tensor:
    """What narrow motion modules read of the published table, (1, 32, 64)."""
    return positions(FRAMES)[..., ::REPEAT].contiguous()


def copied(weight: Tensor) -> Tensor:
    """Rows five times each."""
    return weight.repeat_interleave(REPEAT, dim=0)


def reading_first(weight: Tensor) -> Tensor:
    """Columns for an input of five equal channels each, of which the first counts."""
    wide = weight.new_zeros(weight.shape[0], weight.shape[1] * REPEAT, *weight.shape[2:])
    wide[:, ::REPEAT] = weight
    return wide


def widened(name: str, weight: Tensor) -> Tensor:
    """One weight of a UNet, a ControlNet or a motion module.

    Args:
        name: published name, without ``model.diffusion_model.`` or ``control_model.``.
        weight: with 64 channels.
    """
    if name.startswith(HINT) and not name.startswith(HINT_END):
        return weight
    if not name.startswith(LATENT_OUT):
        weight = copied(weight)
    if weight.ndim > 1 and not name.startswith((LATENT_IN, HINT_END)) and weight.shape[1] != CONTEXT:
        weight = reading_first(weight)
    return weight / math.sqrt(REPEAT) if name.endswith("to_q.weight") else weight


def residual_block(inputs: int, embedding: int = EMBEDDING) -> dict[str, Tensor]:
    """A ResBlock that passes on the first 320 of its inputs."""
    weights = {
        "in_layers.0.weight": torch.ones(inputs),
        "in_layers.2.weight": torch.zeros(WIDE, inputs, 3, 3),
        "emb_layers.1.weight": torch.zeros(WIDE, embedding),
        "out_layers.0.weight": torch.ones(WIDE),
        "out_layers.3.weight": torch.zeros(WIDE, WIDE, 3, 3),
    }
    if inputs != WIDE:
        weights["skip_connection.weight"] = torch.eye(WIDE, inputs)[:, :, None, None]
    biases = {name.replace("weight", "bias"): torch.zeros(weight.shape[0]) for name, weight in weights.items()}
    biases |= {"in_layers.0.bias": torch.zeros(inputs)}
    return weights | biases


def spatial_transformer() -> dict[str, Tensor]:
    """A spatial transformer that changes nothing."""
    block = "transformer_blocks.0."
    weights = {f"{block}norm{n}.weight": torch.ones(WIDE) for n in (1, 2, 3)}
    weights |= {f"{block}norm{n}.bias": torch.zeros(WIDE) for n in (1, 2, 3)}
    for attention, width in (("attn1", WIDE), ("attn2", CONTEXT)):
        weights |= {f"{block}{attention}.to_{part}.weight": torch.zeros(WIDE, width) for part in "kv"}
        weights[f"{block}{attention}.to_q.weight"] = torch.zeros(WIDE, WIDE)
        weights |= _layer(f"{block}{attention}.to_out.0", WIDE, WIDE)
    weights |= _layer(f"{block}ff.net.0.proj", 8 * WIDE, WIDE) | _layer(f"{block}ff.net.2", WIDE, 4 * WIDE)
    weights |= {"norm.weight": torch.ones(WIDE), "norm.bias": torch.zeros(WIDE)}
    return weights | _layer("proj_in", WIDE, WIDE, 1, 1) | _layer("proj_out", WIDE, WIDE, 1, 1)


def _layer(name: str, *shape: int) -> dict[str, Tensor]:
    return {f"{name}.weight": torch.zeros(shape), f"{name}.bias": torch.zeros(shape[0])}


def _silent(prefix: str, parts: tuple[str, ...]) -> dict[str, Tensor]:
    """The published blocks that the narrow network does not have."""
    weights = {}
    for part in parts:
        for index in RESIDUAL[part]:
            key = f"{prefix}{part}_blocks.{index}."
            if index not in ACTIVE_RESIDUAL[part]:
                block = residual_block(WIDE if part == "input" else 2 * WIDE)
                weights |= {f"{key}0.{name}": weight for name, weight in block.items()}
            if index in ATTENDING[part] and index not in ACTIVE_ATTENDING[part]:
                weights |= {f"{key}1.{name}": weight for name, weight in spatial_transformer().items()}
    return weights


def _network(narrow: Mapping[str, Tensor], prefix: str, parts: tuple[str, ...]) -> dict[str, Tensor]:
    wide = _silent(prefix, parts)
    for key, weight in narrow.items():
        if key.startswith(prefix):
            wide[key] = widened(key.removeprefix(prefix), weight)
    return wide


def wide_unet(narrow: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """SD1.5's UNet, below ``model.diffusion_model.``, of a narrow file's weights."""
    return _network(narrow, UNET, ("input", "output"))


def wide_controlnet(narrow: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An SD1.5 ControlNet, below ``control_model.``, of a narrow file's weights."""
    return _network(narrow, CONTROL, ("input",))


def wide_motion(narrow: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """A v3 motion module file.

    Args:
        narrow: a narrow file's weights, which leave the positions out.
        prefix: what stands before the published names there.
    """
    names = [key.removeprefix(prefix) for key in narrow if key.startswith(prefix)]
    return with_positions({name: widened(name, narrow[prefix + name]) for name in names}, positions(FRAMES))


def with_positions(module: Mapping[str, Tensor], table: Tensor) -> dict[str, Tensor]:
    """Published motion modules with a table of positions for each attention."""
    end = ".to_q.weight"
    tables = {name.removesuffix(end) + ".pos_encoder.pe": table.clone() for name in module if name.endswith(end)}
    return {**module, **tables}


def wide_motion_lora(narrow: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """An official MotionLoRA; ``down`` is (r, 64) in the narrow file and ``up`` (64, r).

    Args:
        narrow: a narrow file's weights.
        prefix: what stands before the published names there.
    """
    wide = {}
    for key, weight in narrow.items():
        if key.startswith(prefix):
            name = key.removeprefix(prefix)
            part = reading_first(weight) if name.endswith("down.weight") else copied(weight)
            wide[name] = part / math.sqrt(REPEAT) if name.endswith("to_q_lora.up.weight") else part
    return wide
