"""Stacking MotionLoRAs, and the domain adapter."""

from comfy_api.latest import io

from ..host.call.sampling_range import sampling_range
from ..host.call.strength import Strength, as_mask, strength_of
from ..host.loading import model_files as files
from ..host.lora import domain_adapter as adapter
from ..host.lora import motion_lora as lora
from ..host.lora.domain_adapter import apply_domain_adapter
from ..host.lora.domain_adapter import missing as missing_adapter
from .motion import CATEGORY
from .types import MotionLora as MotionLoraType
from .widgets import frame_values_input, keyframes_input, percent_inputs


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
                frame_values_input("the strength"),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Where it acts: one mask for all frames, or one per frame. It multiplies the strength.",
                ),
                *percent_inputs("the MotionLoRA", optional=True),
                keyframes_input("the strength"),
            ],
            outputs=[MotionLoraType.Output(display_name="motion_lora", tooltip="The stack, for Apply Motion Model.")],
        )

    @classmethod
    def validate_inputs(cls, motion_lora: str | None) -> bool | str:
        return motion_lora is None or files.missing(files.MOTION_LORAS, motion_lora) or True

    @classmethod
    def execute(
        cls,
        motion_lora: str,
        strength: float,
        previous: lora.Stack = (),
        frame_values=None,
        mask=None,
        start_percent: float = 0.0,
        end_percent: float = 1.0,
        timestep_keyframes=None,
    ) -> io.NodeOutput:
        value = strength_of(strength, "strength")
        if frame_values is not None:
            value = value.times(strength_of(frame_values, "frame_values"))
        if mask is not None:
            value = value.times(Strength(factors=(as_mask(mask, "mask"),)))
        acts = sampling_range(start_percent, end_percent, timestep_keyframes)
        return io.NodeOutput((*previous, lora.load_motion_lora(motion_lora, value, acts)))


class DomainAdapter(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeDomainAdapter",
            display_name="Domain Adapter",
            category=CATEGORY,
            description="Applies the domain adapter of AnimateDiff v3 (v3_sd15_adapter) to a checkpoint. It brings the "
            "image layers to the look of the training videos: 0 for the best pictures, 1 with SparseCtrl and CameraCtrl.",
            search_aliases=["v3_sd15_adapter", "animatediff v3 adapter", "domain lora"],
            inputs=[
                io.Model.Input("model", tooltip="MODEL of an SD1.5 checkpoint, before or after the motion model."),
                io.Combo.Input(
                    "adapter",
                    options=adapter.names(),
                    tooltip="File in models/loras or models/animatediff_models.",
                ),
                io.Float.Input(
                    "strength", default=1.0, min=-10.0, max=10.0, step=0.01, tooltip="Factor of the learnt change."
                ),
                *percent_inputs("the adapter", optional=True),
                keyframes_input("the strength"),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="Connect to Apply Motion Model or a sampler.")],
        )

    @classmethod
    def validate_inputs(cls, adapter: str | None) -> bool | str:
        return adapter is None or missing_adapter(adapter) or True

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
        acts = sampling_range(start_percent, end_percent, timestep_keyframes)
        return io.NodeOutput(apply_domain_adapter(model, adapter, strength, acts))


NODES: list[type[io.ComfyNode]] = [MotionLora, DomainAdapter]
