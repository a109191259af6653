"""Inputs of a node, held against its sockets."""

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from comfy_api.latest import io
from torch import Tensor

from ..inputs.numbers import LARGEST_NUMBER, fits
from ..inputs.quoting import closest_names, plain, quoted, quoted_names
from ..inputs.written import require_characters
from ..temporal.values.frame_values import FrameValues, values_of
from .types import FRAME_VALUES

_SHOWN_CHOICES = 10
_HIGHEST_RATE = 10_000_000  # samples a second; no sound comes near it
# Axes that a tensor may have, and what it is called in a message.
_SHAPES = {
    "IMAGE": ((4,), "an IMAGE of (frames, height, width, channels)"),
    "MASK": ((2, 3), "a MASK of (frames, height, width)"),
    "LATENT": ((4, 5), "a LATENT of (frames, channels, height, width)"),
}

_CALLED = {"INT": "a whole number", "FLOAT": "a number", FRAME_VALUES.io_type: "FRAME_VALUES", "MASK": "a MASK"}


class Minimum(float):
    """The least number of a widget, with NaN below it.

    ComfyUI asks ``value < min``, which is false of NaN. Python asks the subclass first, so ComfyUI refuses NaN by itself,
    and marks the input that has it.
    """

    def __gt__(self, value: object) -> bool:
        return not (isinstance(value, int | float) and value >= float(self))


def check_inputs(schema: io.Schema, inputs: Mapping[str, Any], checked: frozenset[str] = frozenset()) -> None:
    """Refuse inputs that a node cannot use.

    Args:
        schema: of the node.
        inputs: values by name, as ``execute`` gets them.
        checked: inputs whose choices the node looks at by itself.

    Raises:
        ValueError: an input is of another type than its socket, not finite, out of range, or empty; the sentence names it.
    """
    for socket in schema.inputs or []:
        value: Any = inputs.get(socket.id)
        if socket.id not in inputs or (value is None and socket.optional):
            continue
        if schema.is_input_list:
            for entry in value or []:
                _check(socket, entry, checked, listed=True)
        else:
            _check(socket, value, checked)


def knows_choices(schema: io.Schema, inputs: Mapping[str, Any]) -> bool:
    """Whether what was chosen is in the lists of a schema, which may be older than the files that they name."""
    lists: list[Any] = [socket for socket in schema.inputs or [] if socket.get_io_type() == "COMBO"]
    return all(_is_choice(inputs[socket.id], socket.options) for socket in lists if socket.id in inputs)


def _is_choice(value: Any, options: Sequence[str]) -> bool:
    """Whether a value is one of them; an array would be compared part by part."""
    return isinstance(value, str) and value in options


def _check(socket: Any, value: Any, checked: frozenset[str], listed: bool = False) -> None:
    name, types = socket.id, socket.get_io_type().split(",")
    widget = getattr(socket, "input_override", None) or socket
    if listed and isinstance(value, Sequence) and not isinstance(value, str):
        for entry in value:  # some packs send a list as one entry
            _check(socket, entry, checked)
    elif isinstance(value, Real) and {"INT", "FLOAT"} & set(types):
        _check_number(name, value, widget, whole="FLOAT" not in types)
    elif FRAME_VALUES.io_type in types and isinstance(value, FrameValues | Sequence) and not isinstance(value, str):
        values_of(value, name)
    elif isinstance(value, Tensor) and "MASK" in types:
        _check_tensor(name, value, "MASK")
    elif types == ["COMFY_MATCHTYPE_V3"]:
        _check_clip(name, value)
    elif len(types) == 1:
        _check_other(name, value, types[0], widget, name in checked)
    else:
        kinds = " or ".join(_CALLED.get(kind, plain(kind)) for kind in types)
        raise ValueError(f"{name} is {quoted(value)}; connect {kinds}.")


def _check_number(name: str, value: Any, widget: Any, whole: bool) -> None:
    """A number of a widget is finite and inside the widget's range, also when it comes over a wire."""
    low, high = getattr(widget, "min", None), getattr(widget, "max", None)
    low, high = -LARGEST_NUMBER if low is None else low, LARGEST_NUMBER if high is None else high
    good = isinstance(value, Integral) if whole else fits(value)
    if not good or not low <= value <= high:
        kind = "whole number" if whole else "number"
        limits = f" from {low:,} to {high:,}" if high < LARGEST_NUMBER else ", finite"
        raise ValueError(f"{name} is {quoted(value)}; give a {kind}{limits}.")


def _check_other(name: str, value: Any, kind: str, widget: Any, checked: bool) -> None:
    if kind in ("INT", "FLOAT"):
        raise ValueError(f"{name} is {quoted(value)}; give a number.")
    if kind == "STRING":
        _check_text(name, value)
    if kind == "BOOLEAN" and not isinstance(value, Real | np.bool_):
        raise ValueError(f"{name} is {quoted(value)}; give true or false.")
    if kind == "COMBO" and not checked:
        _check_choice(name, value, list(widget.options))
    if kind in ("IMAGE", "MASK"):
        _check_tensor(name, value, kind)
    if kind == "LATENT":
        _check_latent(name, value)
    if kind == "AUDIO":
        _check_audio(name, value)
    if kind == FRAME_VALUES.io_type:
        values_of(value, name)
    if kind == "HOOK_KEYFRAMES" and not hasattr(value, "keyframes"):
        raise ValueError(f"{name} is {quoted(value)}; connect Create Hook Keyframe.")


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise ValueError(f"{name} is {quoted(value)}; connect a text.")
    require_characters(name, value)


def _check_choice(name: str, value: Any, options: list[str]) -> None:
    if not _is_choice(value, options):
        shown = quoted_names(options) if len(options) <= _SHOWN_CHOICES else closest_names(value, options)
        raise ValueError(f"{name} is {quoted(value)}, which does not exist; choose {shown}.")


def _check_clip(name: str, value: Any) -> None:
    """An IMAGE, a LATENT or a MASK."""
    if isinstance(value, Tensor):
        _check_tensor(name, value, "IMAGE" if value.ndim == 4 else "MASK")
    elif isinstance(value, Mapping):
        _check_latent(name, value)
    else:
        raise ValueError(f"{name} is {quoted(value)}; connect an IMAGE, a LATENT or a MASK.")


def _check_latent(name: str, value: Any) -> None:
    samples = value.get("samples") if isinstance(value, Mapping) else None
    if getattr(samples, "is_nested", False):
        return  # of models that this pack does not know; whoever samples says it
    _check_tensor(name, samples if isinstance(samples, Tensor) else value, "LATENT")


def _check_tensor(name: str, value: Any, kind: str) -> None:
    axes, meaning = _SHAPES[kind]
    if not isinstance(value, Tensor):
        raise ValueError(f"{name} is {quoted(value)}; connect {meaning}.")
    _require_plain(name, value, meaning)
    if value.ndim not in axes or not value.numel():
        raise ValueError(f"{name} has the shape {tuple(value.shape)}; connect {meaning}, none of them 0.")
    _check_finite(name, value)


def _check_audio(name: str, value: Any) -> None:
    sound: Any = value.get("waveform") if isinstance(value, Mapping) else None
    if not isinstance(sound, Tensor):
        raise ValueError(f"{name} is {quoted(value)}; connect AUDIO.")
    _require_plain(name, sound, "AUDIO")
    if sound.ndim != 3 or not sound.shape[0] or not sound.shape[1]:
        raise ValueError(f"{name} has the shape {tuple(sound.shape)}; connect AUDIO of (batch, channels, samples).")
    rate: Any = value.get("sample_rate")
    if not isinstance(rate, Real) or not 1 <= float(rate) <= _HIGHEST_RATE:
        raise ValueError(f"{name} has the sample rate {quoted(rate)}; give one from 1 to {_HIGHEST_RATE:,}.")
    _check_finite(name, sound)


def _require_plain(name: str, value: Tensor, meaning: str) -> None:
    """Refuse tensors that do not hold their numbers side by side, and numbers that no picture and no sound has."""
    if value.layout != torch.strided or value.is_nested or value.is_meta or value.is_complex():
        kind = f"{value.layout}, {value.dtype} on {value.device}".replace("torch.", "")
        raise ValueError(f"{name} is a tensor of another kind ({plain(kind)}); connect {meaning}.")


def _check_finite(name: str, value: Tensor) -> None:
    """NaN and infinity show in the least and the largest number, which need no memory.

    Pictures from a VAE lie otherwise in memory than they are numbered, and torch would copy them whole: one frame at a time.
    """
    if value.numel() and value.is_floating_point():
        value = value.detach()
        value = value.half() if value.itemsize == 1 else value  # torch has no ends of fp8
        ends = [end for part in (value[None] if value.is_contiguous() else value) for end in torch.aminmax(part)]
        if not torch.stack(ends).isfinite().all():
            raise ValueError(
                f"{name} holds NaN or infinity; look for what made it, often a half precision that is too narrow "
                "(start ComfyUI with --fp32-vae for pictures)."
            )
