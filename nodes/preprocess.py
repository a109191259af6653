"""Hints for ControlNets out of the frames of a video."""

from comfy_api.latest import Input, io

from ..host.control.preprocess_frames import preprocess_frames
from ..preprocessors.methods import METHODS, RANGES, PreprocessSettings
from .base import Node
from .categories import CONTROL_MENU
from .input_checks import Minimum

METHOD_TOOLTIP = (
    "canny: thin edges. lineart: dark lines. scribble: a few thick lines. soft_edge: edges by their strength, "
    "for soft edge and HED models. lines: straight lines, for MLSD models. tile: less detail. blur. recolor: "
    "brightness only. shuffle: the colours in other places."
)


def _number(name: str, default: float, step: float, tooltip: str) -> io.Input:
    low, high = RANGES[name]
    return io.Float.Input(name, default=default, min=Minimum(low), max=high, step=step, optional=True, tooltip=tooltip)


class PreprocessFrames(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropePreprocessFrames",
            display_name="Preprocess Frames",
            category=CONTROL_MENU,
            description="Turns the frames of a video into hints for a ControlNet: edges, lines, or pictures with less in "
            "them. What counts as an edge is measured once for the whole clip, so hints do not flicker with the light.",
            search_aliases=[
                "preprocessor",
                "edge detection",
                "controlnet aux",
                "hint",
                "optical flow",
                "CannyEdgePreprocessor",
                "LineartStandardPreprocessor",
                "LineArtPreprocessor",
                "ScribblePreprocessor",
                "Scribble_XDoG_Preprocessor",
                "HEDPreprocessor",
                "PiDiNetPreprocessor",
                "M-LSDPreprocessor",
                "TilePreprocessor",
                "ImageLuminanceDetector",
                "ShufflePreprocessor",
                "AIO_Preprocessor",
            ],
            inputs=[
                io.Image.Input("image", tooltip="Frames of one clip."),
                io.Combo.Input("method", options=list(METHODS), default="canny", tooltip=METHOD_TOOLTIP),
                *cls._method_inputs(),
                *cls._clip_inputs(),
            ],
            outputs=[
                io.Image.Output(display_name="hints", tooltip="One hint per frame, for an Apply ControlNet node.")
            ],
        )

    @staticmethod
    def _method_inputs() -> list[io.Input]:
        share = "as a share of the clip's strong edges. 0 is the method's own."
        return [
            _number(
                "strength",
                1.0,
                0.05,
                "lineart, soft_edge: brightness. scribble: thickness. canny: smoothing before. lines: length of the "
                "shortest. tile, blur: how much detail goes. recolor: how much colour goes. shuffle: how far.",
            ),
            _number(
                "low_threshold",
                0.0,
                0.01,
                f"canny, scribble: what continues a line; lineart, soft_edge: what is still black, {share}",
            ),
            _number(
                "high_threshold",
                0.0,
                0.01,
                f"canny, scribble, lines: what starts a line; lineart, soft_edge: what is white, {share}",
            ),
        ]

    @staticmethod
    def _clip_inputs() -> list[io.Input]:
        low, high = RANGES["resolution"]
        return [
            _number(
                "temporal_smoothing",
                0.0,
                0.05,
                "How much of each frame comes from the frames before, carried along the motion, where they show the "
                "same thing. Against flicker from noise: try 0.8. 0 is off.",
            ),
            io.Int.Input(
                "resolution",
                default=0,
                min=int(low),
                max=int(high),
                step=8,
                optional=True,
                tooltip="Shorter side of the hints in pixels; both sides become multiples of 8. 0 keeps the size.",
            ),
            # Not named seed: the browser would change a seed after every run, also for methods that have none.
            io.Int.Input(
                "shuffle_seed",
                default=0,
                min=0,
                max=0xFFFFFFFFFFFFFFFF,
                optional=True,
                advanced=True,
                tooltip="Another number gives another shuffle; it is the same for all frames.",
            ),
        ]

    @classmethod
    def execute(
        cls,
        image: Input.Image,
        method: str,
        strength: float = 1.0,
        low_threshold: float = 0.0,
        high_threshold: float = 0.0,
        temporal_smoothing: float = 0.0,
        resolution: int = 0,
        shuffle_seed: int = 0,
    ) -> io.NodeOutput:
        settings = PreprocessSettings(
            method=method,
            strength=strength,
            low_threshold=low_threshold,
            high_threshold=high_threshold,
            temporal_smoothing=temporal_smoothing,
            resolution=resolution,
            seed=shuffle_seed,
        )
        return io.NodeOutput(preprocess_frames(image, settings))
