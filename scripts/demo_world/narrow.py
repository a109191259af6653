"""The narrow networks as ComfyUI's and the pack's own classes, and the file that holds their weights.

The image network is ComfyUI's ``UNetModel`` at 64 channels with SD1.5's blocks, of which some only pass their input on
(`layout`), so that motion modules find every place they have in a published model.

Shapes: B = pictures.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .host import cldm, model_base, model_patcher, openaimodel, ops, supported_models
from .layout import ACTIVE_ATTENDING, ACTIVE_RESIDUAL, CONTEXT, HEADS, LEVELS, RESIDUAL, UNET, WIDTH

CONFIG = {
    "image_size": 32,
    "use_spatial_transformer": True,
    "legacy": False,
    "adm_in_channels": None,
    "dtype": torch.float32,
    "in_channels": 4,
    "model_channels": WIDTH,
    "num_res_blocks": [2] * LEVELS,
    "channel_mult": [1] * LEVELS,
    "transformer_depth": [int(block in ACTIVE_ATTENDING["input"]) for block in RESIDUAL["input"]],
    "transformer_depth_middle": 1,
    # ComfyUI takes this list from its end.
    "transformer_depth_output": [int(block in ACTIVE_ATTENDING["output"]) for block in reversed(RESIDUAL["output"])],
    "use_linear_in_transformer": False,
    "context_dim": CONTEXT,
    "num_heads": HEADS,
    "out_channels": 4,
    "use_checkpoint": False,
    "use_temporal_attention": False,
    "use_temporal_resblock": False,
}
CPU = torch.device("cpu")


class PassingBlock(openaimodel.ResBlock):
    """A ResBlock that is left out: it passes on the channels from below and drops a skip connection."""

    def __init__(self, channels: int) -> None:
        nn.Module.__init__(self)
        self.out_channels = channels

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        return x[:, : self.out_channels]


Network = TypeVar("Network", openaimodel.UNetModel, cldm.ControlNet)


def initialise(network: Network, seed: int) -> Network:
    """Give a network torch's usual start values, with zero where a residual branch ends."""
    generator = torch.Generator().manual_seed(seed)
    ends = ("out_layers.3", "proj_out", "out.2")
    with torch.no_grad():
        for name, weight in network.named_parameters():
            layer, _, kind = name.rpartition(".")
            if layer.endswith(ends) or (kind == "bias"):
                weight.zero_()
            elif weight.ndim == 1:
                weight.fill_(1.0)
            else:
                bound = 1.0 / math.sqrt(weight[0].numel())
                weight.copy_(torch.rand(weight.shape, generator=generator).mul_(2).sub_(1).mul_(bound * math.sqrt(3)))
    return network


def strip(network: Network) -> Network:
    """Replace the ResBlocks that the narrow network does not have."""
    for part, indices in RESIDUAL.items():
        for index, block in enumerate(getattr(network, f"{part}_blocks", ())):  # a ControlNet has no way up
            if index in indices and index not in ACTIVE_RESIDUAL[part]:
                block[0] = PassingBlock(WIDTH)
    return network


def image_network(seed: int = 0) -> openaimodel.UNetModel:
    """An untrained narrow UNet."""
    unet = openaimodel.UNetModel(**CONFIG, operations=ops.disable_weight_init)
    return initialise(strip(unet), seed)


def control_network(unet: openaimodel.UNetModel, seed: int = 1) -> cldm.ControlNet:
    """An untrained narrow ControlNet that begins as the UNet's way down.

    Source: Zhang et al. 2023, "Adding Conditional Control to Text-to-Image Diffusion Models", section 3.2.
    """
    config = {name: value for name, value in CONFIG.items() if name not in ("out_channels", "transformer_depth_output")}
    network = cldm.ControlNet(**config, hint_channels=3, operations=ops.disable_weight_init)
    initialise(strip(network), seed)
    network.load_state_dict(unet.state_dict(), strict=False)
    for layers in (network.zero_convs, network.middle_block_out):
        for weight in layers.parameters():
            nn.init.zeros_(weight)
    return network


def narrow_model(weights: Mapping[str, Tensor]) -> model_patcher.ModelPatcher:
    """A MODEL of the narrow UNet.

    Args:
        weights: as `load_narrow` returns them.
    """
    model = model_base.BaseModel(supported_models.SD15(dict(CONFIG)), device=CPU)
    strip(model.diffusion_model).load_state_dict(unet_weights(weights))
    model.eval().requires_grad_(False)
    return model_patcher.CoreModelPatcher(model, load_device=CPU, offload_device=CPU)


def unet_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The UNet's part of a narrow file, by ComfyUI's names, in float32."""
    return {key.removeprefix(UNET): weight.float() for key, weight in weights.items() if key.startswith(UNET)}


def load_narrow(path: Path) -> dict[str, Tensor]:
    """Weights of a narrow file: published names, 64 channels, float16."""
    return load_file(path)


def save_narrow(path: Path, weights: Mapping[str, Tensor], made_by: str) -> None:
    """Write a narrow file whole or not at all.

    Args:
        path: of the file.
        weights: by published names.
        made_by: command, seed and time that made them, for the file's metadata.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    tensors = {key: weight.detach().to(torch.float16).contiguous() for key, weight in weights.items()}
    save_file(tensors, partial, metadata={"format": "pt", "made_by": made_by})
    os.replace(partial, path)
