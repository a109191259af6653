"""Loading motion models, stacking MotionLoRAs, and putting them on a MODEL."""

from comfy_api.latest import io

from ..host import apply, betas, files, lora, motion
from ..host.settings import MotionSettings
from .types import MotionLora as MotionLoraType
from .types import MotionModel
from .widgets import percent_inputs

CATEGORY = "Zoetrope/motion"


class LoadMotionModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeLoadMotionModel",
            display_name="Load Motion Model",
            category=CATEGORY,
            description="Reads an AnimateDiff motion module (v1, v2, v3 and files of the same layout).",
            search_aliases=["animatediff", "ADE_LoadAnimateDiffModel", "motion module", "mm_sd_v15_v2", "v3_sd15_mm"],
            inputs=[
                io.Combo.Input(
                    "motion_model",
                    options=files.names(files.MOTION_MODELS),
                    tooltip="File in models/animatediff_models. What it is and how many frames it takes "
                    "is read from its weights.",
                ),
            ],
            outputs=[
                MotionModel.Output(display_name="motion_model", tooltip="Connect to Apply Motion Model."),
            ],
        )

    @classmethod
    def validate_inputs(cls, motion_model: str | None) -> bool | str:
        return motion_model is None or files.missing(files.MOTION_MODELS, motion_model) or True

    @classmethod
    def execute(cls, motion_model: str) -> io.NodeOutput:
        return io.NodeOutput(motion.load_motion_model(motion_model))


class MotionLora(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeMotionLora",
            display_name="MotionLoRA",
            category=CATEGORY,
            description="Adds a MotionLoRA (zoom, pan, tilt, roll, or one you trained) to a stack. "
            "A negative strength reverses the motion.",
            search_aliases=["animatediff lora", "ADE_AnimateDiffLoRALoader", "camera motion", "v2_lora_ZoomIn"],
            inputs=[
                io.Combo.Input(
                    "motion_lora",
                    options=files.names(files.MOTION_LORAS),
                    tooltip="File in models/animatediff_motion_lora. The published camera moves belong to v2 modules.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-10.0,
                    max=10.0,
                    step=0.01,
                    tooltip="Factor of the learnt change. 0 leaves it out, negative values reverse the motion.",
                ),
                MotionLoraType.Input(
                    "previous", optional=True, tooltip="MotionLoRAs to add this one to; they are summed."
                ),
            ],
            outputs=[MotionLoraType.Output(display_name="motion_lora", tooltip="The stack, for Apply Motion Model.")],
        )

    @classmethod
    def validate_inputs(cls, motion_lora: str | None) -> bool | str:
        return motion_lora is None or files.missing(files.MOTION_LORAS, motion_lora) or True

    @classmethod
    def execute(cls, motion_lora: str, strength: float, previous: lora.Stack = ()) -> io.NodeOutput:
        return io.NodeOutput((*previous, lora.load_motion_lora(motion_lora, strength)))


class ApplyMotionModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeApplyMotionModel",
            display_name="Apply Motion Model",
            category=CATEGORY,
            description="Makes a checkpoint sample a clip: the latent's batch becomes time. "
            "Apply again to stack a second motion model; the first applied runs first.",
            search_aliases=["animatediff", "ADE_UseEvolvedSampling", "ADE_ApplyAnimateDiffModelSimple", "animate"],
            inputs=[
                io.Model.Input("model", tooltip="MODEL of the checkpoint, after LoRAs and model patches."),
                MotionModel.Input("motion_model", tooltip="From Load Motion Model."),
                io.Combo.Input(
                    "beta_schedule",
                    options=betas.CHOICES,
                    default=betas.AUTO,
                    tooltip="Noise schedule. auto: the one the motion model was trained with. "
                    "use_existing: leave the model's own.",
                ),
                MotionLoraType.Input("motion_lora", optional=True, tooltip="Stack of MotionLoRAs."),
                io.Float.Input(
                    "scale",
                    default=1.0,
                    min=0.0,
                    max=10.0,
                    step=0.01,
                    optional=True,
                    tooltip="How strongly frames attend to each other (a factor of the attention's keys): "
                    "above 1 moves more, below 1 less.",
                ),
                io.Float.Input(
                    "effect",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    optional=True,
                    tooltip="How much of the motion module's output is taken. 0 switches it off exactly.",
                ),
                *percent_inputs("the motion model", optional=True),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="Connect to Context Windows or any sampler.")],
        )

    @classmethod
    def execute(
        cls,
        model,
        motion_model,
        beta_schedule,
        motion_lora=(),
        scale=1.0,
        effect=1.0,
        start_percent=0.0,
        end_percent=1.0,
    ) -> io.NodeOutput:
        settings = MotionSettings(motion_model.name, motion_model.spec, scale, effect, start_percent, end_percent)
        return io.NodeOutput(apply.apply_motion_model(model, motion_model, settings, beta_schedule, motion_lora))


NODES: list[type[io.ComfyNode]] = [LoadMotionModel, MotionLora, ApplyMotionModel]
