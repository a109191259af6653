"""The domain adapter of AnimateDiff v3: a LoRA of the image layers, constant or changing with the sampling steps."""

import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import comfy.lora
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from comfy.weight_adapter.lora import LoRAAdapter
from torch import Tensor, nn

from ..motion_models.call import Branch
from ..motion_models.lora import LoraPair
from ..motion_models.low_rank import LowRankNetwork
from ..motion_models.state import tensors, unwrap
from . import files
from .lora import low_rank_patcher
from .ranges import SamplingRange

KEY = "zoetrope_adapter"
FOLDERS = ("loras", files.MOTION_MODELS)
LAYER = re.compile(r"attentions\.\d+\.transformer_blocks\.\d+\.attn[12]\.processor\.to_\w+_lora\.")


@dataclass(frozen=True)
class RunAdapter:
    """A domain adapter whose strength changes with the steps.

    Attributes:
        strength: factor of the learnt change.
        range: factor over the sampling steps.
    """

    strength: float
    range: SamplingRange


def names() -> list[str]:
    """Files of both folders, each name once."""
    return list(dict.fromkeys(name for folder in FOLDERS for name in files.names(folder)))


def missing(name: str) -> str | None:
    """A sentence when the file is in neither folder."""
    if name in names():
        return None
    return f"'{name}' is in neither models/loras nor models/{files.MOTION_MODELS}; put the file there and press R."


def apply_domain_adapter(model: ModelPatcher, name: str, strength: float, acts: SamplingRange) -> ModelPatcher:
    """A clone of ``model`` with the adapter.

    Args:
        model: MODEL of an SD1.5 checkpoint.
        name: file name.
        strength: factor of the learnt change; 0 leaves it out.
        acts: when it acts. A constant adapter becomes part of the weights; another runs beside them.

    Raises:
        ValueError: the file is missing or no domain adapter, or does not fit this MODEL.
    """
    pairs = _read(model, name)
    adapted = model.clone()
    if strength == 0:
        return adapted
    if acts.always:
        adapted.add_patches(pairs, strength)
        return adapted
    applied = adapted.get_additional_models_with_key(KEY)
    adapted.set_additional_models(KEY, [*applied, low_rank_patcher([_low_rank(pairs)])])
    adapted.set_attachments(KEY, (*(adapted.get_attachment(KEY) or ()), RunAdapter(strength, acts)))
    adapted.remove_wrappers_with_key(WrappersMP.APPLY_MODEL, KEY)
    adapted.add_wrapper_with_key(WrappersMP.APPLY_MODEL, KEY, _apply_model)
    return adapted


def _read(model: ModelPatcher, name: str) -> dict[str, LoRAAdapter]:
    """The adapter's pairs by weight of this MODEL; core knows the names."""
    folder = next((folder for folder in FOLDERS if name in files.names(folder)), FOLDERS[0])
    weights = tensors(unwrap(files.read(folder, name)[1]))
    known = {key: tensor for key, tensor in weights.items() if LAYER.search(key)}
    if not known:
        raise ValueError(
            f"'{name}' is no domain adapter (its first weight is '{next(iter(weights), 'none')}'); choose "
            "v3_sd15_adapter, or load an ordinary LoRA with the core node Load LoRA."
        )
    keys = comfy.lora.model_lora_keys_unet(model.model, {})
    patches = comfy.lora.load_lora(known, keys)
    shapes = {key: weight.shape for key, weight in model.model.state_dict().items()}
    fitting = {
        key: patch
        for key, patch in patches.items()
        if isinstance(patch, LoRAAdapter) and (patch.weights[0].shape[0], patch.weights[1].shape[1]) == shapes[key][:2]
    }
    if 2 * len(fitting) != len(known):
        raise ValueError(
            f"'{name}' fits {len(fitting)} of its {len(known) // 2} layers to this MODEL; the domain adapter is made "
            "for SD1.5 checkpoints."
        )
    return fitting


def _low_rank(pairs: dict[str, LoRAAdapter]) -> list[LoraPair]:
    found = []
    for key, pair in pairs.items():
        up, down, alpha, *_ = pair.weights
        found.append(LoraPair(key, None, up, down, None if alpha is None else float(alpha)))
    return found


def _apply_model(executor, x: Tensor, t: Tensor, *args, **kwargs):
    """APPLY_MODEL wrapper: the adapters due at this step add their terms to the layers they belong to."""
    base = executor.class_obj
    options = kwargs.get("transformer_options") or (args[3] if len(args) > 3 else None) or {}
    patcher = base.current_patcher
    networks = [model.model for model in patcher.get_additional_models_with_key(KEY)]
    with ExitStack() as stack:
        for run, network in zip(patcher.get_attachment(KEY), networks, strict=True):
            if strength := run.strength * run.range.at(base, options):
                _add_terms(stack, base, network, strength)
        return executor(x, t, *args, **kwargs)


def _add_terms(stack: ExitStack, base: nn.Module, network: LowRankNetwork, strength: float) -> None:
    for layer, branch in network.branches(0, strength):
        stack.callback(base.get_submodule(layer).register_forward_hook(_term(branch)).remove)


def _term(branch: Branch) -> Callable[[nn.Module, tuple[Tensor], Tensor], None]:
    return lambda _layer, args, out: branch.add_to(out, args[0])
