"""Nodes that write video files."""

from comfy_api.latest import Input, io

from ..host import video
from ..video.formats import FORMATS

QUALITY_TOOLTIP = "-1 uses the format's default. " + " ".join(
    f"{row.name}: {row.quality.low} to {row.quality.high}, {row.quality.meaning}, default {row.quality.default}."
    for row in FORMATS.values()
)


def format_inputs() -> list[io.Input]:
    """``format`` and ``filename_prefix``, of every node that writes a video."""
    return [
        io.Combo.Input(
            "format",
            options=list(FORMATS),
            default="h264-mp4",
            tooltip="h264-mp4 plays everywhere and keeps sound and workflow; gif keeps neither; webp keeps the workflow.",
        ),
        io.String.Input(
            "filename_prefix",
            default="zoetrope/animation",
            tooltip="Folder and start of the name inside the output folder. %year%, %month%, %day%, %hour%, %minute%, "
            "%second%, %width% and %height% are filled in.",
        ),
    ]


def audio_input() -> io.Input:
    """``audio``, of every node that writes a video."""
    return io.Audio.Input(
        "audio", optional=True, tooltip="Sound, cut or padded with silence to the clip. Only mp4 can hold it."
    )


def quality_input() -> io.Input:
    """``quality``, of every node that writes a video."""
    return io.Int.Input("quality", default=-1, min=-1, max=256, optional=True, tooltip=QUALITY_TOOLTIP)


def saving_inputs() -> list[io.Input]:
    """``save_output`` and ``save_workflow``, of every node that writes a video."""
    return [
        io.Boolean.Input(
            "save_output",
            default=True,
            optional=True,
            tooltip="On: save in the output folder. Off: a temporary file that goes away when ComfyUI restarts.",
        ),
        io.Boolean.Input(
            "save_workflow",
            default=True,
            optional=True,
            tooltip="Embed the workflow, so that dropping the file on the canvas opens it (not in gif).",
        ),
    ]


class CombineVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeCombineVideo",
            display_name="Combine Video",
            category="Zoetrope/video",
            description=(
                "Write frames to one video file and play it in the node. Connect images, or samples with a vae: "
                "latents are decoded a few frames at a time, so long clips need no more memory than short ones."
            ),
            search_aliases=["VHS_VideoCombine", "video combine", "save video", "save gif", "mp4", "webp", "animation"],
            inputs=[*cls._what_to_write(), *cls._how_to_write()],
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
            io.Float.Input(
                "frame_rate",
                default=8.0,
                min=0.01,
                max=240.0,
                step=0.01,
                tooltip="Frames a second. AnimateDiff's motion modules were trained at 8.",
            ),
            *format_inputs(),
            io.Image.Input("images", optional=True, tooltip="Frames to write. Connect these or samples, not both."),
            io.Latent.Input("samples", optional=True, tooltip="Latents to decode and write. Needs vae."),
            io.Vae.Input("vae", optional=True, tooltip="Decodes the samples."),
            audio_input(),
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
                tooltip="The loop field of gif and webp; 0 plays for ever. In mp4 the player decides and this is ignored.",
            ),
            io.Boolean.Input(
                "pingpong",
                default=False,
                optional=True,
                tooltip="Play forward, then backward, without showing the first and the last frame twice.",
            ),
            quality_input(),
            io.Combo.Input("bit_depth", options=["8"], default="8", optional=True, tooltip="Bits of each colour."),
            *saving_inputs(),
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
    ) -> io.NodeOutput:
        settings = video.VideoSettings(frame_rate, format, filename_prefix, loop_count, pingpong, quality, save_output)
        settings.check()
        source = video.frame_source(images, samples, vae)
        metadata = video.embedded_workflow(save_workflow, cls.hidden.prompt, cls.hidden.extra_pnginfo)
        saved = video.save_video(source, settings, audio, metadata)
        return io.NodeOutput(saved.video_output(), ui=saved.ui())


NODES: list[type[io.ComfyNode]] = [CombineVideo]
