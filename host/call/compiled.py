"""UNets that torch.compile has compiled: our part of a call runs in their graphs as one opaque function.

Core's compile node drops every guard on transformer_options, where all that a call of ours knows lives: Dynamo would use a
graph that was made in another state, without a word. So nothing of a call may become part of a graph but the places where
our functions run (`run_opaque`), and those places are in the name of a keyword that the UNet gets (`graph_state`): Dynamo
guards which keywords there are. Each call then looks up its own functions (`functions_of_call`).

Shapes: any; a function gives a tensor of its input's shape and dtype.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from comfy.ldm.modules import attention
from comfy.model_base import BaseModel
from comfy.patcher_extension import WrapperExecutor, WrappersMP, get_all_wrappers
from torch import Tensor, nn

from . import keys
from .run_report import report_of
from .wrappers import bound

Function = Callable[[Tensor], Tensor]

COMPILE_KWARGS = "torch_compile_kwargs"  # in model_options, put there by comfy_api/torch_helpers
CUDA_GRAPHS = {"cudagraphs", "reduce-overhead", "max-autotune"}  # backends and modes that replay kernels, not functions

_functions: ContextVar[Mapping[str, Function] | None] = ContextVar("zoetrope_functions", default=None)


@torch.library.custom_op("zoetrope::run_function", mutates_args=())
def run_opaque(x: Tensor, name: str) -> Tensor:
    """What the function ``name`` of the UNet call under way makes of ``x``; in a graph it is not looked into."""
    function = (_functions.get() or {}).get(name)
    if function is None:
        # A graph of another state, which core's compile node lets Dynamo use where graphs are in pieces.
        return x.clone().contiguous()
    out = function(x)
    return (out.clone() if out is x else out).contiguous()


@run_opaque.register_fake
def _shape_of(x: Tensor, name: str) -> Tensor:
    return torch.empty(x.shape, dtype=x.dtype, device=x.device)


def graph_state(names: Iterable[str]) -> str:
    """A keyword for the UNet, which ignores it, in calls whose graph holds these functions.

    Its name tells them, because a value that the UNet does not look at is not guarded.
    """
    return "_".join([keys.GRAPH_STATE, *names])


@contextmanager
def functions_of_call(functions: Mapping[str, Function]) -> Iterator[None]:
    """Let `run_opaque` find these functions, in this thread, inside the ``with`` block."""
    token = _functions.set(functions)
    try:
        yield
    finally:
        _functions.reset(token)


def is_compiled(unet: nn.Module, options: Mapping[str, Any]) -> bool:
    """Whether the UNet or a part of it runs by graphs of torch.compile.

    Args:
        unet: as it is in this call.
        options: transformer_options of the call; its run looks at the parts once.
    """
    if "_orig_mod" in unet._modules:  # noqa: SLF001
        return True
    known = report_of(options).compiled
    if unet not in known:
        known[unet] = any(True for _ in _compiled_parts(unet))
    return known[unet]


def obstacle(base: BaseModel, options: dict[str, Any]) -> str:
    """Why a compiled UNet cannot run with functions of ours; nothing where it can.

    Args:
        base: the model about to run.
        options: transformer_options of the call.
    """
    patcher = base.current_patcher
    kwargs = {} if patcher is None else patcher.model_options.get(COMPILE_KWARGS) or {}
    if CUDA_GRAPHS & {kwargs.get("backend"), kwargs.get("mode")}:
        return "CUDA graphs do not repeat what a motion model decides anew in each call; use the backend inductor"
    if attention.optimized_attention is not attention.attention_pytorch:
        # Torch makes no graph of core's other functions, so the UNet's is in pieces, and no piece but the first gets our
        # keyword: a later run without motion would find ours.
        return "with this attention its graph is in pieces; start ComfyUI with --use-pytorch-cross-attention"
    if get_all_wrappers(WrappersMP.DIFFUSION_MODEL, options):
        return "another node (such as EasyCache) wraps the UNet in what torch.compile does not look at again"
    return ""


@contextmanager
def uncompiled(base: BaseModel) -> Iterator[None]:
    """Let the UNet run as it was before torch.compile inside the ``with`` block, however it was compiled.

    Core's compile node puts a module around the UNet in its place for the length of a call; other ways set a function on
    the UNet or on parts of it.
    """
    found = base.diffusion_model
    unet = getattr(found, "_orig_mod", found)
    parts = list(_compiled_parts(unet))
    try:
        base.diffusion_model = unet
        for part, name, _, original in parts:
            setattr(part, name, original)
        yield
    finally:
        base.diffusion_model = found
        for part, name, graphs, _ in parts:
            setattr(part, name, graphs)


def _compiled_parts(unet: nn.Module) -> Iterator[tuple[nn.Module, str, Any, Any]]:
    """Parts of a UNet compiled where they are: the part, the attribute, what it is and what it was."""
    for part in unet.modules():
        own = vars(part)
        if own.get("_compiled_call_impl") is not None:  # part.compile()
            yield part, "_compiled_call_impl", own["_compiled_call_impl"], None
        if original := getattr(own.get("forward"), "_torchdynamo_orig_callable", None):  # torch.compile(part.forward)
            yield part, "forward", own["forward"], original


def without_graphs(executor, *args, **kwargs):
    """APPLY_MODEL wrapper for `innermost`: a call for which layers of the UNet have hooks, which graphs do not look at."""
    base: BaseModel = executor.class_obj
    options = bound(WrappersMP.APPLY_MODEL, args, kwargs).arguments.get("transformer_options") or {}
    if not is_compiled(base.diffusion_model, options):
        return executor(*args, **kwargs)
    say_uncompiled(options, "a LoRA whose strength changes acts inside the UNet's layers")
    with uncompiled(base):
        return executor(*args, **kwargs)


def say_uncompiled(options: dict[str, Any], reason: str) -> None:
    """One line in the log of a run whose UNet calls are made without torch.compile."""
    report_of(options).warn_once(f"UNet calls run without torch.compile, so slower but right: {reason}.")


def innermost(executor: WrapperExecutor, function: Callable[..., Any]) -> WrapperExecutor:
    """The executor with one more wrapper inside all others: what it sees is what the model gets.

    Nodes can follow each other in any order, so the wrapper that puts the compiled UNet in place may lie inside ours.
    """
    wrappers = [*executor.wrappers, function]
    return WrapperExecutor.new_class_executor(executor.original, executor.class_obj, wrappers, executor.idx)
