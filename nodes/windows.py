"""Clips that are longer than a motion model's window: windows of the whole UNet, and of the motion modules only."""

from comfy_api.latest import io

from ..host.motion.view_windows import apply_views
from ..host.sampling.context_windows import apply_windows
from ..temporal.windows.settings import WindowSettings
from .base import Node
from .categories import WINDOWS_MENU
from .widgets import closed_loop_input, number, overlap_input, percent_inputs, window_inputs

LIMIT = "16 is what most motion models were trained on; their number of positions (24 or 32) is the limit."


class ContextWindows(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeContextWindows",
            display_name="Context Windows",
            category=WINDOWS_MENU,
            description="Samples a long clip in windows of frames and blends them, so that its length is not limited "
            "by the motion model or by memory, and closes loops. Two of these nodes in a row with different percent "
            "ranges use different windows early and late; where both act the later one wins.",
            search_aliases=[
                "context options",
                "sliding window",
                "long animation",
                "ADE_StandardUniformContextOptions",
                "ADE_StandardStaticContextOptions",
                "ADE_LoopedUniformContextOptions",
                "ADE_BatchedContextOptions",
                "ADE_AnimateDiffUniformContextOptions",
                "seamless loop",
            ],
            inputs=[
                io.Model.Input("model", tooltip="MODEL with a motion model; also works for plain image batches."),
                number(
                    "context_length",
                    16,
                    1,
                    1024,
                    f"Frames in a window. {LIMIT}",
                ),
                overlap_input("context_overlap", "context_length", "windows", "More is smoother and slower. "),
                *window_inputs("windows", ", which is the fastest"),
                io.Int.Input(
                    "context_stride",
                    default=1,
                    min=1,
                    max=32,
                    optional=True,
                    advanced=True,
                    tooltip="Above 1, the uniform schedules also run windows over every 2nd, 4th, ... frame, which ties "
                    "distant frames together and takes more time.",
                ),
                closed_loop_input(
                    "Clips that fit one window begin it with another frame in every step. batched ignores it."
                ),
                io.Int.Input(
                    "windows_per_batch",
                    default=0,
                    min=0,
                    max=64,
                    optional=True,
                    advanced=True,
                    tooltip="Windows that go through the UNet in one call. 0 lets free memory decide; 1 needs least.",
                ),
                *percent_inputs("this node", optional=True),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="Connect to a sampler.")],
        )

    @classmethod
    def execute(
        cls,
        model,
        context_length: int,
        context_overlap: int,
        schedule: str,
        fuse_method: str,
        context_stride: int = 1,
        closed_loop: bool = False,
        windows_per_batch: int = 0,
        start_percent: float = 0.0,
        end_percent: float = 1.0,
    ) -> io.NodeOutput:
        settings = WindowSettings(
            length=context_length,
            overlap=context_overlap,
            schedule=schedule,
            fuse=fuse_method,
            stride=context_stride,
            closed_loop=closed_loop,
        )
        return io.NodeOutput(apply_windows(model, settings, windows_per_batch, start_percent, end_percent))


class ViewWindows(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeViewWindows",
            display_name="View Windows",
            category=WINDOWS_MENU,
            description="Lets motion modules look at a long clip in overlapping views, while the rest of the UNet sees "
            "all frames in one call: clips longer than the motion model's positions without Context Windows, or longer "
            "context windows. Needs memory for all those frames. Order with the other nodes does not matter.",
            search_aliases=[
                "view options",
                "freenoise attention",
                "sliding window attention",
                "ADE_StandardUniformViewOptions",
                "ADE_StandardStaticViewOptions",
                "ADE_LoopedUniformViewOptions",
                "ADE_ViewsOnlyContextOptions",
            ],
            inputs=[
                io.Model.Input("model", tooltip="MODEL with a motion model, or one that gets it later."),
                number("view_length", 16, 1, 1024, f"Frames that attend to each other. {LIMIT}"),
                overlap_input("view_overlap", "view_length", "views"),
                *window_inputs("views"),
                closed_loop_input("Ignored by batched and inside context windows, whose ends are no neighbours."),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="Connect to a sampler.")],
        )

    @classmethod
    def execute(
        cls, model, view_length: int, view_overlap: int, schedule: str, fuse_method: str, closed_loop: bool = False
    ) -> io.NodeOutput:
        settings = WindowSettings(
            length=view_length, overlap=view_overlap, schedule=schedule, fuse=fuse_method, closed_loop=closed_loop
        )
        return io.NodeOutput(apply_views(model, settings))
