"""Trainers: MotionLoRAs, motion models and domain adapters."""

import math
from collections.abc import Callable
from typing import Any

import torch
from comfy_api.latest import io, ui

from ..charts.loss_chart import draw_losses
from ..host.call.sampling_range import SamplingRange
from ..host.call.strength import Strength
from ..host.lora.domain_adapter import apply_domain_adapter
from ..host.lora.motion_lora import load_motion_lora
from ..host.motion.load import load_motion_model
from ..host.training.domain_adapter import domain_adapter_target
from ..host.training.live import Live
from ..host.training.loop import TrainingResult, train
from ..host.training.motion_lora import MotionLoraOptions, motion_lora_target
from ..host.training.motion_model import NewShape, motion_model_target
from ..host.training.places import claimed
from ..host.training.target import Target
from ..host.training.watching import Watcher
from ..motion_models.block_values import BLOCK_VALUES_EXAMPLE, parse_block_values
from ..motion_models.checkpoints.write_low_rank import LORA_LAYOUTS
from ..training.names import check_training_name
from ..training.stages import DOMAIN_ADAPTER_STAGE, MOTION_LORA_STAGE, MOTION_MODEL_STAGE, Stage
from .base import Node
from .training_widgets import (
    ANEW,
    FILE_TYPES,
    TrainerInputs,
    clips_input,
    file_type_input,
    learning_inputs,
    machine_inputs,
    preview_inputs,
    schedule_inputs,
    trainer_schema,
    training_name_input,
)
from .types import MOTION_LORA, MOTION_MODEL
from .widgets import number, problem

LAYERS = ("attention", "attention and feed-forward")
STARTS: dict[str, NewShape] = {"new v3": "v3", "new v2": "v2"}


def trained(stage: Stage, clips: Any, given: TrainerInputs, target_of: Callable[[int], Target]) -> TrainingResult:
    """Train, and show it on the node.

    Args:
        stage: what is trained.
        clips: ZOETROPE_CLIPS.
        given: what every trainer takes.
        target_of: what learns, from the seed of its first weights; asked for when the name is ours.
    """
    settings = given.settings(clips)
    with claimed(stage, given.name) as files:
        live = Live(
            settings=settings,
            clips=clips,
            frames=1 if stage.single_frames else settings.frames,
            positive=given.positive,
            negative=given.negative,
        )
        watcher = Watcher(step=live.step, preview=live.preview)
        return train(target_of(settings.seed), clips, settings, files, watcher, go_on=given.resume != ANEW)


def output(node: type[io.ComfyNode], result: object, done: TrainingResult) -> io.NodeOutput:
    """A trainer's result, the losses, their chart and the name of the file."""
    chart = torch.from_numpy(draw_losses(done.files.name, done.losses).copy())[None].float() / 255
    shown = {**ui.PreviewImage(chart, cls=node).as_dict(), "zoetrope_file": [done.files.name]}
    return io.NodeOutput(
        result, {"loss": [loss for loss in done.losses if math.isfinite(loss)]}, chart, done.files.name, ui=shown
    )


class _Named:
    """A node whose ``name`` is that of a training."""

    @classmethod
    def validate_inputs(cls, name: str | None) -> bool | str:
        return name is None or problem(lambda: check_training_name(name))


class TrainMotionLora(_Named, Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return trainer_schema(
            node_id="ZoetropeTrainMotionLora",
            display_name="Train MotionLoRA",
            description="Trains a MotionLoRA on clips: 20 to 50 of one kind of motion are enough, or clips that Camera Motion "
            "Clips makes of your pictures. Stop it when you like: the same name goes on where it was.",
            search_aliases=[
                "train motion lora",
                "ADMD_TrainLora",
                "MotionDirector",
                "AnimateDiff training",
                "camera motion",
            ],
            inputs=[
                io.Model.Input(
                    "model",
                    tooltip="MODEL of the checkpoint, before Apply Motion Model; a domain adapter may be on it.",
                ),
                MOTION_MODEL.Input(
                    "motion_model", tooltip="The motion model that it is for; v3 or v2. It does not change."
                ),
                clips_input(),
                training_name_input("models/animatediff_motion_lora"),
                number("rank", 32, 1, 1024, "Width of its matrices: more holds more, and makes larger files."),
                *schedule_inputs(2000, 1e-4),
                MOTION_LORA.Input(
                    "motion_lora", optional=True, tooltip="MotionLoRAs that act as well, and do not learn."
                ),
                *preview_inputs(),
                io.Combo.Input(
                    "layers",
                    options=list(LAYERS),
                    default=LAYERS[0],
                    optional=True,
                    advanced=True,
                    tooltip="Where it acts. The published ones act on the attention.",
                ),
                io.String.Input(
                    "per_block",
                    default="",
                    optional=True,
                    advanced=True,
                    tooltip=f"Blocks that learn: those whose factor is above 0, for example '{BLOCK_VALUES_EXAMPLE}'; all without it.",
                ),
                io.Combo.Input(
                    "layout",
                    options=list(LORA_LAYOUTS),
                    default=LORA_LAYOUTS[0],
                    optional=True,
                    advanced=True,
                    tooltip="Names in the file. original: for this pack, ComfyUI-AnimateDiff-Evolved and the official code. "
                    "diffusers: for diffusers, and this pack.",
                ),
                file_type_input("fp32"),
                *learning_inputs(),
                *machine_inputs(),
            ],
            result=MOTION_LORA.Output(display_name="motion_lora", tooltip="For Apply Motion Model, with strength 1."),
        )

    @classmethod
    def execute(
        cls,
        model,
        motion_model,
        clips,
        rank: int,
        motion_lora=(),
        layers=LAYERS[0],
        per_block="",
        layout=LORA_LAYOUTS[0],
        file_type="fp32",
        **training,
    ) -> io.NodeOutput:
        options = MotionLoraOptions(
            rank=rank,
            feed_forward=layers == LAYERS[1],
            blocks=parse_block_values(per_block) if per_block.strip() else None,
            layout=layout,
            dtype=FILE_TYPES[file_type],
        )

        def target(seed: int) -> Target:
            return motion_lora_target(model, motion_model, options, seed, motion_lora or ())

        done = trained(MOTION_LORA_STAGE, clips, TrainerInputs(**training), target)
        return output(cls, (*(motion_lora or ()), load_motion_lora(done.files.name, Strength())), done)


class TrainMotionModel(_Named, Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return trainer_schema(
            node_id="ZoetropeTrainMotionModel",
            display_name="Train Motion Model",
            description="Trains all motion modules, from nothing or from a motion model. From nothing that takes many thousands "
            "of clips; a few hundred end in flicker or stills. To learn one motion, use Train MotionLoRA.",
            search_aliases=["train motion module", "AnimateDiff training", "finetune animatediff"],
            inputs=[
                io.Model.Input(
                    "model",
                    tooltip="MODEL of an SD1.5 checkpoint, before Apply Motion Model; a domain adapter may be on it.",
                ),
                clips_input(),
                training_name_input("models/animatediff_models"),
                io.Combo.Input(
                    "start",
                    options=list(STARTS),
                    default="new v3",
                    tooltip="New modules in the shape of v3, or of v2 with one more in the middle block. Not looked at when "
                    "motion_model is connected.",
                ),
                *schedule_inputs(10_000, 1e-4),
                MOTION_MODEL.Input(
                    "motion_model", optional=True, tooltip="Train this one further; it stays as it is itself."
                ),
                *preview_inputs(),
                number(
                    "positions",
                    0,
                    0,
                    4096,
                    "Frames that a new motion model can take at once; 0 is 32, as published.",
                    optional=True,
                    advanced=True,
                ),
                file_type_input("fp16"),
                *learning_inputs(),
                *machine_inputs(),
            ],
            result=MOTION_MODEL.Output(display_name="motion_model", tooltip="For Apply Motion Model."),
        )

    @classmethod
    def execute(
        cls, model, clips, start: str, motion_model=None, positions: int = 0, file_type="fp16", **training
    ) -> io.NodeOutput:
        def target(seed: int) -> Target:
            return motion_model_target(
                model, STARTS[start] if motion_model is None else motion_model, seed, positions, FILE_TYPES[file_type]
            )

        done = trained(MOTION_MODEL_STAGE, clips, TrainerInputs(**training), target)
        return output(cls, load_motion_model(done.files.name), done)


class TrainDomainAdapter(_Named, Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return trainer_schema(
            node_id="ZoetropeTrainDomainAdapter",
            display_name="Train Domain Adapter",
            description="Trains a domain adapter: a LoRA of the image layers that learns how the frames of the clips look, so "
            "that a motion model trained with it on does not. Train the motion model next, with this MODEL.",
            search_aliases=["train domain lora", "v3_sd15_adapter", "AnimateDiff training"],
            inputs=[
                io.Model.Input("model", tooltip="MODEL of an SD1.5 checkpoint, before Apply Motion Model."),
                clips_input(),
                training_name_input("models/loras"),
                number("rank", 64, 1, 1024, "Width of its matrices; the published one has 128."),
                *schedule_inputs(2000, 1e-4),
                *preview_inputs(),
                file_type_input("fp16"),
                *learning_inputs(),
                *machine_inputs(),
            ],
            result=io.Model.Output(
                display_name="model", tooltip="The MODEL with the adapter on, for Train Motion Model."
            ),
        )

    @classmethod
    def execute(cls, model, clips, rank: int, file_type="fp16", **training) -> io.NodeOutput:
        def target(seed: int) -> Target:
            return domain_adapter_target(model, rank, seed, FILE_TYPES[file_type])

        done = trained(DOMAIN_ADAPTER_STAGE, clips, TrainerInputs(**training), target)
        return output(cls, apply_domain_adapter(model, done.files.name, 1.0, SamplingRange()), done)
