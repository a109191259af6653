"""Conditioning with one row per frame from a schedule of prompts, and the check that the clip has as many frames.

Shapes: F = frames of the schedule, T = prompt tokens, D = width of a token's vector.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import comfy.model_management
import torch
from comfy.conds import is_equal
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from comfy.sd import CLIP
from comfy.utils import ProgressBar
from torch import Tensor

from ...inputs.quoting import quoted
from ...temporal.prompts.blending import BLENDS, same_length
from ...temporal.prompts.schedule import PromptSchedule, PromptShare
from ..call import keys
from ..call.conditioning_rows import Conditioning
from ..call.wrappers import bound, put_on

log = logging.getLogger("zoetrope")


def encode_schedule(clip: CLIP | None, schedule: PromptSchedule, frames: int, interpolation: str) -> Conditioning:
    """CONDITIONING of a schedule.

    Args:
        clip: text encoder; its hooks and their schedule act as in core's CLIP Text Encode.
        schedule: prompts over time.
        frames: F.
        interpolation: linear, slerp or hold.

    Returns:
        As many entries as core would make of one prompt (one for each range of a scheduled CLIP), each with (F, T, D)
        prompts and every option that differs between prompts as one row per frame. A schedule that needs one prompt
        only gives what core's CLIP Text Encode gives for it.

    Raises:
        ValueError: there is no text encoder, or its prompts cannot be interpolated.
    """
    if clip is None:
        raise ValueError("clip is missing: the checkpoint holds no text encoder; connect a Load CLIP node.")
    shares = schedule.at(frames, hold=interpolation == "hold")
    encoded = _encoded(clip, dict.fromkeys(prompt for share in shares for prompt in (share.first, share.second)))
    if len(encoded) == 1:
        return next(iter(encoded.values()))
    entries = zip(*encoded.values(), strict=True)
    return [_per_frame(dict(zip(encoded, entry, strict=True)), shares, interpolation) for entry in entries]


def _encoded(clip: CLIP, prompts: Mapping[str, None]) -> dict[str, Any]:
    """Core's CONDITIONING of each prompt."""
    progress = ProgressBar(len(prompts))
    encoded: dict[str, Any] = {}
    for prompt in prompts:
        comfy.model_management.throw_exception_if_processing_interrupted()
        encoded[prompt] = clip.encode_from_tokens_scheduled(clip.tokenize(prompt), show_pbar=False)
        progress.update(1)
    return encoded


def _per_frame(entries: Mapping[str, Sequence[Any]], shares: list[PromptShare], interpolation: str) -> list[Any]:
    """One entry out of one per prompt."""
    prompts = same_length([tokens for tokens, _ in entries.values()])
    names = dict.fromkeys(name for _, options in entries.values() for name in options)
    options = {
        name: _option(name, {prompt: entry[1].get(name) for prompt, entry in entries.items()}, shares, interpolation)
        for name in names
    }
    return [
        _rows(dict(zip(entries, prompts, strict=True)), shares, interpolation),
        {**options, keys.SCHEDULE_FRAMES: len(shares)},
    ]


def _option(name: str, values: Mapping[str, Any], shares: list[PromptShare], interpolation: str) -> Any:
    """An option of an entry: what is equal for all prompts as it is, else one row per frame."""
    first, *others = values.values()
    if all(is_equal(first, other) for other in others):
        return first
    if all(
        isinstance(v, Tensor) and v.is_floating_point() and v.shape == (1, *first.shape[1:]) for v in values.values()
    ):
        return _rows(values, shares, interpolation)
    raise ValueError(
        f"This text encoder gives {quoted(name)} with a prompt, which cannot differ from frame to frame; "
        "use the CLIP of an SD1.5 or SDXL checkpoint."
    )


def _rows(prompts: Mapping[str, Tensor], shares: list[PromptShare], interpolation: str) -> Tensor:
    """(F, ...) out of one (1, ...) per prompt."""
    blend = BLENDS.get(interpolation, BLENDS["linear"])  # hold has shares of 0 only
    made = {
        share: blend(prompts[share.first], prompts[share.second], share.share) if share.share else prompts[share.first]
        for share in dict.fromkeys(shares)
    }
    return torch.cat([made[share] for share in shares])


def frames_of(latent: Mapping[str, Any]) -> int:
    """Frames of a LATENT.

    Raises:
        ValueError: it is a video model's, whose frames are not on the batch axis.
    """
    shape = tuple(latent["samples"].shape)
    if len(shape) != 4:
        raise ValueError(
            f"The latent has the shape {shape}, but frames are expected on the first of four axes; "
            "use Empty Latent Image with the clip's length as batch_size."
        )
    return shape[0]


def check_schedules(model: ModelPatcher) -> None:
    """Let runs of ``model`` check that prompt schedules have as many frames as the clip, once however often called."""
    put_on(model, keys.PROMPTS, {WrappersMP.OUTER_SAMPLE: _check_frames})


def _check_frames(executor, *args, **kwargs):
    """OUTER_SAMPLE wrapper: core would start again with the first prompt where a schedule is too short.

    Raises:
        ValueError: the clip is longer than a schedule of prompts.
    """
    handler = executor.class_obj.model_options.get("context_handler")
    if getattr(handler, "continues", False):  # a later part of a clip, checked when it began
        return executor(*args, **kwargs)
    frames = getattr(handler, "total_frames", bound(WrappersMP.OUTER_SAMPLE, args, kwargs).arguments["noise"].shape[0])
    lengths = {
        entry.get(keys.SCHEDULE_FRAMES, frames) for entries in executor.class_obj.conds.values() for entry in entries
    }
    for scheduled in sorted(lengths - {frames}):
        told = f"A prompt schedule was made for {scheduled:d} frames, but the clip has {frames:d}"
        cure = f"set frames of Prompt Schedule to {frames:d}, or connect the latent to it"
        if scheduled < frames:
            raise ValueError(f"{told}; {cure}.")
        log.warning("%s, so its prompts after frame %d are not reached; %s.", told, frames - 1, cure)
    return executor(*args, **kwargs)
