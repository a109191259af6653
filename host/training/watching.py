"""What a training tells while it runs."""

from collections.abc import Callable
from dataclasses import dataclass

from comfy.model_patcher import ModelPatcher


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """One step that is done.

    Attributes:
        step: its number from 1.
        steps: of the training.
        loss: mean of its clips; no finite number where the step was left out.
        rate: learning rate.
        seconds: that it took.
    """

    step: int
    steps: int
    loss: float
    rate: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Watcher:
    """Who is told how a training goes.

    Attributes:
        step: after each step.
        preview: every ``preview_every`` steps, with the number of steps done and the MODEL as it is. It runs without
            gradients and may sample; what it raises ends nothing.
    """

    step: Callable[[StepReport], None] = lambda _report: None
    preview: Callable[[int, ModelPatcher], None] = lambda _step, _model: None
