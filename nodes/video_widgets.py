"""Widgets of the nodes that read or write videos."""

from comfy_api.latest import io

from ..host.video.formats import format_names
from ..video.frame_size import FITS
from .input_checks import Minimum


def format_inputs() -> list[io.Input]:
    """``format`` and ``filename_prefix``, of every node that writes a video."""
    return [
        io.Combo.Input(
            "format",
            options=format_names(),
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


def audio_input(lazy: bool = False) -> io.Input:
    """``audio``, of every node that writes a video; ``lazy`` is made only when the node asks for it."""
    return io.Audio.Input(
        "audio",
        optional=True,
        lazy=lazy,
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


TRAINED_RATE = "Frames a second. AnimateDiff's motion modules were trained at 8."


def rate_input(default: float, least: float, tooltip: str) -> io.Input:
    """``frame_rate``, of every node that writes a video."""
    return io.Float.Input("frame_rate", default=default, min=Minimum(least), max=240.0, step=0.01, tooltip=tooltip)


def fit_input(optional: bool) -> io.Input:
    """``fit``, of every node that brings a video to a size."""
    meaning = "Where the proportions differ: crop cuts around the centre, pad adds black bars, stretch distorts."
    return io.Combo.Input("fit", options=list(FITS), default="crop", optional=optional, tooltip=meaning)
