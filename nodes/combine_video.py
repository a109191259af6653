"""Combine Video: frames become a video file."""

from comfy_api.latest import Input, io

from ..host.video.copy_video import copy_video
from ..host.video.frame_source import frame_source
from ..host.video.output_files import filled_prefix
from ..host.video.save_settings import BIT_DEPTHS, LENGTHS, VideoSettings, check_widgets
from ..host.video.save_video import embedded_workflow, save_video
from ..video.file_names import clean_prefix
from ..video.formats.table import FORMATS
from .base import Node
from .categories import VIDEO_MENU
from .video_widgets import TRAINED_RATE, audio_input, format_inputs, quality_input, rate_input, saving_inputs
from .widgets import problem

WITH_DEPTH = ", ".join(row.name for row in FORMATS.values() if max(pixels.bits for pixels in row.pixels) > 8)


class CombineVideo(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeCombineVideo",
            display_name="Combine Video",
            category=VIDEO_MENU,
            description=(
                "Write frames to one video file and play it in the node. Connect images, or samples with a vae: "
                "latents are decoded a few frames at a time, so long clips need no more memory than short ones."
            ),
            search_aliases=["VHS_VideoCombine", "video combine", "save video", "save gif", "mp4", "webp", "animation"],
            inputs=[*cls._what_to_write(), *cls._how_to_write(), *cls._with_the_sound()],
            outputs=[
                io.Video.Output(
                    display_name="video", tooltip="The finished file, for Trim Video, Get Video Components and others."
                ),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @staticmethod
    def _what_to_write() -> list[io.Input]:
        return [
            rate_input(8.0, 0.01, TRAINED_RATE),
            *format_inputs(),
            io.Image.Input(
                "images", optional=True, lazy=True, tooltip="Frames to write. Connect these or samples, not both."
            ),
            io.Latent.Input("samples", optional=True, lazy=True, tooltip="Latents to decode and write. Needs vae."),
            io.Vae.Input("vae", optional=True, lazy=True, tooltip="Decodes the samples."),
            audio_input(lazy=True),
        ]

    @staticmethod
    def _how_to_write() -> list[io.Input]:
        return [
            io.Int.Input(
                "loop_count",
                default=0,
                min=0,
                max=65535,
                optional=True,
                tooltip="gif, webp and apng: how often players repeat it, 0 for ever. Other formats: the clip is written "
                "this many times more.",
            ),
            io.Boolean.Input(
                "pingpong",
                default=False,
                optional=True,
                tooltip="Play forward, then backward, without showing the first and the last frame twice.",
            ),
            quality_input(),
            io.Combo.Input(
                "bit_depth",
                options=list(BIT_DEPTHS),
                default=BIT_DEPTHS[0],
                optional=True,
                tooltip=f"Bits of each colour. 10 shows no bands in soft gradients; for {WITH_DEPTH}. prores-mov always has "
                "10; png files store 16 instead of 10.",
            ),
            *saving_inputs(),
        ]

    @staticmethod
    def _with_the_sound() -> list[io.Input]:
        return [
            io.Combo.Input(
                "length",
                options=list(LENGTHS),
                default=LENGTHS[0],
                optional=True,
                tooltip="How long the film is. frames: all frames; the sound is cut or padded. cut to sound: it ends with the "
                "sound. loop to sound: the frames come again until the sound ends.",
            ),
            io.Video.Input(
                "video",
                optional=True,
                lazy=True,
                tooltip="A finished film that gets the sound of audio, in place of images or samples. Its pictures are copied "
                "and not decoded: it keeps its format and frame rate.",
            ),
        ]

    @classmethod
    def execute(
        cls,
        frame_rate: float,
        format: str,
        filename_prefix: str,
        images: Input.Image | None = None,
        samples: Input.Latent | None = None,
        vae: io.Vae.Type | None = None,
        audio: Input.Audio | None = None,
        loop_count: int = 0,
        pingpong: bool = False,
        quality: int = -1,
        bit_depth: str = "8",
        save_output: bool = True,
        save_workflow: bool = True,
        length: str = LENGTHS[0],
        video: Input.Video | None = None,
    ) -> io.NodeOutput:
        settings = VideoSettings(
            frame_rate=frame_rate,
            format=format,
            filename_prefix=filled_prefix(filename_prefix, cls.hidden.prompt, cls.hidden.extra_pnginfo),
            loop_count=loop_count,
            pingpong=pingpong,
            quality=quality,
            bit_depth=int(bit_depth),
            save_output=save_output,
            length=length,
        )
        metadata = embedded_workflow(save_workflow, cls.hidden.prompt, cls.hidden.extra_pnginfo)
        if video is not None and images is None and samples is None:
            saved = copy_video(video, settings, audio, metadata)
        else:
            plan = settings.resolved()
            saved = save_video(frame_source(images, samples, vae, video), plan, audio, metadata)
        return io.NodeOutput(saved.video_output(), ui=saved.ui())

    @classmethod
    def validate_inputs(cls, filename_prefix: str | None = None) -> bool | str:
        """Only what no range and no list says: ComfyUI shows the sentence at every input that is named here."""
        return filename_prefix is None or problem(lambda: clean_prefix(filename_prefix))

    @classmethod
    def check_lazy_status(
        cls,
        frame_rate: float | None = None,
        format: str | None = None,
        filename_prefix: str | None = None,
        quality: int | None = -1,
        bit_depth: str | None = "8",
        **others,
    ) -> list[str]:
        """Say what does not go together before anything is sampled, then ask for what is connected."""
        check_widgets(format, frame_rate, filename_prefix, quality, bit_depth)
        widgets = {"frame_rate": frame_rate, "format": format, "filename_prefix": filename_prefix}
        widgets |= {"quality": quality, "bit_depth": bit_depth}
        return [name for name, value in (widgets | others).items() if value is None]
