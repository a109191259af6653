"""What the trainers have in common: their inputs, and the settings that these are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from comfy_api.latest import io

from ..training.draws import TIMESTEPS
from ..training.settings import CHECKPOINTINGS, LOSSES, PRECISIONS, TrainingSettings
from .categories import TRAINING_MENU
from .input_checks import Minimum
from .types import CLIPS
from .widgets import number

GO_ON, ANEW = "continue", "start anew"
FILE_TYPES = {"fp16": torch.float16, "fp32": torch.float32}


def clips_input() -> io.Input:
    """``clips``."""
    return CLIPS.Input(
        "clips", tooltip="From Training Clips or Camera Motion Clips; they say how many frames a clip has."
    )


def training_name_input(folder: str) -> io.Input:
    """``name``; ``folder`` is where the file goes."""
    return io.String.Input(
        "name",
        default="my_motion",
        tooltip=f"Of the file in {folder}, without an ending. The same name goes on with a training that was stopped.",
    )


def file_type_input(default: str) -> io.Input:
    """``file_type``."""
    choices = (default, *(name for name in FILE_TYPES if name != default))
    return _choice(
        "file_type",
        choices,
        "Numbers in the file; fp16 is half as large. To go on with a training nothing is lost either way.",
    )


def _choice(name: str, options: Sequence[str], tooltip: str) -> io.Input:
    """One of a few words, the first where nothing is said; optional."""
    return io.Combo.Input(
        name, options=list(options), default=options[0], optional=True, advanced=True, tooltip=tooltip
    )


def _count(name: str, default: int, most: int, tooltip: str, least: int = 0) -> io.Input:
    """A whole number; optional."""
    return number(name, default, least, most, tooltip, optional=True, advanced=True)


def _fraction(name: str, default: float, most: float, step: float, tooltip: str) -> io.Input:
    """A number from 0; optional."""
    return io.Float.Input(
        name,
        default=default,
        min=Minimum(0.0),
        max=most,
        step=step,
        round=1e-6,
        optional=True,
        advanced=True,
        tooltip=tooltip,
    )


def schedule_inputs(steps: int, rate: float) -> list[io.Input]:
    """``steps``, ``learning_rate``, ``batch``, ``accumulation`` and ``seed``.

    Args:
        steps: default.
        rate: default.
    """
    return [
        number("steps", steps, 1, 10_000_000, "Steps in all. A finished training goes on when there are more."),
        io.Float.Input(
            "learning_rate",
            default=rate,
            min=Minimum(1e-8),
            max=1.0,
            step=1e-6,
            round=1e-8,
            tooltip="How far a step goes. Ten times more learns faster and breaks sooner.",
        ),
        number("batch", 1, 1, 256, "Clips in one step. More is steadier and needs more memory."),
        number(
            "accumulation",
            1,
            1,
            1024,
            "So many batches make one step: steady as a larger batch, in the memory of one, in so many times the time.",
        ),
        number("seed", 0, 0, 2**53, "Of all that is random: first weights, order of clips, noise."),
    ]


def learning_inputs() -> list[io.Input]:
    """How it learns, for those who know; optional."""
    return [
        _choice(
            "loss",
            LOSSES,
            "paper: the mean square error of the noise. debiased: besides, each frame against one frame of the clip, so that "
            "motion is learnt more than looks (for few clips).",
        ),
        _fraction(
            "text_dropout",
            0.1,
            1.0,
            0.01,
            "Share of clips that are shown without their caption, which guidance (cfg) needs.",
        ),
        _count("warm_up", 0, 1_000_000, "Steps in which the learning rate rises from near 0."),
        _count(
            "min_timestep",
            0,
            TIMESTEPS - 1,
            "Lowest noise level that is trained. High levels decide where things are and go, low ones how they look.",
        ),
        _count("max_timestep", TIMESTEPS - 1, TIMESTEPS - 1, "Highest noise level that is trained."),
        _fraction(
            "min_snr",
            0.0,
            100.0,
            0.1,
            "Gamma of the min-SNR weight, which lets nearly clean pictures count less; 5 is usual, 0 is off.",
        ),
        _fraction(
            "ema",
            0.0,
            0.999999,
            0.0001,
            "Decay of an average of the weights that is written in their place, such as 0.999; 0 is off.",
        ),
    ]


def machine_inputs() -> list[io.Input]:
    """Precision, memory and what is written when; optional."""
    return [
        _choice(
            "precision",
            PRECISIONS,
            "What layers compute in; auto is what sampling takes. What learns is always kept in fp32.",
        ),
        _choice(
            "checkpointing",
            CHECKPOINTINGS,
            "Layers that are computed twice instead of being kept: less memory, a third more time. auto: as few as fit.",
        ),
        _count("save_every", 250, 1_000_000, "Steps between two savings.", 1),
        _count("preview_every", 250, 1_000_000, "Steps between two samples on the node; 0 is none."),
        _choice(
            "resume",
            (GO_ON, ANEW),
            "continue: take up a training of this name where it was stopped; it must be the same but for its length. start "
            "anew: write over it.",
        ),
    ]


def preview_inputs() -> list[io.Input]:
    """``positive`` and ``negative`` of samples; optional."""
    return [
        io.Conditioning.Input(
            "positive",
            optional=True,
            tooltip="What samples on the node show; without it, the caption of the first clip.",
        ),
        io.Conditioning.Input("negative", optional=True, tooltip="What samples on the node do not show."),
    ]


def trainer_schema(result: io.Output, inputs: list[io.Input], **words: Any) -> io.Schema:
    """The schema of a trainer.

    Args:
        result: first output.
        inputs: all of them.
        words: id, name, description and aliases.
    """
    outputs = [
        result,
        io.Custom("LOSS_MAP").Output(
            display_name="loss_map", tooltip="The loss of each step, for core's Plot Loss Graph."
        ),
        io.Image.Output(display_name="chart", tooltip="The losses as a picture, as the node shows it."),
        io.String.Output(display_name="file", tooltip="Name of the file, as loaders list it."),
    ]
    return io.Schema(category=TRAINING_MENU, inputs=inputs, outputs=outputs, is_output_node=True, **words)


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainerInputs:
    """Values of what every trainer takes."""

    name: str
    steps: int
    learning_rate: float
    batch: int
    accumulation: int
    seed: int
    positive: Any = None
    negative: Any = None
    loss: str = LOSSES[0]
    text_dropout: float = 0.1
    warm_up: int = 0
    min_timestep: int = 0
    max_timestep: int = TIMESTEPS - 1
    min_snr: float = 0.0
    ema: float = 0.0
    precision: str = PRECISIONS[0]
    checkpointing: str = CHECKPOINTINGS[0]
    save_every: int = 250
    preview_every: int = 250
    resume: str = GO_ON

    def settings(self, clips: Any) -> TrainingSettings:
        """Settings of the training.

        Args:
            clips: the set, which says how many frames are drawn and how far apart.

        Raises:
            ValueError: a value is none.
        """
        known = TrainingSettings.__dataclass_fields__.keys() & self.__dataclass_fields__.keys()
        return TrainingSettings(
            **{name: getattr(self, name) for name in known}, frames=clips.frames, stride=clips.stride
        )
