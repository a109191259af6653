"""SparseCtrl: a few key images guide a whole clip."""

from comfy_api.latest import io

from ..host.control.sparse_ctrl.control import with_settings
from ..host.control.sparse_ctrl.load import CONTROLNETS, load_sparse_control
from ..host.loading import model_files
from ..temporal.sparse_keyframes import AS_LISTED, KEYFRAMES_EXAMPLE, SPREADS, parse_keyframes
from ..temporal.values.frame_values import FrameValues, listed_values, values_of
from .base import Node
from .categories import CONTROL_MENU
from .input_checks import Minimum
from .types import FRAME_VALUES

NEAREST, OFF = "nearest", "off"


class LoadSparseCtrl(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeLoadSparseCtrl",
            display_name="Load SparseCtrl",
            category=CONTROL_MENU,
            description="Loads a SparseCtrl encoder (rgb or scribble, for SD1.5 with a motion model, made for v3): key "
            "images at some frames guide the whole clip. Apply it with any Apply ControlNet node.",
            search_aliases=[
                "sparsectrl",
                "sparse control",
                "keyframe control",
                "image interpolation",
                "ACN_SparseCtrlLoaderAdvanced",
                "ACN_SparseCtrlRGBPreprocessor",
            ],
            inputs=[
                io.Combo.Input(
                    "sparsectrl",
                    options=model_files.file_names(CONTROLNETS),
                    tooltip="File in models/controlnet, for example v3_sd15_sparsectrl_rgb.ckpt (pictures; connect the "
                    "VAE to Apply ControlNet) or v3_sd15_sparsectrl_scribble.ckpt (white lines on black).",
                ),
                io.Float.Input(
                    "motion_scale",
                    default=1.0,
                    min=Minimum(0.0),
                    max=10.0,
                    step=0.01,
                    optional=True,
                    tooltip="How strongly frames attend to each other inside SparseCtrl; 1 is as trained.",
                ),
                io.Float.Input(
                    "motion_effect",
                    default=1.0,
                    min=Minimum(0.0),
                    max=1.0,
                    step=0.01,
                    optional=True,
                    tooltip="How far key images reach the frames between them. 0 leaves each to its own frame.",
                ),
            ],
            outputs=[
                io.ControlNet.Output(
                    display_name="control_net",
                    tooltip="For Sparse Keyframes, or directly for Apply ControlNet: then its images are spread evenly "
                    "over the clip.",
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, sparsectrl: str | None = None) -> bool | str:
        return sparsectrl is None or model_files.missing_file(CONTROLNETS, sparsectrl) or True

    @classmethod
    def execute(cls, sparsectrl: str, motion_scale: float = 1.0, motion_effect: float = 1.0) -> io.NodeOutput:
        return io.NodeOutput(load_sparse_control(sparsectrl, motion_scale, motion_effect))


class SparseKeyframes(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeSparseKeyframes",
            display_name="Sparse Keyframes",
            category=CONTROL_MENU,
            description="Says at which frames of the clip the key images of a SparseCtrl stand. They keep their frames in "
            "any window of a long clip. The images themselves are connected to Apply ControlNet, in the same order.",
            search_aliases=[
                "sparsectrl index",
                "sparsectrl spread",
                "keyframes",
                "ACN_SparseCtrlIndexMethodNode",
                "ACN_SparseCtrlSpreadMethodNode",
                "ACN_SparseCtrlWeightExtras",
            ],
            inputs=[
                io.ControlNet.Input("control_net", tooltip="From Load SparseCtrl."),
                io.String.Input(
                    "indexes",
                    default="0",
                    tooltip=f"Frame of each image, for example '{KEYFRAMES_EXAMPLE}'. Negative frames count from the end; 0.5 with "
                    "a point is the middle. One image is for all indexes.",
                ),
                io.Combo.Input(
                    "spread",
                    options=list(SPREADS),
                    default=AS_LISTED,
                    tooltip="indexes: as listed. uniform: evenly from the first frame to the last. start, end, center: "
                    "evenly with space behind, before, or on both sides.",
                ),
                io.Combo.Input(
                    "no_key_in_window",
                    options=[NEAREST, OFF],
                    default=NEAREST,
                    tooltip="Context windows without a key image. nearest: they borrow the nearest one, at the end that "
                    "is nearer to it. off: SparseCtrl does not act in them.",
                ),
                io.MultiType.Input(
                    io.Float.Input(
                        "hint_strength",
                        default=1.0,
                        min=Minimum(0.0),
                        max=10.0,
                        step=0.01,
                        optional=True,
                        tooltip="How much each key image counts; 0 is as if it were not there. Connect Frame Values for "
                        "a strength of its own at each key image's frame.",
                    ),
                    types=[FRAME_VALUES],
                ),
            ],
            outputs=[io.ControlNet.Output(display_name="control_net", tooltip="For any Apply ControlNet node.")],
        )

    @classmethod
    def execute(cls, control_net, indexes: str, spread: str, no_key_in_window: str, hint_strength=1.0) -> io.NodeOutput:
        if isinstance(hint_strength, int | float):
            strength: FrameValues = listed_values([hint_strength])
        else:
            strength = values_of(hint_strength, "hint_strength")
        return io.NodeOutput(
            with_settings(
                control_net,
                keyframes=parse_keyframes(indexes, spread),
                nearest=no_key_in_window == NEAREST,
                strength=strength,
            )
        )
