"""Nodes that read videos and folders of images."""

from comfy_api.latest import io

from ..host.video import input_files
from ..host.video.load_folder import FolderSettings, folder_files, load_frames
from ..host.video.load_video import LoadSettings, blocked, load_video
from ..video.decode.image_files import MISMATCHES
from ..video.decode.read_settings import HDR_CHOICES, INTERLACED_CHOICES
from ..video.decode.reformat import COLORS
from .base import Node
from .categories import VIDEO_MENU
from .input_checks import Minimum
from .video_widgets import fit_input
from .widgets import number

MOST_FRAMES = 1_000_000
LARGEST = 16384


def _number(name: str, default: int, low: int, tooltip: str, high: int = MOST_FRAMES) -> io.Input:
    """An optional INT."""
    return number(name, default, low, high, tooltip, optional=True)


class LoadVideo(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeLoadVideo",
            display_name="Load Video (Frames)",
            category=VIDEO_MENU,
            description="Reads frames and sound of a video, GIF, APNG or animated WebP: exact frames, right colours, and "
            "the sound of the same time. With a vae the frames become latents a few at a time, so long videos fit.",
            search_aliases=[
                "VHS_LoadVideo",
                "VHS_LoadVideoFFmpeg",
                "VHS_LoadVideoPath",
                "load gif",
                "video to images",
                "video frames",
            ],
            inputs=[
                io.Combo.Input(
                    "video",
                    options=input_files.video_names(),
                    upload=io.UploadType.video,
                    tooltip="A file in the input folder. Upload an mp4 or webm, or drop any video on the node; gif, png and "
                    "webp can be put into the folder by hand.",
                ),
                *cls._which(),
                *cls._size(),
                *cls._how_to_read(),
                *cls._what_the_file_is(),
            ],
            outputs=cls._outputs(),
        )

    @staticmethod
    def _which() -> list[io.Input]:
        return [
            io.Float.Input(
                "frame_rate",
                default=0.0,
                min=Minimum(0.0),
                max=240.0,
                step=0.01,
                optional=True,
                tooltip="Bring the video to so many frames a second by leaving frames out or showing them twice. 0 keeps "
                "its own. AnimateDiff's motion modules were trained at 8.",
            ),
            io.Float.Input(
                "start",
                default=0.0,
                min=Minimum(0.0),
                max=1e6,
                step=0.001,
                optional=True,
                tooltip="Seconds that are left out, to the nearest frame.",
            ),
            _number("skip_frames", 0, 0, "Frames that are left out after start, counted at the new frame rate."),
            _number("every_nth", 1, 1, "2 uses every other frame, and so on; the frame rate becomes lower by it."),
            _number("max_frames", 0, 0, "Use at most so many frames; 0 is all."),
        ]

    @staticmethod
    def _size() -> list[io.Input]:
        own = "0 is the video's own; if only one is given the proportions are kept."
        return [
            _number("width", 0, 0, f"Width in pixels. {own}", LARGEST),
            _number("height", 0, 0, f"Height in pixels. {own}", LARGEST),
            fit_input(optional=True),
            _number("multiple_of", 8, 1, "Width and height are rounded to multiples of this; latents need 8.", 256),
        ]

    @staticmethod
    def _how_to_read() -> list[io.Input]:
        return [
            io.Vae.Input(
                "vae",
                optional=True,
                tooltip="Encodes eight frames at a time: latent comes out instead of image, and memory is that of the "
                "latents. Image VAEs only.",
            ),
            io.Combo.Input(
                "untagged_colors",
                options=list(COLORS),
                default="auto",
                optional=True,
                advanced=True,
                tooltip="Colour matrix of files that do not name theirs. auto: bt709 from 720 rows of height on, else "
                "bt601. ComfyUI's own Save Video writes bt601 without saying so.",
            ),
        ]

    @staticmethod
    def _what_the_file_is() -> list[io.Input]:
        return [
            # Editors before this input kept the upload button's "image" at its place; it reads as True.
            io.Boolean.Input(
                "by_time",
                default=True,
                optional=True,
                advanced=True,
                tooltip="Frames are chosen by when they are shown, so that a varying rate plays as it should. Off: each stored "
                "frame comes once, whatever its time; frame_rate must be 0.",
            ),
            io.Combo.Input(
                "hdr",
                options=list(HDR_CHOICES),
                default=HDR_CHOICES[0],
                optional=True,
                advanced=True,
                tooltip="HDR videos (PQ and HLG) are mapped to the range and colours of usual screens; left as stored they "
                "look pale. Other videos are not changed.",
            ),
            io.Combo.Input(
                "interlaced",
                options=list(INTERLACED_CHOICES),
                default=INTERLACED_CHOICES[0],
                optional=True,
                advanced=True,
                tooltip="Videos that say that they are interlaced (two moments woven into each frame) become whole pictures, as "
                "many as there are frames. Other videos are not changed.",
            ),
            number(
                "audio_track",
                0,
                0,
                99,
                "Which sound of a file with several: 0 is the one that players take, 1 the first, and so on.",
                optional=True,
                advanced=True,
            ),
        ]

    @staticmethod
    def _outputs() -> list[io.Output]:
        return [
            io.Image.Output(display_name="image", tooltip="The frames; nothing with a vae."),
            io.Latent.Output(display_name="latent", tooltip="The frames encoded; needs vae."),
            io.Mask.Output(
                display_name="mask",
                tooltip="1 where a frame is transparent; with a vae in the size of the latents. 64x64 zeros for videos "
                "without alpha.",
            ),
            io.Audio.Output(
                display_name="audio",
                tooltip="Sound of the same time, as long as the frames; nothing for silent files.",
            ),
            io.Int.Output(display_name="frame_count", tooltip="How many frames."),
            io.Float.Output(display_name="fps", tooltip="Frames a second, for Combine Video."),
        ]

    @classmethod
    def validate_inputs(cls, video: str) -> bool | str:
        return input_files.input_problem(video)

    @classmethod
    def fingerprint_inputs(cls, video: str, **others) -> str:
        return input_files.fingerprint([input_files.input_path(video)])

    @classmethod
    def execute(cls, video: str, vae: io.Vae.Type | None = None, **settings) -> io.NodeOutput:
        made = load_video(input_files.input_path(video), LoadSettings(**settings), vae)
        image = made.images
        if image is None:
            image = blocked("Load Video gives latents while vae is connected: disconnect vae to get images.")
        latent = made.latents
        if latent is None:
            latent = blocked("Load Video gives latents only with a VAE: connect vae.")
        return io.NodeOutput(image, latent, made.mask, made.audio, made.count, float(made.rate), ui=made.ui)


class LoadFrames(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeLoadFrames",
            display_name="Load Frames (Folder)",
            category=VIDEO_MENU,
            description="Reads the images of a folder in the input folder as frames, in natural order: frame2 comes before "
            "frame10.",
            search_aliases=["VHS_LoadImages", "VHS_LoadImagesPath", "load images", "image sequence", "png sequence"],
            inputs=[
                io.Combo.Input(
                    "folder",
                    options=input_files.folder_names(),
                    tooltip="A folder with images below ComfyUI's input folder, at most two deep.",
                ),
                _number("start", 0, 0, "Images that are left out at the start."),
                _number("every_nth", 1, 1, "2 uses every other image, and so on."),
                _number("max_frames", 0, 0, "Use at most so many images; 0 is all."),
                io.Combo.Input(
                    "size_mismatch",
                    options=list(MISMATCHES),
                    default="crop",
                    optional=True,
                    tooltip="Images of another size than the first: crop cuts around the centre, pad adds black bars, "
                    "stretch distorts, error stops and names the file.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The frames."),
                io.Mask.Output(
                    display_name="mask", tooltip="1 where an image is transparent; 64x64 zeros if none has alpha."
                ),
                io.Int.Output(display_name="frame_count", tooltip="How many frames."),
            ],
        )

    @classmethod
    def validate_inputs(cls, folder: str) -> bool | str:
        return input_files.input_problem(folder, folder=True)

    @classmethod
    def fingerprint_inputs(cls, folder: str, **others) -> str:
        return input_files.fingerprint(folder_files(input_files.input_path(folder, folder=True)))

    @classmethod
    def execute(
        cls, folder: str, start: int = 0, every_nth: int = 1, max_frames: int = 0, size_mismatch: str = "crop"
    ) -> io.NodeOutput:
        settings = FolderSettings(start=start, every_nth=every_nth, max_frames=max_frames, size_mismatch=size_mismatch)
        image, mask, count, ui = load_frames(input_files.input_path(folder, folder=True), settings)
        return io.NodeOutput(image, mask, count, ui=ui)
