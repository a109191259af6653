"""Wrappers of the host's functions on a MODEL: put on once, and what they all need to know of their arguments."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrapperExecutor
from torch import Tensor


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


def bound(executor: WrapperExecutor, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
    """Arguments of a wrapper by the names that the wrapped function has for them.

    Who calls a wrapper, the host or the wrapper of another pack, passes some of them by position and others by name.
    What is changed in ``arguments`` is handed on by ``executor(*call.args, **call.kwargs)``.
    """
    return inspect.signature(executor.original).bind(*args, **kwargs)


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
