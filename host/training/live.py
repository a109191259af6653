"""How a training shows itself: progress, words and samples on its node, a chart at the end.

Shapes: F = frames of a clip, C = channels, h, w = size of a latent.
"""

import math
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import comfy.sample
import comfy.utils
import latent_preview
import torch
from comfy.model_patcher import ModelPatcher
from comfy_execution.utils import get_executing_context
from PIL import Image
from torch import Tensor

from ...training.clips import Clips
from ...training.settings import TrainingSettings
from ..call.conditioning_rows import Conditioning
from .watching import StepReport

SAMPLE_STEPS, SAMPLE_CFG = 12, 7.5
SHEET_WIDTH = 768  # of the picture with all frames of a sample
TRAINING_EVENT = "zoetrope.training"
_TEXT_INTERVAL = 0.5  # seconds between two lines of text


@dataclass(eq=False)
class Live:
    """Shows a training on the node that trains; without a server it only counts.

    Attributes:
        settings: of the training.
        clips: their first caption is what samples show where no prompt is given.
        frames: F of a sample.
        positive: what samples show, None for the caption.
        negative: what they do not show.
    """

    settings: TrainingSettings
    clips: Clips
    frames: int
    positive: Conditioning | None = None
    negative: Conditioning | None = None
    started: float = field(default_factory=time.monotonic)
    first: int = 0
    said: float = 0.0

    def __post_init__(self) -> None:
        self.bar = comfy.utils.ProgressBar(self.settings.steps)
        context = get_executing_context()
        self.node = None if context is None else context.node_id
        self.server = getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)

    def step(self, report: StepReport) -> None:
        """After each step; the host's interrupt comes out of here."""
        self.first = self.first or report.step
        now = time.monotonic()
        if now - self.said >= _TEXT_INTERVAL or report.step == report.steps:
            self.said = now
            self._say(report, (now - self.started) / (report.step - self.first + 1))
        self.bar.update_absolute(report.step, report.steps)

    def preview(self, step: int, model: ModelPatcher) -> None:
        """Sample a clip with what was learnt so far and show it."""
        previewer = latent_preview.get_previewer(model.load_device, model.model.latent_format)
        if previewer is None:
            return
        self._show(step, sheet_of([_picture(previewer, frame) for frame in self.sample(model).split(1)]))

    def sample(self, model: ModelPatcher) -> Tensor:
        """(F, C, h, w) latents, always from the same noise, so that samples can be compared."""
        clip = self.clips.clips[0]
        shape = (self.frames, model.model.latent_format.latent_channels, clip.height, clip.width)
        empty = torch.zeros(shape)
        return comfy.sample.sample(
            model,
            comfy.sample.prepare_noise(empty, self.settings.seed),
            SAMPLE_STEPS,
            SAMPLE_CFG,
            "euler",
            "normal",
            self.positive or conditioning(self.clips.text(clip.caption)),
            self.negative or conditioning(self.clips.text("")),
            empty,
            disable_pbar=True,
            seed=self.settings.seed,
        )

    def _show(self, step: int, sheet: Image.Image) -> None:
        self.bar.update_absolute(step, self.settings.steps, ("JPEG", sheet, SHEET_WIDTH))

    def _say(self, report: StepReport, seconds: float) -> None:
        """A line on the node, and an event for API clients."""
        if self.server is None or self.node is None:
            return
        loss = report.loss if math.isfinite(report.loss) else None
        facts = {"step": report.step, "steps": report.steps, "loss": loss, "seconds": seconds}
        self.server.send_sync(TRAINING_EVENT, {"node": self.node, **facts}, self.server.client_id)
        self.server.send_progress_text(line_of(report, seconds), self.node, self.server.client_id)


def line_of(report: StepReport, seconds: float) -> str:
    """A step in words.

    Args:
        report: the step.
        seconds: that a step takes on average, with all that is done between steps.
    """
    left = seconds * (report.steps - report.step)
    return f"step {report.step} of {report.steps}, loss {report.loss:.4f}, {seconds:.2f} s a step, {clock(left)} left"


def clock(seconds: float) -> str:
    """A time as h:mm:ss, or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def conditioning(text: Mapping[str, Tensor]) -> Conditioning:
    """An encoded caption as core's CONDITIONING."""
    options = {name: value for name, value in text.items() if name != "cross_attn"}
    return [[text["cross_attn"], options]]


def sheet_of(pictures: list[Image.Image]) -> Image.Image:
    """All frames in one picture, row by row, about `SHEET_WIDTH` wide."""
    width, height = pictures[0].size
    columns = max(1, min(len(pictures), 4))
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (width * columns, height * rows))
    for number, picture in enumerate(pictures):
        sheet.paste(picture, (number % columns * width, number // columns * height))
    scale = SHEET_WIDTH / sheet.width
    return sheet.resize((SHEET_WIDTH, max(1, round(sheet.height * scale))), Image.Resampling.BILINEAR)


def _picture(previewer: Any, latent: Tensor) -> Image.Image:
    """One (1, C, h, w) latent as core's previews show it."""
    return previewer.decode_latent_to_preview_image("JPEG", latent)[1]
