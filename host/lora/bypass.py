"""LoRAs of the UNet beside its weights, with strengths that change over the sampling steps or the frames.

While one UNet call runs, forward hooks add low-rank terms to the outputs of the layers; nothing stays on the UNet.

Shapes: B = chunks, F = frames of a chunk (of all windows stacked in it), R = B * F rows of the call.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from comfy.model_base import BaseModel
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from comfy.weight_adapter.lora import LoRAAdapter
from torch import Tensor, nn

from ...inputs.quoting import quoted
from ...motion_models.networks.low_rank import Convolution, LoraPair
from ...motion_models.networks.module_call import Branch
from ..call import keys
from ..call.compiled import innermost, without_graphs
from ..call.frames import call_frames
from ..call.lifetime import until_backward
from ..call.run_report import begin_report
from ..call.sampling_range import SamplingRange
from ..call.strength import Strength
from ..call.wrappers import bound, put_on
from .low_rank import BypassLora, low_rank_patcher

Patches = Mapping[Any, Any]  # core's: a LoRAAdapter or another kind of change by weight, or by (weight, part of it)


def apply_patches(
    model: ModelPatcher, name: str, patches: Patches, strength: Strength, when: SamplingRange
) -> ModelPatcher:
    """A clone of ``model`` with a LoRA of its UNet.

    Args:
        model: the MODEL.
        name: of the LoRA's file, for messages.
        patches: as core reads them from a file.
        strength: factor of the learnt change, also over frames; 0 leaves it out.
        when: factor over the sampling steps. What is constant becomes part of the weights.

    Raises:
        ValueError: the strength changes and the file holds something else than low-rank pairs.
    """
    adapted = model.clone()
    if strength.off:
        return adapted
    if strength.constant and when.always:
        adapted.add_patches(dict(patches), strength.number)
        return adapted
    put_beside(adapted, BypassLora(name, strength, when), low_rank_patcher([pairs_of(model.model, name, patches)]))
    return adapted


def put_beside(model: ModelPatcher, lora: BypassLora, network: ModelPatcher) -> None:
    """Let a LoRA act beside the weights of ``model`` (a clone owned by the caller).

    Args:
        model: the MODEL.
        lora: what is known of it.
        network: patcher of a `LowRankNetwork` with its one file.
    """
    networks = model.get_additional_models_with_key(keys.BYPASS_LORA)
    model.set_additional_models(keys.BYPASS_LORA, [*networks, network])
    model.set_attachments(keys.BYPASS_LORA, (*loras_of(model), lora))
    put_on(model, keys.BYPASS_LORA, {WrappersMP.OUTER_SAMPLE: _begin, WrappersMP.APPLY_MODEL: _apply_model})


def loras_of(model: ModelPatcher) -> tuple[BypassLora, ...]:
    """LoRAs beside the weights of ``model``, in the order of their networks."""
    return model.get_attachment(keys.BYPASS_LORA) or ()


def pairs_of(base: nn.Module, name: str, patches: Patches) -> list[LoraPair]:
    """Low-rank pairs shaped like the layers they belong to.

    Args:
        base: has the layers.
        name: of the LoRA's file, for messages.
        patches: as core reads them from a file.

    Raises:
        ValueError: a patch is of another kind, such as LoHa, LoKr, DoRA or a full difference.
    """
    other = {key: patch for key, patch in patches.items() if not _is_pair(key, patch)}
    if other:
        kinds = sorted({_kind(patch) for patch in other.values()})
        raise ValueError(
            f"{quoted(name)} changes {len(other)} of its {len(patches)} layers by {', '.join(kinds)}, whose strength cannot "
            "change over frames or steps, only that of LoRA and LoCon pairs can; use a constant strength over the "
            "whole of sampling, or another LoRA."
        )
    return [_pair(base, key, patch) for key, patch in patches.items()]


def _is_pair(key: Any, patch: Any) -> bool:
    """Whether a patch is a pair for the whole of a weight, without DoRA's magnitudes and without padding."""
    plain = isinstance(key, str) and key.endswith(".weight") and isinstance(patch, LoRAAdapter)
    return plain and patch.weights[4] is None and patch.weights[5] is None


def _kind(patch: Any) -> str:
    if isinstance(patch, LoRAAdapter):
        return "DoRA" if patch.weights[4] is not None else "LoRA for parts of a layer"
    return type(patch).__name__.removesuffix("Adapter") if hasattr(patch, "weights") else "whole differences"


def _pair(base: nn.Module, key: str, patch: LoRAAdapter) -> LoraPair:
    """A pair in the shape of its layer; files hold 1x1 convolutions as matrices and the other way round."""
    layer = base.get_submodule(key.removesuffix(".weight"))
    up, down, alpha, middle, *_ = patch.weights
    rank, alpha = down.shape[0], None if alpha is None else float(alpha)
    if middle is not None:  # Tucker form: a 1x1 convolution to the rank, then one of the layer's size within the rank
        down = torch.einsum("mrhw,ri->mihw", middle, down.flatten(1))
    if isinstance(layer, nn.Conv2d):
        moves = Convolution(layer.stride, layer.padding, layer.dilation)
        kernel = layer.kernel_size
        return LoraPair(key, None, up.view(*up.shape[:2], 1, 1), down.view(rank, -1, *kernel), alpha, moves)
    return LoraPair(key, None, up.flatten(1), down.flatten(1), alpha)


def _apply_model(executor, *args, **kwargs):
    """APPLY_MODEL wrapper: the LoRAs due at this step add their terms to the layers they belong to."""
    base: BaseModel = executor.class_obj
    call = bound(WrappersMP.APPLY_MODEL, args, kwargs).arguments
    options, rows = call.get("transformer_options") or {}, call["x"].shape[0]
    model = base.current_patcher
    networks = [patcher.model for patcher in model.get_additional_models_with_key(keys.BYPASS_LORA)]
    run = executor
    with until_backward(options) as stack:
        for lora, network in zip(loras_of(model), networks, strict=True):
            factors = RowFactors(lora.strength, lora.when.at(base, options), options, rows)
            if factors.any:
                run = innermost(executor, without_graphs)
                for layer, branch in network.branches(0, 1.0):
                    handle = base.get_submodule(layer).register_forward_hook(_term(branch, factors))
                    stack.callback(handle.remove)
        return run(*args, **kwargs)


def _begin(executor, *args, **kwargs):
    """OUTER_SAMPLE wrapper: what is said once in a run needs the run."""
    begin_report(executor.class_obj)
    return executor(*args, **kwargs)


class RowFactors:
    """Strength of a LoRA for each row of one UNet call.

    Args:
        strength: over frames.
        factor: at this step.
        options: the call's transformer_options.
        rows: R.
    """

    def __init__(self, strength: Strength, factor: float, options: dict, rows: int):
        frames, memo = call_frames(options, rows), options.get(keys.RUN_CACHE)
        self.value = factor
        if factor:
            self.value = factor * strength.at(frames.numbers, frames.total, 1, 1, torch.empty(0), memo)
        if isinstance(self.value, Tensor):
            self.value = self.value.flatten().repeat(frames.chunks)
        self.any = bool(self.value.any()) if isinstance(self.value, Tensor) else self.value != 0
        self._cast: dict[tuple, Tensor] = {}  # hundreds of layers ask for the same

    def like(self, out: Tensor) -> float | Tensor:
        """A number, or one per row of a layer's output, to be multiplied with it.

        Packs that attend in tiles (HyperTile) make several rows of each, one after the other.

        Raises:
            RuntimeError: the rows of the layer are no multiple of the call's.
        """
        if not isinstance(self.value, Tensor):
            return self.value
        key = (out.shape[0], out.device, out.dtype)
        if key not in self._cast:
            repeats, rest = divmod(out.shape[0], len(self.value))
            if rest or not repeats:
                raise RuntimeError(
                    f"A layer of the UNet got {out.shape[0]} rows where the call has {len(self.value)}, so a LoRA whose "
                    "strength changes over frames cannot tell the frames; remove the node that regroups them."
                )
            self._cast[key] = self.value.repeat_interleave(repeats).to(out)
        return self._cast[key].view(-1, *[1] * (out.ndim - 1))


def _term(branch: Branch, factors: RowFactors) -> Callable[[nn.Module, tuple[Tensor], Tensor], None]:
    return lambda _layer, args, out: replace(branch, strength=factors.like(out)).add_to(out, args[0])
