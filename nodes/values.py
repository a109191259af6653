"""Values over time."""

from comfy_api.latest import io

from ..temporal.schedule import EXAMPLE, parse_value_schedule
from ..temporal.values import listed
from .types import FrameValues as FrameValuesType


class FrameValues(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeFrameValues",
            display_name="Frame Values",
            category="Zoetrope/windows",
            description="One number per frame from a schedule, for scale, effect, MotionLoRA and everything else that "
            "takes values over time. The clip's length is taken when it is sampled.",
            search_aliases=["value schedule", "ADE_ValueScheduling", "multival", "keyframes", "float list"],
            inputs=[
                io.String.Input(
                    "schedule",
                    default="0: 0.0, -1: 1.0",
                    multiline=True,
                    tooltip=f"Values at frames, interpolated between, for example '{EXAMPLE}'. Negative frames count "
                    "from the end; 0.5 with a point is the middle. Easings after a value shape the way to the next "
                    "key: linear, ease_in, ease_out, ease_in_out, hold.",
                ),
                io.Int.Input(
                    "frames",
                    default=0,
                    min=0,
                    max=100000,
                    optional=True,
                    tooltip="Length that negative frames and positions refer to, and of the list of floats. "
                    "0: the clip's length; the list then ends at the last key with a frame number.",
                ),
            ],
            outputs=[
                FrameValuesType.Output(display_name="frame_values", tooltip="One value per frame."),
                io.Float.Output(
                    display_name="floats", is_output_list=True, tooltip="The same as a list of floats, for other nodes."
                ),
            ],
        )

    @classmethod
    def execute(cls, schedule: str, frames: int = 0) -> io.NodeOutput:
        values = parse_value_schedule(schedule)
        floats = values.at(frames or values.numbered_frames)
        return io.NodeOutput(listed(floats) if frames else values, floats)


NODES: list[type[io.ComfyNode]] = [FrameValues]
