"""ControlNets that follow the frames of a clip."""

from comfy_api.latest import io

from ..host.call.sampling_range import sampling_range
from ..host.control.apply import apply_per_frame, factor_over_frames, per_frame
from ..host.control.layer_weights import LAYER_WEIGHTS_EXAMPLE, parse_layer_weights
from ..host.control.masks import effect_mask
from ..host.control.spec import ControlSpec
from ..temporal.hint_policies import HINT_POLICIES
from ..temporal.values.frame_values import FrameValues, Product, values_of
from ..temporal.values.schedule import parse_value_schedule
from .base import Node
from .categories import CONTROL_MENU
from .input_checks import Minimum
from .widgets import frame_values_input, keyframes_input, mask_input, percent_inputs, value_schedule_input


def schedule_input() -> io.Input:
    return value_schedule_input("0: 1.0", "Factor of the strength over the frames, interpolated between keys")


def missing_hints_input(optional: bool) -> io.Input:
    return io.Combo.Input(
        "missing_hints",
        options=list(HINT_POLICIES),
        default="hold",
        optional=optional,
        advanced=optional,
        tooltip="What frames after the last hint image get. hold: the last image; loop: from the first again; "
        "ping_pong: back and forth; stretch: the images are spread over the clip; off: no control. But for off, a "
        "single image is for all frames.",
    )


def effect_mask_input() -> io.Input:
    return mask_input(
        "Where the ControlNet acts: white fully, black not at all. One mask for all frames or one per frame, "
        "the last held. This is not an inpainting mask."
    )


def values_over_frames(schedule: str, frame_values: object) -> FrameValues:
    """The schedule, times frame values where some are connected."""
    values: FrameValues = parse_value_schedule(schedule)
    return values if frame_values is None else Product((values, values_of(frame_values, "frame_values")))


class ControlNetPerFrame(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeControlNetPerFrame",
            display_name="ControlNet Per Frame",
            category=CONTROL_MENU,
            description="Makes a ControlNet follow the frames, for any Apply ControlNet node: one hint image per frame "
            "in any windows, and a strength that changes over frames, sampling steps, picture and layers. Frames of "
            "strength 0 are not computed.",
            search_aliases=[
                "controlnet schedule",
                "controlnet weights",
                "soft weights",
                "effect mask",
                "latent keyframe",
                "LatentKeyframe",
                "LatentKeyframeGroup",
                "LatentKeyframeTiming",
                "LatentKeyframeBatchedGroup",
                "TimestepKeyframe",
                "ScaledSoftControlNetWeights",
                "ACN_ControlNetLoaderAdvanced",
            ],
            inputs=[
                io.ControlNet.Input("control_net", tooltip="ControlNet, T2I-Adapter, Control-LoRA or SparseCtrl."),
                schedule_input(),
                missing_hints_input(optional=False),
                frame_values_input("the strength, besides the schedule's"),
                io.Int.Input(
                    "frame_offset",
                    default=0,
                    min=-100000,
                    max=100000,
                    optional=True,
                    tooltip="Hint image of frame 0, counted from 0. Negative: the hints begin that many frames later.",
                ),
                effect_mask_input(),
                keyframes_input("the strength"),
                *_weight_inputs(),
                *_run_inputs(),
            ],
            outputs=[
                io.ControlNet.Output(display_name="control_net", tooltip="Connect to any Apply ControlNet node."),
            ],
        )

    @classmethod
    def execute(
        cls,
        control_net,
        schedule: str,
        missing_hints: str,
        frame_values=None,
        frame_offset: int = 0,
        mask=None,
        timestep_keyframes=None,
        layer_weights: str = "",
        soft_weights: float = 1.0,
        uncond_multiplier: float = 1.0,
        frames_per_batch: int = 0,
        by_step: bool = False,
    ) -> io.NodeOutput:
        over_steps = sampling_range(0.0, 1.0, timestep_keyframes, by_step)
        layers = parse_layer_weights(layer_weights, soft_weights)
        spec = ControlSpec(
            ranges=() if over_steps.always else (over_steps,),
            masks=() if mask is None else (effect_mask(mask),),
            layers=() if layers.neutral else (layers,),
            uncond=uncond_multiplier,
            missing_hints=missing_hints,
            frame_offset=frame_offset,
            frames_per_batch=frames_per_batch,
        )
        values = factor_over_frames(values_over_frames(schedule, frame_values))
        return io.NodeOutput(per_frame(control_net, values.times(spec)))


def _weight_inputs() -> list[io.Input]:
    return [
        io.String.Input(
            "layer_weights",
            default="",
            optional=True,
            advanced=True,
            tooltip="Factors by layer from the finest to the coarsest, as many as you like: they are spread over the "
            f"layers there are. '1, 0.5' falls towards the coarse layers; '{LAYER_WEIGHTS_EXAMPLE}' sets parts of the UNet "
            "(T2I-Adapters enter in 'input'). Empty: 1.",
        ),
        io.Float.Input(
            "soft_weights",
            default=1.0,
            min=Minimum(0.01),
            max=1.0,
            step=0.005,
            optional=True,
            advanced=True,
            tooltip="Below 1 finer layers are weaker, each by this factor, so that the prompt weighs more. 0.825 is what "
            "other tools call 'my prompt is more important'. 1 is off.",
        ),
        io.Float.Input(
            "uncond_multiplier",
            default=1.0,
            min=Minimum(0.0),
            max=10.0,
            step=0.01,
            optional=True,
            advanced=True,
            tooltip="Factor for the negative prompt. 0 makes the control stronger and halves its cost ('ControlNet is "
            "more important').",
        ),
    ]


def _run_inputs() -> list[io.Input]:
    return [
        io.Int.Input(
            "frames_per_batch",
            default=0,
            min=0,
            max=1000,
            optional=True,
            advanced=True,
            tooltip="The most frames that the ControlNet is run on at once, to save memory; 0 for all of a window. The "
            "result is the same. SparseCtrl always sees whole windows.",
        ),
        io.Boolean.Input(
            "by_step",
            default=False,
            optional=True,
            advanced=True,
            tooltip="Read the percents of timestep_keyframes as shares of the sampler's steps: at 0.5 half of the steps "
            "are done. Off: as positions in the noise schedule, as in core's nodes.",
        ),
    ]


class ApplyControlNetPerFrame(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeApplyControlNetPerFrame",
            display_name="Apply ControlNet Per Frame",
            category=CONTROL_MENU,
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
                    min=Minimum(0.0),
                    max=10.0,
                    step=0.01,
                    tooltip="Strength at frames where the schedule says 1. 0 leaves the ControlNet out.",
                ),
                schedule_input(),
                *percent_inputs("the ControlNet"),
                io.Vae.Input(
                    "vae",
                    optional=True,
                    tooltip="Only for ControlNets that need their hints encoded; those of SD1.5 and SDXL do not.",
                ),
                effect_mask_input(),
                frame_values_input("the strength, besides the schedule's"),
                missing_hints_input(optional=True),
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
        mask=None,
        frame_values=None,
        missing_hints: str = "hold",
    ) -> io.NodeOutput:
        values = values_over_frames(schedule, frame_values)
        spec = ControlSpec(masks=() if mask is None else (effect_mask(mask),), missing_hints=missing_hints)
        percents = (start_percent, end_percent)
        return io.NodeOutput(
            *apply_per_frame([positive, negative], control_net, image, strength, percents, values, vae, spec)
        )
