"""Nodes that make sets of clips to train on."""

from typing import Any

from comfy_api.latest import io, ui

from ..host.training_data.camera import CameraClips, camera_sources
from ..host.training_data.clip_sets import ClipSettings, make_clips
from ..host.training_data.contact_sheet import contact_sheet
from ..host.training_data.sources import FoundSources, folder_sources, image_sources, video_sources
from ..host.video import input_files
from ..training.data.camera_moves import CAMERA_MOVES, LARGEST_AMOUNT, MOVE_EASINGS
from ..training.names import check_training_name
from .base import Node
from .categories import TRAINING_MENU
from .input_checks import Minimum
from .types import CLIPS
from .widgets import number, problem

NO_FOLDER = "(none)"
LARGEST_SIDE = 2048


def clip_set_name_input() -> io.Input:
    """``name``, of both nodes."""
    return io.String.Input(
        "name",
        default="my clips",
        tooltip="Name of the set. It is kept in ComfyUI's user folder and taken again while nothing it was made from "
        "changes; another set under one name takes its place.",
    )


def encoder_inputs() -> list[io.Input]:
    """``vae`` and ``clip``, of both nodes."""
    return [
        io.Vae.Input("vae", tooltip="VAE of the checkpoint that will be trained on; encodes eight frames at a time."),
        io.Clip.Input("clip", tooltip="Text encoder of the checkpoint; each different caption is encoded once."),
    ]


def size_input() -> io.Input:
    """``size``, of both nodes."""
    return number(
        "size",
        512,
        64,
        LARGEST_SIDE,
        "Side in pixels of a square; each clip gets its area in its own proportions, in steps of 64, cropped around the "
        "centre. 256 trains four times as fast as 512.",
        step=64,
    )


def clips_outputs() -> list[io.Output]:
    """What both nodes give."""
    return [
        CLIPS.Output(display_name="clips", tooltip="Connect to a node that trains."),
        io.Image.Output(
            display_name="contact_sheet",
            tooltip="First, middle and last frame of up to eight clips, decoded from what is stored.",
        ),
        io.String.Output(display_name="info", tooltip="How many clips of which sizes, and what was left out."),
    ]


def clips_made(node: type[io.ComfyNode], found: FoundSources, settings: ClipSettings, vae, clip) -> io.NodeOutput:
    """Encode, and show what is stored."""
    clips, info = make_clips(found, settings, vae, clip)
    sheet = contact_sheet(clips, vae)
    return io.NodeOutput(clips, sheet, info, ui=ui.PreviewImage(sheet, cls=node))


class TrainingClips(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeTrainingClips",
            display_name="Training Clips",
            category=TRAINING_MENU,
            description="Encodes videos and their captions once, as a set of clips on disk to train motion models, "
            "MotionLoRAs and domain adapters on. Memory does not grow with the set.",
            search_aliases=["dataset", "data set", "training data", "load videos", "captions", "finetune"],
            is_input_list=True,
            is_output_node=True,
            inputs=[*cls._sources(), *cls._how(), *cls._captions(), *cls._connected()],
            outputs=clips_outputs(),
        )

    @staticmethod
    def _sources() -> list[io.Input]:
        return [
            io.Combo.Input(
                "folder",
                options=[NO_FOLDER, *input_files.video_folder_names()],
                tooltip="A folder of videos below ComfyUI's input folder. The caption of clip.mp4 is the text in clip.txt. "
                f"{NO_FOLDER} takes what is connected to videos or images.",
            ),
            *encoder_inputs(),
            clip_set_name_input(),
        ]

    @staticmethod
    def _how() -> list[io.Input]:
        return [
            size_input(),
            number(
                "frames",
                16,
                1,
                1024,
                "Frames that training takes of a clip at a time. Clips with fewer are refused. All frames are stored.",
            ),
            number(
                "stride",
                4,
                1,
                1024,
                "2 takes every other frame, and so on: more motion from one to the next. Motion modules were trained with 4 "
                "on videos of 25 to 30 frames a second.",
            ),
            io.Float.Input(
                "fps",
                default=0.0,
                min=Minimum(0.0),
                max=240.0,
                step=0.01,
                tooltip="Brings all videos to so many frames a second before stride, so that one speed is learnt. 0 keeps "
                "their own. IMAGE batches have none and stay as they are.",
            ),
            io.Boolean.Input(
                "flip",
                default=False,
                tooltip="Stores each clip mirrored as well and draws from both; twice the disk. Leave it off for moves to "
                "one side, and where left and right matter.",
            ),
        ]

    @staticmethod
    def _captions() -> list[io.Input]:
        return [
            io.String.Input("caption_prefix", default="", tooltip="Stands before each caption, with a comma between."),
            io.String.Input("fallback_caption", default="", tooltip="Caption of clips that have none."),
        ]

    @staticmethod
    def _connected() -> list[io.Input]:
        return [
            io.Video.Input("videos", optional=True, tooltip="One or a list of VIDEO, each a clip."),
            io.Image.Input(
                "images", optional=True, tooltip="One or a list of IMAGE batches, each the frames of a clip."
            ),
            io.String.Input(
                "captions",
                optional=True,
                force_input=True,
                tooltip="A list of texts for what is connected: one each in the same order, or one for all.",
            ),
        ]

    @classmethod
    def validate_inputs(cls, folder: list[str | None], name: list[str | None]) -> bool | str:
        named = name[0]
        fault = True if named is None else problem(lambda: check_training_name(named))
        if fault is not True or folder[0] in (None, NO_FOLDER):
            return fault
        return input_files.input_problem(folder[0], folder=True)

    @classmethod
    def fingerprint_inputs(cls, folder: list[str | None], **_inputs) -> str | None:
        if folder[0] in (None, NO_FOLDER):
            return None
        return input_files.folder_fingerprint(input_files.input_path(folder[0], folder=True))

    @classmethod
    def execute(
        cls,
        folder: list[str],
        vae: list[io.Vae.Type],
        clip: list[Any],
        name: list[str],
        size: list[int],
        frames: list[int],
        stride: list[int],
        fps: list[float],
        flip: list[bool],
        caption_prefix: list[str],
        fallback_caption: list[str],
        videos: list[Any] | None = None,
        images: list[Any] | None = None,
        captions: list[str] | None = None,
    ) -> io.NodeOutput:
        found = _found(folder[0], videos or [], images or [], captions or [], fps[0])
        settings = ClipSettings(
            name=name[0],
            size=size[0],
            frames=frames[0],
            stride=stride[0],
            flip=flip[0],
            prefix=caption_prefix[0],
            fallback=fallback_caption[0],
        )
        return clips_made(cls, found, settings, vae[0], clip[0])


def _found(folder: str, videos: list[Any], images: list[Any], captions: list[str], fps: float) -> FoundSources:
    """What the one source that was chosen holds."""
    if (folder != NO_FOLDER) + bool(videos) + bool(images) != 1:
        raise ValueError(f"Give clips in one way: choose a folder, or {NO_FOLDER} and connect videos or images.")
    if videos:
        return video_sources(videos, captions, fps)
    if images:
        return image_sources(images, captions)
    return folder_sources(input_files.input_path(folder, folder=True), fps)


class CameraMotionClips(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeCameraMotionClips",
            display_name="Camera Motion Clips",
            category=TRAINING_MENU,
            description="Makes clips with an exact camera move out of your pictures, as a set to train a MotionLoRA of a shot "
            "type on: zoom, pan, tilt, roll. No footage is needed.",
            search_aliases=["ken burns", "zoom", "pan", "camera move", "training data", "MotionLoRA dataset"],
            is_output_node=True,
            inputs=[
                io.Image.Input(
                    "images", tooltip="Pictures of one size, the larger the better; 20 to 50 different ones are usual."
                ),
                *encoder_inputs(),
                clip_set_name_input(),
                *cls._move(),
                number(
                    "clips", 32, 1, 100_000, "How many clips; each takes the next picture, and starts over at the end."
                ),
                number("frames", 16, 2, 1024, "Frames of a clip: all of them are trained on at once."),
                size_input(),
                io.String.Input(
                    "captions",
                    default="",
                    multiline=True,
                    tooltip="What the pictures show: one line for all, or a line for each picture in their order.",
                ),
                number("seed", 0, 0, 2**64 - 1, "Seed of the amounts.", control_after_generate=True),
            ],
            outputs=clips_outputs(),
        )

    @staticmethod
    def _move() -> list[io.Input]:
        def amount(name: str, default: float, which: str) -> io.Input:
            return io.Float.Input(
                name,
                default=default,
                min=Minimum(0.0),
                max=LARGEST_AMOUNT,
                step=0.01,
                tooltip=f"{which} amount of the move over a clip; each clip draws its own between the two. 0.3 makes things "
                "1.3 times as large (zoom), moves by 0.3 of a frame (pan, tilt), or turns by 27 degrees (roll).",
            )

        return [
            io.Combo.Input(
                "motion",
                options=list(CAMERA_MOVES),
                default="zoom_in",
                tooltip="What the camera does. With pan_right things move to the left, with roll_clockwise they turn "
                "anticlockwise.",
            ),
            amount("amount_from", 0.2, "Least"),
            amount("amount_to", 0.5, "Largest"),
            io.Combo.Input(
                "ease",
                options=list(MOVE_EASINGS),
                default=MOVE_EASINGS[0],
                tooltip="linear has one speed; ease_in starts slowly, ease_out ends slowly, ease_in_out both.",
            ),
        ]

    @classmethod
    def validate_inputs(cls, name: str | None) -> bool | str:
        return name is None or problem(lambda: check_training_name(name))

    @classmethod
    def execute(
        cls,
        images,
        vae: io.Vae.Type,
        clip,
        name: str,
        motion: str,
        amount_from: float,
        amount_to: float,
        ease: str,
        clips: int,
        frames: int,
        size: int,
        captions: str,
        seed: int,
    ) -> io.NodeOutput:
        wanted = CameraClips(
            motion=motion,
            amount_from=amount_from,
            amount_to=amount_to,
            ease=ease,
            frames=frames,
            count=clips,
            seed=seed,
        )
        lines = [line.strip() for line in captions.splitlines() if line.strip()]
        found = camera_sources(images, lines, wanted)
        return clips_made(cls, found, ClipSettings(name=name, size=size, frames=frames), vae, clip)
