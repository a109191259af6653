"""Networks of our own as ComfyUI's model patchers: on the host's devices, in a type it can run."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import comfy.model_management
import comfy.model_patcher
import comfy.ops
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor, nn

from ...inputs.quoting import plain
from ...motion_models.checkpoints.convert import incomplete
from ...motion_models.checkpoints.state_dict import sizes
from ...motion_models.errors import MotionFileError

HALF_PRECISION = (torch.float16, torch.bfloat16)
FP8 = (torch.float8_e4m3fn, torch.float8_e5m2)

Again = tuple[Callable[..., ModelPatcher], tuple[Any, ...]]


def place(network: nn.Module, again: Again, disable_dynamic: bool) -> ModelPatcher:
    """A patcher that loads ``network`` where the host loads UNets.

    Args:
        network: on the host's offload device.
        again: function and arguments that make an equal patcher with weights of its own; the host adds the keyword
            ``disable_dynamic`` to the call (``cached_patcher_init``).
        disable_dynamic: whether the host asked for a patcher without its dynamic loader.
    """
    management = comfy.model_management
    kind = comfy.model_patcher.ModelPatcher if disable_dynamic else comfy.model_patcher.CoreModelPatcher
    management.archive_model_dtypes(network)
    patcher = kind(network, load_device=management.get_torch_device(), offload_device=management.unet_offload_device())
    patcher.cached_patcher_init = again
    return patcher


def build(
    network_class: Callable[..., nn.Module],
    spec: Any,
    weights: dict[str, Tensor],
    again: Again,
    disable_dynamic: bool,
    kept: Collection[torch.dtype] = HALF_PRECISION,
) -> ModelPatcher:
    """A patcher of a network that is built from its description and takes ``weights``.

    Args:
        network_class: takes spec, operations, attention, device and dtype.
        spec: description of the network.
        weights: its state dict.
        again: see `place`.
        disable_dynamic: see `place`.
        kept: types that are stored as the file has them.

    Raises:
        MotionFileError: the weights are not those of the network.
    """
    dtype = _storage_dtype(weights, kept)
    network = network_class(
        spec,
        operations=comfy.ops.manual_cast,
        attention=comfy.ops.scaled_dot_product_attention,
        device=comfy.model_management.unet_offload_device(),
        dtype=dtype,
    )
    patcher = place(network, again, disable_dynamic)
    # The norms and biases of fp8 files are wider and stay so.
    load_weights(network, weights, assign=patcher.is_dynamic() or dtype.itemsize == 1)
    network.eval().requires_grad_(False)
    return patcher


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], kind: str = "file", assign: bool = False) -> None:
    """Give a network all of its weights.

    Args:
        network: as it was built from its description.
        weights: its state dict.
        kind: of the file, in messages.
        assign: take the tensors themselves and do not copy their numbers.

    Raises:
        MotionFileError: a weight is missing, of another shape, or of no layer; the sentence names it.
    """
    wanted = network.state_dict()
    for name, own in wanted.items():
        given = weights.get(name)
        if given is None:
            raise incomplete(f"{name} is missing", kind)
        if given.shape != own.shape:
            raise incomplete(f"{name} is {sizes(given)} and should be {sizes(own)}", kind)
    if unknown := next((name for name in weights if name not in wanted), None):
        raise MotionFileError(
            f"this {kind} has a weight that the published ones do not have, {plain(unknown)}; choose one of those."
        )
    network.load_state_dict(weights, assign=assign)


def _storage_dtype(weights: dict[str, Tensor], kept: Collection[torch.dtype]) -> torch.dtype:
    """What all matrices of the file are in, where that is kept; else what the host would store an fp32 UNet in."""
    kinds = {weight.dtype for weight in weights.values() if weight.ndim == 2}
    if len(kinds) == 1 and (kind := kinds.pop()) in kept:
        return kind
    management = comfy.model_management
    parameters = sum(weight.numel() for weight in weights.values())
    dtype = management.unet_dtype(management.get_torch_device(), parameters, weight_dtype=torch.float32)
    return dtype if dtype.itemsize > 1 else torch.float16  # --fp8_e4m3fn-unet is about the UNet
