"""Wrappers of the host's functions on a MODEL: put on once, and what they all need to know of their arguments."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from torch import Tensor


def _signature(*names: str) -> inspect.Signature:
    named = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None) for name in names]
    rest = inspect.Parameter("rest", inspect.Parameter.VAR_POSITIONAL)
    return inspect.Signature([*named, rest, inspect.Parameter("more", inspect.Parameter.VAR_KEYWORD)])


# ComfyUI 0.20 to 0.30: CFGGuider.outer_sample and predict_noise, sampler_helpers._prepare_sampling, BaseModel._apply_model
SIGNATURES = {
    WrappersMP.OUTER_SAMPLE: _signature(
        "noise", "latent_image", "sampler", "sigmas", "denoise_mask", "callback", "disable_pbar", "seed"
    ),
    WrappersMP.PREPARE_SAMPLING: _signature("model", "noise_shape", "conds", "model_options"),
    WrappersMP.PREDICT_NOISE: _signature("x", "timestep", "model_options", "seed"),
    WrappersMP.APPLY_MODEL: _signature("x", "t", "c_concat", "c_crossattn", "control", "transformer_options"),
}


def put_on(
    model: ModelPatcher,
    key: str,
    wrappers: Mapping[str, Callable[..., Any]],
    callbacks: Mapping[str, Callable[..., Any]] | None = None,
) -> None:
    """Put wrappers on a MODEL, in place of those under the same key, so that a second call changes nothing.

    Args:
        model: a clone owned by the caller.
        key: of `keys`.
        wrappers: by one of ``WrappersMP``.
        callbacks: by one of ``CallbacksMP``.
    """
    for kind, function in wrappers.items():
        model.remove_wrappers_with_key(kind, key)
        model.add_wrapper_with_key(kind, key, function)
    for kind, function in (callbacks or {}).items():
        model.remove_callbacks_with_key(kind, key)
        model.add_callback_with_key(kind, key, function)


def bound(kind: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
    """Arguments of a wrapper by name: only those that were passed are in ``arguments``.

    Who calls a wrapper, the host or the wrapper of another pack, passes some of them by position and others by name.
    What is changed in ``arguments`` is handed on by ``executor(*call.args, **call.kwargs)``. The names are not read
    off the function that is wrapped: packs put functions in its place that take ``*args``.

    Args:
        kind: of ``WrappersMP``.
        args: given by position.
        kwargs: given by name.
    """
    return SIGNATURES[kind].bind(*args, **kwargs)


def changed(
    call: inspect.BoundArguments, more: Mapping[str, Any] | None = None, **values: Any
) -> inspect.BoundArguments:
    """The arguments with other values; the given ones stay as they are, for a second try.

    Args:
        call: from `bound`.
        more: keywords that the signature does not name.
        values: by name.
    """
    keywords = {**call.arguments.get("more", {}), **(more or {})}
    return inspect.BoundArguments(call.signature, {**call.arguments, **values, "more": keywords})  # type: ignore[arg-type]


def require_image_latents(what: str, noise: Tensor, cure: str) -> None:
    """Refuse latents whose frames are not on the batch axis.

    Args:
        what: needs them; begins the sentence.
        noise: of the run.
        cure: ends the sentence.

    Raises:
        ValueError: not (frames, channels, height, width).
    """
    if noise.ndim != 4:
        raise ValueError(
            f"{what} needs image latents with four axes, frames first, but this model samples a latent of shape "
            f"{tuple(noise.shape)}; {cure}."
        )
