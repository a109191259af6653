"""Nodes that write video files."""

from comfy_api.latest import Input, io

from ..host.video import formats
from ..host.video import frame_source as sources
from ..host.video import output_files as places
from ..host.video import save_video as video
from ..video.formats.table import FORMATS

WITH_DEPTH = ", ".join(row.name for row in FORMATS.values() if max(pixels.bits for pixels in row.pixels) > 8)


def format_inputs() -> list[io.Input]:
    """``format`` and ``filename_prefix``, of every node that writes a video."""
    return [
        io.Combo.Input(
            "format",
            options=formats.choices(),
            default="h264-mp4",
            tooltip="h264-mp4 plays everywhere; h265, av1 and vp9 are smaller; vp9-webm, prores-mov, webp, apng, gif, "
            "ffv1-mkv and png-frames keep transparency; prores and ffv1 are for editing; png-frames writes a folder.",
        ),
        io.String.Input(
            "filename_prefix",
            default="zoetrope/animation",
            tooltip="Folder and start of the name inside the output folder. %date:yyyy-MM-dd%, %Node.widget% (a node's "
            "title and one of its widgets), %year%, %month%, %day%, %hour%, %minute%, %second%, %width% and %height% are "
            "filled in.",
        ),
    ]


def audio_input() -> io.Input:
    """``audio``, of every node that writes a video."""
    return io.Audio.Input(
        "audio",
        optional=True,
        tooltip="Sound, cut or padded with silence to the clip. mp4, webm, mov and mkv can hold it.",
    )


def quality_input() -> io.Input:
    """``quality``, of every node that writes a video."""
    return io.Int.Input(
        "quality",
        default=-1,
        min=-1,
        max=256,
        optional=True,
        tooltip="-1 uses the format's default. mp4 and webm: crf, from 1 (best), 18 to 28 is usual. webp: 0 to 99, 100 without "
        "loss. gif: number of colours. prores-mov: profile 0 to 5. The help page has all ranges.",
    )


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
            tooltip="Embed the workflow. Dropping the file on the canvas opens it (mp4, webm, mov, webp and png; gif and "
            "mkv hold it, but ComfyUI does not read it there).",
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
                options=list(video.BIT_DEPTHS),
                default=video.BIT_DEPTHS[0],
                optional=True,
                tooltip=f"Bits of each colour. 10 shows no bands in soft gradients; for {WITH_DEPTH}. prores-mov always has "
                "10; png files store 16 instead of 10.",
            ),
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
        prefix = places.filled_prefix(filename_prefix, cls.hidden.prompt, cls.hidden.extra_pnginfo)
        settings = video.VideoSettings(
            frame_rate, format, prefix, loop_count, pingpong, quality, int(bit_depth), save_output
        )
        settings.check()
        source = sources.frame_source(images, samples, vae)
        metadata = video.embedded_workflow(save_workflow, cls.hidden.prompt, cls.hidden.extra_pnginfo)
        saved = video.save_video(source, settings, audio, metadata)
        return io.NodeOutput(saved.video_output(), ui=saved.ui())

    @classmethod
    def validate_inputs(
        cls,
        format: str | None = None,
        frame_rate: float | None = None,
        filename_prefix: str | None = None,
        quality: int | None = None,
        bit_depth: str | None = None,
    ) -> bool | str:
        """Say what is wrong before anything is sampled."""
        return video.settings_problem(format, frame_rate, filename_prefix, quality, bit_depth) or True


NODES: list[type[io.ComfyNode]] = [CombineVideo]
