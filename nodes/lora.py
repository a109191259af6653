"""LoRAs: of motion models, of the checkpoint over frames, and the domain adapter."""

from comfy_api.latest import io

from ..host.call.sampling_range import sampling_range
from ..host.call.strength import Strength, as_mask, strength_of
from ..host.loading import model_files
from ..host.lora import domain_adapter, unet_lora
from ..host.lora.motion_lora import Stack, load_motion_lora
from .base import Node
from .categories import MOTION_MENU
from .input_checks import Minimum
from .types import MOTION_LORA
from .widgets import frame_values_input, keyframes_input, mask_input, percent_inputs


def _strength(number: float, frame_values: object) -> Strength:
    """The number of the widget, times frame values where some are connected."""
    strength = strength_of(number, "strength")
    return strength if frame_values is None else strength.times(strength_of(frame_values, "frame_values"))


class AddMotionLora(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeMotionLora",
            display_name="MotionLoRA",
            category=MOTION_MENU,
            description="Adds a MotionLoRA (zoom, pan, tilt, roll, or one you trained) to a stack. "
            "A negative strength reverses the motion.",
            search_aliases=["animatediff lora", "ADE_AnimateDiffLoRALoader", "camera motion", "v2_lora_ZoomIn"],
            inputs=[
                io.Combo.Input(
                    "motion_lora",
                    options=model_files.file_names(model_files.MOTION_LORAS),
                    tooltip="File in models/animatediff_motion_lora. The published camera moves belong to v2 modules.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=Minimum(-10.0),
                    max=10.0,
                    step=0.01,
                    tooltip="Factor of the learnt change. 0 leaves it out, negative values reverse the motion.",
                ),
                MOTION_LORA.Input(
                    "previous", optional=True, tooltip="MotionLoRAs to add this one to; they are summed."
                ),
                frame_values_input("the strength"),
                mask_input("Where it acts: one mask for all frames, or one per frame. It multiplies the strength."),
                *percent_inputs("the MotionLoRA", optional=True),
                keyframes_input("the strength"),
            ],
            outputs=[MOTION_LORA.Output(display_name="motion_lora", tooltip="The stack, for Apply Motion Model.")],
        )

    @classmethod
    def validate_inputs(cls, motion_lora: str | None) -> bool | str:
        return motion_lora is None or model_files.missing_file(model_files.MOTION_LORAS, motion_lora) or True

    @classmethod
    def execute(
        cls,
        motion_lora: str,
        strength: float,
        previous: Stack = (),
        frame_values=None,
        mask=None,
        start_percent: float = 0.0,
        end_percent: float = 1.0,
        timestep_keyframes=None,
    ) -> io.NodeOutput:
        value = _strength(strength, frame_values)
        if mask is not None:
            value = value.times(Strength(factors=(as_mask(mask, "mask"),)))
        when = sampling_range(start_percent, end_percent, timestep_keyframes)
        return io.NodeOutput((*previous, load_motion_lora(motion_lora, value, when)))


class DomainAdapter(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeDomainAdapter",
            display_name="Domain Adapter",
            category=MOTION_MENU,
            description="Applies the domain adapter of AnimateDiff v3 (v3_sd15_adapter) to a checkpoint. It brings the "
            "image layers to the look of the training videos: 0 for the best pictures, 1 with SparseCtrl and CameraCtrl.",
            search_aliases=["v3_sd15_adapter", "animatediff v3 adapter", "domain lora"],
            inputs=[
                io.Model.Input("model", tooltip="MODEL of an SD1.5 checkpoint, before or after the motion model."),
                io.Combo.Input(
                    "adapter",
                    options=domain_adapter.adapter_names(),
                    tooltip="File in models/loras or models/animatediff_models.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=Minimum(-10.0),
                    max=10.0,
                    step=0.01,
                    tooltip="Factor of the learnt change.",
                ),
                *percent_inputs("the adapter", optional=True),
                keyframes_input("the strength"),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="Connect to Apply Motion Model or a sampler.")],
        )

    @classmethod
    def validate_inputs(cls, adapter: str | None) -> bool | str:
        return adapter is None or domain_adapter.missing_adapter(adapter) or True

    @classmethod
    def execute(
        cls,
        model,
        adapter: str,
        strength: float,
        start_percent: float = 0.0,
        end_percent: float = 1.0,
        timestep_keyframes=None,
    ) -> io.NodeOutput:
        when = sampling_range(start_percent, end_percent, timestep_keyframes)
        return io.NodeOutput(domain_adapter.apply_domain_adapter(model, adapter, strength, when))


class LoraPerFrame(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeLoraPerFrame",
            display_name="LoRA Per Frame",
            category=MOTION_MENU,
            description="Applies an ordinary LoRA of the checkpoint with a strength that may change from frame to frame "
            "and over the sampling steps, so that a clip can move from one style or character to another. Its text "
            "encoder part is not applied.",
            search_aliases=["lora schedule", "lora keyframes", "lora hook", "style transition", "LoraLoaderModelOnly"],
            inputs=[
                io.Model.Input("model", tooltip="MODEL of the checkpoint, before or after the motion model."),
                io.Combo.Input(
                    "lora", options=model_files.file_names(unet_lora.LORA_FOLDER), tooltip="File in models/loras."
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=Minimum(-100.0),
                    max=100.0,
                    step=0.01,
                    tooltip="Strength at frames where the values are 1. 0 leaves the LoRA out.",
                ),
                frame_values_input("the strength"),
                *percent_inputs("the LoRA", optional=True),
                keyframes_input("the strength"),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="Connect to Apply Motion Model or a sampler.")],
        )

    @classmethod
    def validate_inputs(cls, lora: str | None) -> bool | str:
        return lora is None or model_files.missing_file(unet_lora.LORA_FOLDER, lora) or True

    @classmethod
    def execute(
        cls,
        model,
        lora: str,
        strength: float,
        frame_values=None,
        start_percent: float = 0.0,
        end_percent: float = 1.0,
        timestep_keyframes=None,
    ) -> io.NodeOutput:
        when = sampling_range(start_percent, end_percent, timestep_keyframes)
        return io.NodeOutput(unet_lora.apply_lora(model, lora, _strength(strength, frame_values), when))
