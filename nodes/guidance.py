"""Guidance over frames, pixels and steps."""

from comfy_api.latest import io

from ..host.call.sampling_range import sampling_range
from ..host.prompts.cfg_per_frame import apply_guidance, guidance_of
from .base import Node
from .categories import MOTION_MENU
from .widgets import keyframes_input, mask_input, percent_inputs, value_input


class GuidancePerFrame(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeGuidancePerFrame",
            display_name="Guidance Per Frame",
            category=MOTION_MENU,
            description="Takes the place of the sampler's cfg: one number, one per frame, or one per pixel, in a part "
            "of the sampling steps or in all of them. Several in a row share the steps between them.",
            search_aliases=[
                "cfg schedule",
                "cfg per frame",
                "cfg override",
                "ADE_CustomCFG",
                "ADE_CustomCFGSimple",
                "ADE_CustomCFGKeyframe",
                "VideoLinearCFGGuidance",
            ],
            inputs=[
                io.Model.Input("model", tooltip="MODEL, before or after any other node."),
                value_input(
                    "guidance",
                    0.0,
                    100.0,
                    "How strongly the prompt guides, in place of the sampler's cfg. 1 leaves the negative prompt out. "
                    "A MASK goes from 1 where it is black to the sampler's cfg where it is white.",
                    optional=False,
                    default=7.0,
                ),
                *percent_inputs("this guidance", optional=True),
                mask_input(
                    "Where it acts: white takes this guidance, black keeps the sampler's cfg; one mask for all "
                    "frames, or one per frame."
                ),
                keyframes_input("the guidance"),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="Connect to a sampler or guider.")],
        )

    @classmethod
    def execute(
        cls,
        model,
        guidance,
        start_percent: float = 0.0,
        end_percent: float = 1.0,
        mask=None,
        timestep_keyframes=None,
    ) -> io.NodeOutput:
        when = sampling_range(start_percent, end_percent, timestep_keyframes)
        return io.NodeOutput(apply_guidance(model, guidance_of(guidance, when, mask)))
