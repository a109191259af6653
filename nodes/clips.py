"""Taking frames out of clips, and joining clips."""

from comfy_api.latest import io

from ..temporal import clips
from ..temporal.frame_selection import FRAME_SELECTION_EXAMPLE, parse_selection
from .base import Node
from .categories import WINDOWS_MENU
from .widgets import problem


def _clips(name: str) -> io.MatchType.Template:
    """Sockets of a node that all carry the same kind of clip."""
    return io.MatchType.Template(name, allowed_types=[io.Image, io.Latent, io.Mask])  # type: ignore[arg-type]


class SelectFrames(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        template = _clips("frames")
        return io.Schema(
            node_id="ZoetropeSelectFrames",
            display_name="Select Frames",
            category=WINDOWS_MENU,
            description="Takes frames out of a clip, in any order and as often as you like: a part of it, every second "
            "frame, the clip backwards.",
            search_aliases=[
                "trim video",
                "reverse frames",
                "every nth",
                "latent from batch",
                "VHS_SelectImages",
                "VHS_SelectLatents",
                "VHS_SelectMasks",
                "VHS_SelectEveryNthImage",
                "VHS_SplitImages",
            ],
            inputs=[
                io.MatchType.Input(
                    "frames", template=template, tooltip="IMAGE, LATENT or MASK, one picture per frame."
                ),
                io.String.Input(
                    "select",
                    default=":",
                    tooltip=f"Frame numbers and Python slices, separated by commas, for example '{FRAME_SELECTION_EXAMPLE}'. Frames "
                    "count from 0, negative numbers from the end; ':' is all of them, '::-1' the clip backwards.",
                ),
            ],
            outputs=[
                io.MatchType.Output(template=template, id="selected", display_name="frames", tooltip="The frames."),
                io.Int.Output(display_name="count", tooltip="How many they are."),
            ],
        )

    @classmethod
    def validate_inputs(cls, select: str | None) -> bool | str:
        return select is None or problem(lambda: parse_selection(select))

    @classmethod
    def execute(cls, frames, select: str) -> io.NodeOutput:
        chosen = parse_selection(select).indexes(clips.length(frames))
        return io.NodeOutput(clips.select(frames, chosen), len(chosen))


class MergeFrames(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        template = _clips("clips")
        return io.Schema(
            node_id="ZoetropeMergeFrames",
            display_name="Merge Frames",
            category=WINDOWS_MENU,
            description="Puts one clip behind another, with a crossfade between them if you like.",
            search_aliases=[
                "concatenate video",
                "join clips",
                "crossfade",
                "VHS_MergeImages",
                "VHS_MergeLatents",
                "VHS_MergeMasks",
            ],
            inputs=[
                io.MatchType.Input("a", template=template, tooltip="The first clip: IMAGE, LATENT or MASK."),
                io.MatchType.Input("b", template=template, tooltip="The clip behind it, of the same kind and size."),
                io.Int.Input(
                    "crossfade",
                    default=0,
                    min=0,
                    max=100000,
                    optional=True,
                    tooltip="Frames at the end of a that are blended with as many from the start of b; the result is "
                    "that many frames shorter.",
                ),
            ],
            outputs=[
                io.MatchType.Output(template=template, id="merged", display_name="frames", tooltip="Both clips as one.")
            ],
        )

    @classmethod
    def execute(cls, a, b, crossfade: int = 0) -> io.NodeOutput:
        return io.NodeOutput(clips.merge(a, b, crossfade))
