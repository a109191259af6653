"""Where a clip starts: the noise of its frames, and starting again from what came out."""

from comfy_api.latest import io

from ..host.sampling.clip_noise import apply_noise
from ..host.sampling.free_init import apply_free_init
from ..temporal.free_init import FILTERS, FreeInitSettings
from ..temporal.noise import NOISE_TYPES, NoiseSettings
from .base import Node
from .categories import WINDOWS_MENU
from .input_checks import Minimum

OFFSET = 2**31 - 1


class ClipNoise(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeNoise",
            display_name="Clip Noise",
            category=WINDOWS_MENU,
            description="Chooses the noise a clip is sampled from. Frames that share noise look alike, which holds "
            "long clips together. Works with every sampler node; a run that adds no noise is left as it is.",
            search_aliases=[
                "freenoise",
                "noise type",
                "repeated context",
                "constant noise",
                "seed per frame",
                "ADE_AnimateDiffSamplingSettings",
                "ADE_NoiseLayerNormalizedSum",
                "ADE_NoiseLayerAddWeighted",
            ],
            inputs=[
                io.Model.Input("model", tooltip="MODEL that samples the clip."),
                io.Combo.Input(
                    "noise_type",
                    options=list(NOISE_TYPES),
                    default="freenoise",
                    tooltip="freenoise shuffles the noise of earlier frames into later ones, window by window; "
                    "repeated repeats the first window's; constant gives all frames the noise of the first; default is "
                    "the sampler's own noise.",
                ),
                io.Float.Input(
                    "blend",
                    default=1.0,
                    min=Minimum(0.0),
                    max=1.0,
                    step=0.01,
                    tooltip="Weight of the shared noise; each frame's own noise makes up the rest. 0 is the sampler's "
                    "own noise.",
                ),
                *_window_inputs(),
                io.Int.Input(
                    "seed_offset",
                    default=0,
                    min=-OFFSET,
                    max=OFFSET,
                    optional=True,
                    advanced=True,
                    tooltip="Added to the sampler's seed for this noise.",
                ),
                io.Boolean.Input(
                    "frame_seeds",
                    default=False,
                    optional=True,
                    tooltip="Draws each frame from a seed of its own, the run's plus the frame number: with noise_type "
                    "default, frame 3 starts from the noise that a single image has with seed + 3.",
                ),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="Connect to a sampler.")],
        )

    @classmethod
    def execute(
        cls,
        model,
        noise_type: str,
        blend: float,
        window_length: int = 16,
        window_overlap: int = 4,
        seed_offset: int = 0,
        frame_seeds: bool = False,
    ) -> io.NodeOutput:
        settings = NoiseSettings(
            kind=noise_type,
            blend=blend,
            length=window_length,
            overlap=window_overlap,
            seed_offset=seed_offset,
            frame_seeds=frame_seeds,
        )
        return io.NodeOutput(apply_noise(model, settings))


def _window_inputs() -> list[io.Input]:
    return [
        io.Int.Input(
            "window_length",
            default=16,
            min=1,
            max=1024,
            optional=True,
            tooltip="Frames in a window, for freenoise and repeated. Set it as in Context Windows.",
        ),
        io.Int.Input(
            "window_overlap",
            default=4,
            min=0,
            max=1023,
            optional=True,
            tooltip="Frames that neighbouring windows share, for freenoise. Set it as in Context Windows.",
        ),
    ]


class FreeInit(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeFreeInit",
            display_name="FreeInit",
            category=WINDOWS_MENU,
            description="Samples the clip several times, each time from noise whose low frequencies remember the last "
            "result, so that frames agree more and flicker less. Each iteration takes as long as the sampling itself.",
            search_aliases=["free init", "temporal consistency", "flicker", "iterations", "ADE_IterationOptsFreeInit"],
            inputs=[
                io.Model.Input("model", tooltip="MODEL that samples the clip."),
                io.Int.Input(
                    "iterations",
                    default=3,
                    min=1,
                    max=100,
                    tooltip="How often the clip is sampled. 1 is without FreeInit; 3 to 5 are usual.",
                ),
                io.Combo.Input(
                    "filter",
                    options=list(FILTERS),
                    default="butterworth",
                    tooltip="How low frequencies are told from high ones. gaussian keeps more, for clips that change "
                    "too much; ideal cuts at the cutoff; box cuts each axis by itself.",
                ),
                *_cutoff_inputs(),
                io.Int.Input(
                    "order",
                    default=4,
                    min=1,
                    max=100,
                    optional=True,
                    advanced=True,
                    tooltip="Steepness of the butterworth filter.",
                ),
                io.Boolean.Input(
                    "fast",
                    default=False,
                    optional=True,
                    tooltip="The first iterations take fewer steps: with 3 iterations a third, two thirds, then all, "
                    "which is two thirds of the time.",
                ),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="Connect to a sampler.")],
        )

    @classmethod
    def execute(
        cls,
        model,
        iterations: int,
        filter: str,
        spatial_cutoff: float,
        temporal_cutoff: float,
        order: int = 4,
        fast: bool = False,
    ) -> io.NodeOutput:
        settings = FreeInitSettings(
            iterations=iterations,
            kind=filter,
            spatial_cutoff=spatial_cutoff,
            temporal_cutoff=temporal_cutoff,
            order=order,
            fast=fast,
        )
        return io.NodeOutput(apply_free_init(model, settings))


def _cutoff_inputs() -> list[io.Input]:
    def socket(name: str, what: str) -> io.Input:
        tooltip = f"Up to which frequency {what} the last result is kept; 1 is the highest there is, 0 keeps nothing."
        return io.Float.Input(name, default=0.25, min=Minimum(0.0), max=1.0, step=0.01, tooltip=tooltip)

    return [socket("spatial_cutoff", "of the picture"), socket("temporal_cutoff", "over time")]
