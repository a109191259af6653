"""Prompts over time."""

from comfy_api.latest import io

from ..host.prompts.prompt_schedule import encode_schedule, frames_of
from ..temporal.frame_keys import EASINGS
from ..temporal.prompts.blending import BLENDS
from ..temporal.prompts.parsing import PROMPT_SCHEDULE_EXAMPLE
from ..temporal.prompts.schedule import parse_prompt_schedule
from .base import Node
from .categories import WINDOWS_MENU
from .widgets import problem


class EncodePromptSchedule(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropePromptSchedule",
            display_name="Prompt Schedule",
            category=WINDOWS_MENU,
            description="Prompts that change over a clip: each key holds its prompt at a frame, and the frames between "
            "go over from one prompt to the next. Gives a conditioning with one row per frame for any sampler.",
            search_aliases=[
                "prompt travel",
                "prompt scheduling",
                "ADE_PromptScheduling",
                "ADE_PromptSchedulingLatents",
                "BatchPromptSchedule",
                "BatchPromptScheduleLatentInput",
                "FizzNodes",
            ],
            inputs=[
                io.Clip.Input("clip", tooltip="Text encoder. Each different prompt is encoded once."),
                io.String.Input(
                    "schedule",
                    default='"0": "a meadow in spring",\n"-1": "a meadow in winter"',
                    multiline=True,
                    tooltip=f"Prompts at frames, for example {PROMPT_SCHEDULE_EXAMPLE}, or one '0: a cat' a line. Negative frames count "
                    'from the end, 0.5 with a point is the middle, "0:8" is frames 0 to 7, "8:" holds until the next '
                    f"key. A word after a quoted prompt shapes the way to the next key: {', '.join(EASINGS)}.",
                ),
                io.Int.Input(
                    "frames",
                    default=16,
                    min=1,
                    max=100000,
                    tooltip="Length of the clip. Ignored where a latent is connected.",
                ),
                io.String.Input(
                    "prepend",
                    default="",
                    multiline=True,
                    dynamic_prompts=True,
                    optional=True,
                    tooltip="Text before every prompt of the schedule.",
                ),
                io.String.Input(
                    "append",
                    default="",
                    multiline=True,
                    dynamic_prompts=True,
                    optional=True,
                    tooltip="Text after every prompt of the schedule.",
                ),
                io.Combo.Input(
                    "interpolation",
                    options=[*BLENDS, "hold"],
                    default="linear",
                    optional=True,
                    tooltip="The way between two prompts: linear mixes them, slerp turns each token's vector along the "
                    "arc and keeps its length, hold jumps at the keys.",
                ),
                io.Latent.Input(
                    "latent",
                    optional=True,
                    tooltip="The latent that will be sampled; the schedule takes its number of frames.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(
                    display_name="conditioning",
                    tooltip="Connect to positive or negative of a sampler; works with ControlNet, areas and masks.",
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, schedule: str | None = None) -> bool | str:
        """The schedule is read before anything runs; None is text that another node will make."""
        return schedule is None or problem(lambda: parse_prompt_schedule(schedule))

    @classmethod
    def execute(
        cls,
        clip,
        schedule: str,
        frames: int,
        prepend: str = "",
        append: str = "",
        interpolation: str = "linear",
        latent: dict | None = None,
    ) -> io.NodeOutput:
        prompts = parse_prompt_schedule(schedule).between(prepend, append)
        return io.NodeOutput(
            encode_schedule(clip, prompts, frames if latent is None else frames_of(latent), interpolation)
        )
