"""Sampling clips that are longer than a motion model's window."""

from comfy_api.latest import io

from ..host.sampling.context_windows import apply_windows
from ..temporal.windows.blending import FUSE_METHODS
from ..temporal.windows.schedules import SCHEDULES, WindowSettings
from .widgets import percent_inputs


class ContextWindows(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeContextWindows",
            display_name="Context Windows",
            category="Zoetrope/windows",
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
                io.Int.Input(
                    "context_length",
                    default=16,
                    min=1,
                    max=1024,
                    tooltip="Frames in a window. 16 is what most motion models were trained on; "
                    "their number of positions (24 or 32) is the limit.",
                ),
                io.Int.Input(
                    "context_overlap",
                    default=4,
                    min=0,
                    max=1023,
                    tooltip="Frames that neighbouring windows share; must be smaller than context_length. "
                    "More is smoother and slower. batched and shifted have no overlap and ignore it.",
                ),
                io.Combo.Input(
                    "schedule",
                    options=list(SCHEDULES),
                    default="standard_uniform",
                    tooltip="Where the windows lie. standard_uniform moves them at every step, standard_static "
                    "never, looped_uniform lets them run from the last frame into the first, batched cuts without "
                    "overlap, shifted cuts without overlap at other places in every step, which is the fastest.",
                ),
                io.Combo.Input(
                    "fuse_method",
                    options=list(FUSE_METHODS),
                    default="pyramid",
                    tooltip="How overlapping windows are blended: pyramid trusts the middle of a window most, relative "
                    "more so, flat averages, overlap_linear cross-fades over the overlap only.",
                ),
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
                io.Boolean.Input(
                    "closed_loop",
                    default=False,
                    optional=True,
                    tooltip="Joins the last frames to the first, for clips that play in a loop. Clips that fit one "
                    "window begin it with another frame in every step. batched ignores it.",
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
        settings = WindowSettings(context_length, context_overlap, schedule, fuse_method, context_stride, closed_loop)
        return io.NodeOutput(apply_windows(model, settings, windows_per_batch, start_percent, end_percent))


NODES: list[type[io.ComfyNode]] = [ContextWindows]
