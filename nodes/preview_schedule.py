"""A picture of what a MODEL will do to the frames of a clip."""

from comfy_api.latest import io, ui

from ..host.preview_schedule import schedule_image
from .base import Node
from .categories import WINDOWS_MENU
from .types import FRAME_VALUES


class PreviewSchedule(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropePreviewSchedule",
            display_name="Preview Schedule",
            category=WINDOWS_MENU,
            description="Draws the context windows of each sampling step, how they are blended, and the values that "
            "change over the frames. Nothing is sampled, so it takes a moment.",
            search_aliases=[
                "visualize context options",
                "show windows",
                "plot values",
                "ADE_VisualizeContextOptionsK",
                "ADE_VisualizeContextOptionsKAdv",
                "ADE_VisualizeContextOptionsSCustom",
            ],
            inputs=[
                io.Model.Input("model", tooltip="MODEL as it goes into the sampler, after Context Windows."),
                io.Int.Input("frames", default=32, min=1, max=8192, tooltip="Length of the clip."),
                io.Int.Input("steps", default=20, min=1, max=10000, tooltip="Steps of the sampler."),
                FRAME_VALUES.Input("frame_values", optional=True, tooltip="Values to draw over the frames."),
            ],
            outputs=[io.Image.Output(display_name="image", tooltip="The picture.")],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, model, frames: int, steps: int, frame_values=None) -> io.NodeOutput:
        image = schedule_image(model, frames, steps, frame_values)
        return io.NodeOutput(image, ui=ui.PreviewImage(image, cls=cls))
