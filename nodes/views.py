"""Windows inside the motion modules only."""

from comfy_api.latest import io

from ..host.motion.view_windows import apply_views
from ..temporal.windows.blending import FUSE_METHODS
from ..temporal.windows.schedules import SCHEDULES, WindowSettings


class ViewWindows(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeViewWindows",
            display_name="View Windows",
            category="Zoetrope/windows",
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
                io.Int.Input(
                    "view_length",
                    default=16,
                    min=1,
                    max=1024,
                    tooltip="Frames that attend to each other. 16 is what most motion models were trained on; "
                    "their number of positions (24 or 32) is the limit.",
                ),
                io.Int.Input(
                    "view_overlap",
                    default=4,
                    min=0,
                    max=1023,
                    tooltip="Frames that neighbouring views share; must be smaller than view_length. "
                    "batched and shifted have no overlap and ignore it.",
                ),
                io.Combo.Input(
                    "schedule",
                    options=list(SCHEDULES),
                    default="standard_uniform",
                    tooltip="Where the views lie. standard_uniform moves them at every step, standard_static never, "
                    "looped_uniform lets them run from the last frame into the first, batched cuts without overlap, "
                    "shifted cuts without overlap at other places in every step.",
                ),
                io.Combo.Input(
                    "fuse_method",
                    options=list(FUSE_METHODS),
                    default="pyramid",
                    tooltip="How overlapping views are blended: pyramid trusts the middle of a view most, relative "
                    "more so, flat averages, overlap_linear cross-fades over the overlap only.",
                ),
                io.Boolean.Input(
                    "closed_loop",
                    default=False,
                    optional=True,
                    tooltip="Joins the last frames to the first, for clips that play in a loop. Ignored by batched and "
                    "inside context windows, whose ends are no neighbours.",
                ),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="Connect to a sampler.")],
        )

    @classmethod
    def execute(
        cls, model, view_length: int, view_overlap: int, schedule: str, fuse_method: str, closed_loop: bool = False
    ) -> io.NodeOutput:
        settings = WindowSettings(view_length, view_overlap, schedule, fuse_method, closed_loop=closed_loop)
        return io.NodeOutput(apply_views(model, settings))


NODES: list[type[io.ComfyNode]] = [ViewWindows]
