"""What will happen to each frame of a clip at each sampling step, read from a MODEL without sampling.

Shapes: H, W = size of the picture in pixels.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import torch
from comfy.context_windows import IndexListContextHandler
from comfy.model_patcher import ModelPatcher
from comfy.samplers import calculate_sigmas
from torch import Tensor

from ..charts.chart import Bar, Chart, Curve, Row, draw
from ..temporal.values.frame_values import FrameValues, values_of
from ..temporal.windows.blending import blend_shares
from ..temporal.windows.schedules import windows_for_step
from ..temporal.windows.settings import FUSE_METHODS, WITHOUT_OVERLAP, WindowSettings
from .call.schedule_place import step_at
from .call.strength import Strength
from .lora.bypass import loras_of
from .motion.settings import settings_of
from .motion.view_windows import settings_within, views_of
from .prompts.cfg_per_frame import guidances_of
from .sampling.context_windows import WindowHandler

MOST_ROWS = 100  # more steps than these would make rows that nobody can read


@dataclass(frozen=True, eq=False)
class PlannedStep:
    """One sampling step.

    Attributes:
        number: from 0.
        plan: how the clip is cut, in words.
        windows: frame numbers of each window.
        shares: of each frame of each window in the result.
        anchors: frames that go through the UNet without being part of a window.
        place: number by which windows are placed; see `step_at`.
    """

    number: int
    plan: str
    windows: list[list[int]]
    shares: list[list[float]]
    anchors: int = 0
    place: int = 0

    @property
    def frames(self) -> int:
        """Frames that go through the UNet."""
        return sum(map(len, self.windows)) + self.anchors


def schedule_image(model: ModelPatcher, frames: int, steps: int, values: object) -> Tensor:
    """The schedule of a MODEL as IMAGE, (1, H, W, 3) in 0..1.

    Args:
        model: MODEL as it would go into a sampler.
        frames: length of the clip.
        steps: of the sampler. Percent ranges fall on steps as with the scheduler ``normal``.
        values: FRAME_VALUES or a list of numbers, drawn as a curve beside those that the MODEL carries; or None.

    Raises:
        ValueError: core's Context Windows on the MODEL contradict themselves, or the values are something else.
    """
    given = None if values is None else values_of(values, "frame_values")
    pixels = draw(chart_of(model, frames, steps, given))
    return torch.from_numpy(pixels).to(torch.float32).div(255).unsqueeze(0)


def chart_of(model: ModelPatcher, frames: int, steps: int, values: FrameValues | None) -> Chart:
    """Everything that `schedule_image` draws; see there."""
    every = math.ceil(steps / MOST_ROWS)
    plan = list(planned_steps(model, frames, steps, every))
    lines = [*_plans(plan), _cost(plan, frames)]
    if (views := views_of(model)) is not None:
        lines.append(f"thin bars: {_in_words(views, 'views')}, inside the motion modules")
    if every > 1:
        lines.append(f"one step in {every} is drawn")
    rows = [_row(model, step, frames) for step in plan]
    return Chart(
        f"{_count(frames, 'frame')}, {_count(steps, 'step')}", lines, frames, rows, curves(model, frames, values)
    )


def planned_steps(model: ModelPatcher, frames: int, steps: int, every: int = 1) -> Iterator[PlannedStep]:
    """What the MODEL's context handler, ours or core's, will do at each step.

    Args:
        model: MODEL.
        frames: length of the clip.
        steps: of the sampler.
        every: leaves steps out above 1.
    """
    handler = model.model_options.get("context_handler")
    sigmas = calculate_sigmas(model.model.model_sampling, "normal", steps)  # what stages are compared with
    for number in range(0, steps, every):
        place = step_at(model.model.model_sampling, sigmas, number)
        if isinstance(handler, WindowHandler):
            stage = handler.stage_at(model.model, float(sigmas[number]))
            step = _our_step(None if stage is None else stage.settings, frames, number, place)
        elif isinstance(handler, IndexListContextHandler):
            step = _cores_step(handler, frames, number)
        else:
            step = _whole(frames, number, "" if handler is None else f" ({type(handler).__name__} of another pack)")
        yield replace(step, place=place)


def _whole(frames: int, number: int, why: str = "") -> PlannedStep:
    return PlannedStep(number, f"all frames at once{why}", [list(range(frames))], [[1.0] * frames])


def _our_step(settings: WindowSettings | None, frames: int, number: int, place: int) -> PlannedStep:
    if settings is None or not settings.acts_on(frames):
        return _whole(frames, number)
    windows = windows_for_step(settings, frames, place)
    return PlannedStep(number, _in_words(settings), windows, blend_shares(settings, windows, frames))


def _cores_step(handler: IndexListContextHandler, frames: int, number: int) -> PlannedStep:
    """A step under core's Context Windows node, from its own functions on a copy of the handler.

    Source:
        ComfyUI 0.30 ``comfy/context_windows.py``: ``create_windows_*`` read ``_step``; ``causal_window_fix`` puts the
        frame before a window that does not begin with frame 0 in front of it.
    """
    if handler.dim != 0 or frames <= handler.context_length:
        return _whole(frames, number)
    if handler.context_overlap >= handler.context_length and "batched" not in handler.context_schedule.name:
        raise ValueError(
            f"context_overlap {handler.context_overlap:d} of Context Windows must be smaller than context_length "
            f"{handler.context_length:d}; lower it."
        )
    then = copy.copy(handler)
    then._step = number
    windows = [list(map(int, window)) for window in handler.context_schedule.func(frames, then, {})]
    fuse = handler.fuse_method.name.replace("-", "_")
    settings = WindowSettings(
        length=handler.context_length,
        overlap=handler.context_overlap,
        schedule=handler.context_schedule.name,
        fuse=fuse,
        stride=handler.context_stride,
    )
    weighed = replace(settings, fuse=fuse if fuse in FUSE_METHODS else "flat")
    fixed = getattr(handler, "causal_window_fix", False)
    anchors = sum(window[0] > 0 for window in windows) if fixed else 0
    words = _in_words(settings) + (", each with the frame before it (causal_window_fix)" if fixed else "")
    return PlannedStep(number, words, windows, blend_shares(weighed, windows, frames), anchors)


def _row(model: ModelPatcher, step: PlannedStep, frames: int) -> Row:
    settings = views_of(model)

    def within(window: list[int]) -> list[list[int]]:
        views = None if settings is None else settings_within(settings, len(window), frames)
        cut = [] if views is None else windows_for_step(views, len(window), step.place)
        return [[window[place] for place in view] for view in cut]

    note = f"{_count(len(step.windows), 'window')}, {step.frames / frames:.2f} passes"
    pairs = zip(step.windows, step.shares, strict=True)
    return Row(str(step.number), note, [Bar(window, shares, within(window)) for window, shares in pairs])


def curves(model: ModelPatcher, frames: int, values: FrameValues | None) -> list[Curve]:
    """Values that change over the frames: those given, and those of the MODEL's motion models, LoRAs and guidance."""
    found = [] if values is None else [Curve("frame_values", values.at(frames))]
    changing = [entry for entry in _strengths(model) if not entry[1].constant]
    return found + [Curve(name, _per_frame(strength, frames)) for name, strength in changing]


def _strengths(model: ModelPatcher) -> Iterator[tuple[str, Strength]]:
    for settings in settings_of(model):
        yield f"scale of {settings.name}", settings.scale
        yield f"effect of {settings.name}", settings.effect
        yield from ((f"strength of {lora.name}", lora.strength) for lora in settings.loras)
    yield from ((f"strength of {lora.name}", lora.strength) for lora in loras_of(model))
    yield from (("guidance", guidance.value) for guidance in guidances_of(model))


def _per_frame(strength: Strength, frames: int) -> list[float]:
    """One number per frame; of a mask the mean of its pixels."""
    product = [strength.number] * frames
    for factor in strength.factors:
        if isinstance(factor, Tensor):
            means = factor.to(torch.float32).mean(dim=(1, 2)).tolist()
            numbers = [means[min(frame, len(means) - 1)] for frame in range(frames)]
        else:
            numbers = factor.at(frames)
        product = [a * b for a, b in zip(product, numbers, strict=True)]
    return product


def _in_words(settings: WindowSettings, what: str = "windows") -> str:
    overlap = "" if settings.schedule in WITHOUT_OVERLAP else f", overlap {settings.overlap}"
    stride = f", stride {settings.stride}" if settings.stride > 1 else ""
    loop = ", closed loop" if settings.joins_ends else ""
    return f"{what} of {settings.length}{overlap}{stride}, {settings.schedule}, {settings.fuse}{loop}"


def _plans(plan: Sequence[PlannedStep]) -> list[str]:
    """A line for each way of cutting, with its first step if there are several."""
    groups = [(words, list(steps)) for words, steps in groupby(plan, key=lambda step: step.plan)]
    if len(groups) == 1:
        return [groups[0][0]]
    return [f"from step {steps[0].number}: {words}" for words, steps in groups]


def _cost(plan: Sequence[PlannedStep], frames: int) -> str:
    passes = sum(step.frames for step in plan) / len(plan) / frames
    return f"{passes:.2f} passes of each frame through the UNet in a step, on average"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
