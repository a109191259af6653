"""ControlNets that follow the frames of a clip."""

from comfy_api.latest import io

from ..host.control import apply_per_frame
from ..temporal.schedule import EXAMPLE, parse_value_schedule
from ..temporal.values import FrameValues, Product, values_of
from .widgets import frame_values_input, percent_inputs


class ApplyControlNetPerFrame(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeApplyControlNetPerFrame",
            display_name="Apply ControlNet Per Frame",
            category="Zoetrope/control",
            description="Applies a ControlNet with one hint image and one strength for each frame of a clip, in windows "
            "as without them. With fewer images than frames the last image is held; a single image is for all frames.",
            search_aliases=[
                "controlnet animation",
                "controlnet video",
                "ACN_AdvancedControlNetApply",
                "latent keyframe",
                "controlnet strength schedule",
            ],
            inputs=[
                io.Conditioning.Input("positive", tooltip="What the clip should show."),
                io.Conditioning.Input("negative", tooltip="What it should not show."),
                io.ControlNet.Input("control_net", tooltip="ControlNet or T2I-Adapter of the checkpoint's kind."),
                io.Image.Input("image", tooltip="Hint images in frame order: image 1 guides frame 0, and so on."),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=10.0,
                    step=0.01,
                    tooltip="Strength at frames where the schedule says 1. 0 leaves the ControlNet out.",
                ),
                io.String.Input(
                    "schedule",
                    default="0: 1.0",
                    multiline=True,
                    tooltip="Factor of the strength over the frames, interpolated between keys, for example "
                    f"'{EXAMPLE}'. Negative frames count from the end; 0.5 with a point is the middle. Easings after a "
                    "value shape the way to the next key: linear, ease_in, ease_out, ease_in_out, hold.",
                ),
                *percent_inputs("the ControlNet"),
                io.Vae.Input(
                    "vae",
                    optional=True,
                    tooltip="Only for ControlNets that need their hints encoded; those of SD1.5 and SDXL do not.",
                ),
                frame_values_input("the strength, besides the schedule's"),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="Positive prompt with the ControlNet."),
                io.Conditioning.Output(display_name="negative", tooltip="Negative prompt with the ControlNet."),
            ],
        )

    @classmethod
    def execute(
        cls,
        positive,
        negative,
        control_net,
        image,
        strength: float,
        schedule: str,
        start_percent: float,
        end_percent: float,
        vae=None,
        frame_values=None,
    ) -> io.NodeOutput:
        values: FrameValues = parse_value_schedule(schedule)
        if frame_values is not None:
            values = Product((values, values_of(frame_values, "frame_values")))
        percents = (start_percent, end_percent)
        return io.NodeOutput(
            *apply_per_frame([positive, negative], control_net, image, strength, percents, values, vae)
        )


NODES = [ApplyControlNetPerFrame]
