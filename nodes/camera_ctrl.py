"""Camera poses, and motion models that follow them (CameraCtrl)."""

from comfy_api.latest import io

from ..host.call.strength import strength_of
from ..host.conditioners import pose_files
from ..host.conditioners.camera_ctrl import camera_conditioner
from ..host.loading import model_files
from ..inputs.quoting import quoted
from ..motion_models.camera_poses import (
    FX,
    FY,
    MOTIONS,
    ORIGINAL_SIZE,
    Poses,
    chain,
    from_first,
    motion_poses,
    parse_poses,
    with_camera,
)
from .base import Node
from .categories import CAMERA_MENU
from .input_checks import Minimum
from .motion import apply_with, motion_inputs
from .types import CAMERA_POSES, MOTION_MODEL
from .widgets import value_input

NO_FILE = "none"
STATIC = "static"
MEANING = (
    "pan moves the camera sideways, up or down, zoom moves it forward or back, tilt turns it, roll turns the picture."
)


class CameraPoses(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeCameraPoses",
            display_name="Camera Poses",
            category=CAMERA_MENU,
            description="The way of a camera, one pose a frame: one of 13 motions, two of them at once, or a "
            "RealEstate10K pose text. Chain nodes to let one motion follow another.",
            search_aliases=[
                "cameractrl poses",
                "ADE_CameraPoseBasic",
                "ADE_CameraPoseCombo",
                "ADE_CameraPoseAdvanced",
                "ADE_LoadCameraPoses",
                "ADE_LoadCameraPosesFromPath",
                "ADE_CameraManualPoseAppend",
                "ADE_ReplaceCameraParameters",
                "ADE_ReplaceOriginalPoseAspectRatio",
            ],
            inputs=[
                io.Combo.Input(
                    "motion", options=list(MOTIONS), default="zoom_in", tooltip=f"What the camera does: {MEANING}"
                ),
                _speed("speed", "Speed of motion.", optional=False),
                io.Int.Input(
                    "frames",
                    default=16,
                    min=1,
                    max=4096,
                    tooltip="Number of poses. A longer clip holds the last pose; a pose text has its own number.",
                ),
                io.Combo.Input(
                    "and_motion",
                    options=list(MOTIONS),
                    default=STATIC,
                    optional=True,
                    tooltip=f"A second motion at the same time; both are added up. {STATIC} adds none.",
                ),
                _speed("and_speed", "Speed of and_motion.", optional=True),
                CAMERA_POSES.Input(
                    "previous", optional=True, tooltip="Poses before these; the camera goes on from the last of them."
                ),
                io.Combo.Input(
                    "pose_file",
                    options=[NO_FILE, *pose_files.pose_file_names()],
                    default=NO_FILE,
                    optional=True,
                    tooltip="A RealEstate10K pose text in ComfyUI's input folder. It takes the place of the motions.",
                ),
                io.String.Input(
                    "pose_text",
                    optional=True,
                    force_input=True,
                    tooltip="RealEstate10K poses as text, in place of the motions: a line a frame of 19 numbers, which "
                    "are time, fx, fy, cx, cy, two unused, and the 3 x 4 world-to-camera matrix row by row.",
                ),
                _lens("fx", f"Focal length in picture widths. 0: of the pose text, or {FX:.3f}.", 10.0),
                _lens("fy", f"Focal length in picture heights. 0: of the pose text, or {FY:.3f}.", 10.0),
                _lens("cx", "Centre of the lens in picture widths from the left. 0: of the pose text, or 0.5.", 1.0),
                _lens("cy", "Centre of the lens in picture heights from the top. 0: of the pose text, or 0.5.", 1.0),
                _size("original_width", ORIGINAL_SIZE[0], "Width"),
                _size("original_height", ORIGINAL_SIZE[1], "Height"),
            ],
            outputs=[CAMERA_POSES.Output(display_name="poses", tooltip="Connect to Apply CameraCtrl.")],
        )

    @classmethod
    def validate_inputs(cls, pose_file: str | None = None) -> bool | str:
        return pose_file in (None, NO_FILE) or pose_files.missing_pose_file(pose_file) or True

    @classmethod
    def fingerprint_inputs(cls, pose_file: str | None = None, **_inputs) -> float | None:
        return None if pose_file in (None, NO_FILE) else pose_files.version(pose_file)

    @classmethod
    def execute(
        cls,
        motion: str,
        speed: float,
        frames: int,
        and_motion: str = STATIC,
        and_speed: float = 1.0,
        previous: Poses = (),
        pose_file: str = NO_FILE,
        pose_text: str = "",
        fx: float = 0.0,
        fy: float = 0.0,
        cx: float = 0.0,
        cy: float = 0.0,
        original_width: int = ORIGINAL_SIZE[0],
        original_height: int = ORIGINAL_SIZE[1],
    ) -> io.NodeOutput:
        written = _written(pose_file, pose_text)
        if written:
            poses = from_first(written) if previous else written
        else:
            # After other poses the first one must already have moved, or the camera would stop for a frame.
            poses = motion_poses([(motion, speed), (and_motion, and_speed)], frames, first=int(bool(previous)))
        lens = {name: value for name, value in (("fx", fx), ("fy", fy), ("cx", cx), ("cy", cy)) if value}
        return io.NodeOutput(chain(previous, with_camera(poses, **lens, aspect=original_width / original_height)))


def _written(pose_file: str, pose_text: str) -> Poses:
    """Poses of the file or the text; none where neither is given."""
    if pose_file != NO_FILE and pose_text.strip():
        raise ValueError(
            f"pose_text is connected and pose_file is {quoted(pose_file)}; set pose_file to {NO_FILE} or disconnect the text."
        )
    if pose_file != NO_FILE:
        return pose_files.read_pose_file(pose_file)
    return parse_poses(pose_text) if pose_text.strip() else ()


def _speed(name: str, tooltip: str, optional: bool) -> io.Input:
    return io.Float.Input(
        name,
        default=1.0,
        min=Minimum(-100.0),
        max=100.0,
        step=0.01,
        optional=optional,
        tooltip=f"{tooltip} At 1 the camera turns by 60 degrees or moves by 1.5 (zooms: 3) in 16 frames; negative "
        "values go the other way.",
    )


def _lens(name: str, tooltip: str, highest: float) -> io.Input:
    return io.Float.Input(
        name,
        default=0.0,
        min=Minimum(0.0),
        max=highest,
        step=0.001,
        round=False,
        optional=True,
        advanced=True,
        tooltip=tooltip,
    )


def _size(name: str, default: int, what: str) -> io.Input:
    tooltip = f"{what} of the video that the focal lengths belong to; only its aspect ratio counts."
    return io.Int.Input(name, default=default, min=1, max=16384, optional=True, advanced=True, tooltip=tooltip)


class ApplyCameraCtrl(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeApplyCameraCtrl",
            display_name="Apply CameraCtrl",
            category=CAMERA_MENU,
            description="Applies a motion model whose clip is seen by a moving camera (CameraCtrl). Made for the "
            "motion module v3. Within Context Windows each window gets the poses of its own frames.",
            search_aliases=[
                "cameractrl",
                "ADE_LoadAnimateDiffModelWithCameraCtrl",
                "ADE_ApplyAnimateDiffModelWithCameraCtrl",
                "ADE_CameraCtrlAnimateDiffKeyframe",
                "camera control",
            ],
            inputs=[
                io.Model.Input("model", tooltip="MODEL of an SD1.5 checkpoint, after LoRAs and model patches."),
                MOTION_MODEL.Input("motion_model", tooltip="From Load Motion Model; CameraCtrl was trained with v3."),
                io.Combo.Input(
                    "camera_ctrl",
                    options=model_files.file_names(model_files.MOTION_MODELS),
                    tooltip="CameraCtrl.ckpt or CameraCtrl_pruned.safetensors in models/animatediff_models.",
                ),
                CAMERA_POSES.Input("poses", tooltip="From Camera Poses."),
                value_input(
                    "strength",
                    0.0,
                    10.0,
                    "How much the poses count. 0 leaves them out, 1 is as trained.",
                    optional=False,
                ),
                *motion_inputs(),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="Connect to Context Windows or any sampler.")],
        )

    @classmethod
    def validate_inputs(cls, camera_ctrl: str | None) -> bool | str:
        return camera_ctrl is None or model_files.missing_file(model_files.MOTION_MODELS, camera_ctrl) or True

    @classmethod
    def execute(cls, model, motion_model, camera_ctrl: str, poses: Poses, strength, **inputs) -> io.NodeOutput:
        motion_model.spec.require_no_image()
        conditioner = camera_conditioner(camera_ctrl, motion_model.spec, poses, strength_of(strength, "strength"))
        return apply_with(model, motion_model, inputs, conditioner)
