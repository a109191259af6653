"""An ordinary LoRA whose strength changes over frames."""

from comfy_api.latest import io

from ..host.call.sampling_range import sampling_range
from ..host.call.strength import strength_of
from ..host.loading import model_files as files
from ..host.lora import unet_lora as model_lora
from .motion import CATEGORY
from .widgets import frame_values_input, keyframes_input, percent_inputs


class LoraPerFrame(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeLoraPerFrame",
            display_name="LoRA Per Frame",
            category=CATEGORY,
            description="Applies an ordinary LoRA of the checkpoint with a strength that may change from frame to frame "
            "and over the sampling steps, so that a clip can move from one style or character to another. Its text "
            "encoder part is not applied.",
            search_aliases=["lora schedule", "lora keyframes", "lora hook", "style transition", "LoraLoaderModelOnly"],
            inputs=[
                io.Model.Input("model", tooltip="MODEL of the checkpoint, before or after the motion model."),
                io.Combo.Input("lora", options=files.names(model_lora.FOLDER), tooltip="File in models/loras."),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-100.0,
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
        return lora is None or files.missing(model_lora.FOLDER, lora) or True

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
        value = strength_of(strength, "strength")
        if frame_values is not None:
            value = value.times(strength_of(frame_values, "frame_values"))
        acts = sampling_range(start_percent, end_percent, timestep_keyframes)
        return io.NodeOutput(model_lora.apply_lora(model, lora, value, acts))


NODES: list[type[io.ComfyNode]] = [LoraPerFrame]
