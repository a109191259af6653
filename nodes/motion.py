"""Loading motion models, looking into them, and putting them on a MODEL."""

from dataclasses import dataclass
from typing import Any

from comfy_api.latest import io, ui

from ..host.call.sampling_range import sampling_range
from ..host.call.strength import Strength, as_mask, strength_of
from ..host.loading import model_files
from ..host.motion import load, noise_schedule
from ..host.motion.apply import apply_motion_model
from ..host.motion.conditioner import Conditioner
from ..host.motion.settings import MotionSettings
from ..motion_models.adjustment import Adjustment
from ..motion_models.block_values import BLOCK_VALUES_EXAMPLE, parse_block_values
from .base import Node
from .categories import MOTION_MENU
from .input_checks import Minimum
from .types import MOTION_LORA, MOTION_MODEL
from .widgets import keyframes_input, mask_input, percent_inputs, value_input

PER_BLOCK = (
    "Factors of the effect by block, for example '"
    + BLOCK_VALUES_EXAMPLE
    + "'; 'up: 0.8 scale 1.2' changes the scale as well. "
    "Blocks that are not named keep 1."
)


def motion_inputs() -> list[io.Input]:
    """What every node that applies a motion model takes, behind its own inputs."""
    return [
        io.Combo.Input(
            "beta_schedule",
            options=noise_schedule.CHOICES,
            default=noise_schedule.AUTO,
            tooltip="Noise schedule. auto: the one the motion model was trained with. "
            "use_existing: leave the model's own.",
        ),
        MOTION_LORA.Input("motion_lora", optional=True, tooltip="Stack of MotionLoRAs."),
        value_input(
            "scale",
            0.0,
            10.0,
            "How strongly frames attend to each other (a factor of the attention's keys): above 1 moves more, below "
            "1 less.",
        ),
        value_input("effect", 0.0, 1.0, "How much of the motion module's output is taken. 0 switches it off exactly."),
        *percent_inputs("the motion model", optional=True),
        mask_input("Where the motion model acts: one mask for all frames, or one per frame. It multiplies effect."),
        io.String.Input("per_block", default="", optional=True, advanced=True, tooltip=PER_BLOCK),
        keyframes_input("effect"),
    ]


@dataclass(frozen=True, eq=False, kw_only=True)
class MotionInputs:
    """Values of `motion_inputs`."""

    beta_schedule: str
    motion_lora: tuple[Any, ...] = ()
    scale: object = 1.0
    effect: object = 1.0
    start_percent: float = 0.0
    end_percent: float = 1.0
    mask: Any = None
    per_block: str = ""
    timestep_keyframes: Any = None

    def settings(self, motion_model: load.MotionModel, *conditioners: Conditioner) -> MotionSettings:
        """How a motion model acts.

        Args:
            motion_model: the motion model.
            conditioners: what else acts with it.

        Raises:
            ValueError: a value cannot be used; the sentence names it.
        """
        effect = strength_of(self.effect, "effect")
        if self.mask is not None:
            effect = effect.times(Strength(factors=(as_mask(self.mask, "mask"),)))
        return MotionSettings(
            name=motion_model.name,
            spec=motion_model.spec,
            scale=strength_of(self.scale, "scale"),
            effect=effect,
            when=sampling_range(self.start_percent, self.end_percent, self.timestep_keyframes),
            blocks=(parse_block_values(self.per_block or ""),),
            conditioners=conditioners,
        )


def apply_with(model, motion_model, inputs: dict[str, Any], *conditioners: Conditioner) -> io.NodeOutput:
    """Output of a node that applies a motion model: MODEL sampling with it.

    Args:
        model: MODEL.
        motion_model: MOTION_MODEL.
        inputs: values of `motion_inputs` by name.
        conditioners: what else acts with it.
    """
    given = MotionInputs(**inputs)
    settings = given.settings(motion_model, *conditioners)
    return io.NodeOutput(
        apply_motion_model(model, motion_model, settings, given.beta_schedule, given.motion_lora or ())
    )


class LoadMotionModel(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeLoadMotionModel",
            display_name="Load Motion Model",
            category=MOTION_MENU,
            description="Reads a motion module of any published kind: AnimateDiff v1, v2, v3 and SDXL, HotshotXL, AnimateLCM, "
            "Lightning, LongAnimateDiff, PIA.",
            search_aliases=[
                "animatediff",
                "ADE_LoadAnimateDiffModel",
                "motion module",
                "mm_sd_v15_v2",
                "v3_sd15_mm",
                "hotshot",
                "AnimateLCM",
            ],
            inputs=[
                io.Combo.Input(
                    "motion_model",
                    options=model_files.file_names(model_files.MOTION_MODELS),
                    tooltip="File in models/animatediff_models. What it is and how many frames it takes "
                    "is read from its weights.",
                ),
            ],
            outputs=[
                MOTION_MODEL.Output(display_name="motion_model", tooltip="Connect to Apply Motion Model."),
            ],
        )

    @classmethod
    def validate_inputs(cls, motion_model: str | None) -> bool | str:
        return motion_model is None or model_files.missing_file(model_files.MOTION_MODELS, motion_model) or True

    @classmethod
    def execute(cls, motion_model: str) -> io.NodeOutput:
        return io.NodeOutput(load.load_motion_model(motion_model))


class ApplyMotionModel(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeApplyMotionModel",
            display_name="Apply Motion Model",
            category=MOTION_MENU,
            description="Makes a checkpoint sample a clip: the latent's batch becomes time. "
            "Apply again to stack a second motion model; the first applied runs first.",
            search_aliases=["animatediff", "ADE_UseEvolvedSampling", "ADE_ApplyAnimateDiffModelSimple", "animate"],
            inputs=[
                io.Model.Input("model", tooltip="MODEL of the checkpoint, after LoRAs and model patches."),
                MOTION_MODEL.Input("motion_model", tooltip="From Load Motion Model."),
                *motion_inputs(),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="Connect to Context Windows or any sampler.")],
        )

    @classmethod
    def execute(cls, model, motion_model, **inputs) -> io.NodeOutput:
        motion_model.spec.require_no_image()
        return apply_with(model, motion_model, inputs)


class MotionModelInfo(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeMotionModelInfo",
            display_name="Motion Model Info",
            category=MOTION_MENU,
            description="Says what a motion model is and what it was made for: family, frames, size, noise schedule, "
            "sampler, steps and guidance.",
            search_aliases=["inspect motion model", "motion model settings"],
            inputs=[MOTION_MODEL.Input("motion_model", tooltip="From Load Motion Model.")],
            outputs=[io.String.Output(display_name="info", tooltip="The text shown on the node.")],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, motion_model) -> io.NodeOutput:
        text = load.info(motion_model)
        return io.NodeOutput(text, ui=ui.PreviewText(text))


class AdjustMotionModel(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        def frames(name: str, tooltip: str, lowest: int = 0) -> io.Input:
            return io.Int.Input(name, default=0, min=lowest, max=4096, tooltip=f"{tooltip} 0 leaves it as it is.")

        return io.Schema(
            node_id="ZoetropeAdjustMotionModel",
            display_name="Adjust Motion Model",
            category=MOTION_MENU,
            description="Changes the positional encoding of a motion model (to slow motion down or to reach more frames "
            "at once), the gain of its attentions and its effect by block. The model that comes in stays as it is.",
            search_aliases=[
                "ADE_AdjustPEManual",
                "ADE_AdjustPEFullStretch",
                "ADE_AdjustPESweetspotStretch",
                "pe stretch",
            ],
            inputs=[
                MOTION_MODEL.Input("motion_model", tooltip="From Load Motion Model."),
                frames("pe_stretch", "Interpolates the whole positional encoding to this many frames more.", -4095),
                frames("pe_cap", "Keeps only this many positions (after pe_offset)."),
                frames(
                    "pe_interpolate", "Interpolates the positions that are left to this many; 16 to 32 halves speed."
                ),
                frames("pe_offset", "Drops this many positions at the start."),
                io.Float.Input(
                    "attention_gain",
                    default=1.0,
                    min=Minimum(0.0),
                    max=10.0,
                    step=0.01,
                    tooltip="Factor of what each temporal attention adds. 1 is as trained.",
                ),
                io.String.Input("per_block", default="", optional=True, tooltip=PER_BLOCK),
            ],
            outputs=[MOTION_MODEL.Output(display_name="motion_model", tooltip="Connect to Apply Motion Model.")],
        )

    @classmethod
    def execute(
        cls,
        motion_model,
        pe_stretch: int,
        pe_cap: int,
        pe_interpolate: int,
        pe_offset: int,
        attention_gain: float,
        per_block: str = "",
    ) -> io.NodeOutput:
        adjustment = Adjustment(
            stretch=pe_stretch,
            offset=pe_offset,
            cap=pe_cap,
            interpolate=pe_interpolate,
            attention_gain=attention_gain,
        )
        blocks = parse_block_values(per_block)
        return io.NodeOutput(load.adjust_motion_model(motion_model, adjustment, blocks))
