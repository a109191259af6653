"""ffmpeg's arguments for a clip. Every word is ours; paths are absolute and behind ``file:``."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from .audio import Sound
from .formats import VideoFormat

AUDIO_BITRATE = "192k"
SPOOL = "frames.nut"
PALETTE = "palette.nut"
METADATA = "metadata.txt"
SOUND = "sound.f32"


@dataclass(frozen=True)
class Clip:
    """What is written where.

    Attributes:
        target: file that ffmpeg creates.
        work: private folder for metadata, sound, palette and spooled frames.
        width: pixels of a frame as piped.
        height: pixels of a frame as piped.
        frame_rate: frames a second.
        format: row of the table.
        quality: the format's quality number, already resolved.
        loop_count: the container's loop field, 0 for ever; video players decide for themselves.
        has_metadata: a METADATA file lies in ``work``.
        sound: lies as SOUND in ``work``, or None.
    """

    target: Path
    work: Path
    width: int
    height: int
    frame_rate: Fraction
    format: VideoFormat
    quality: int
    loop_count: int
    has_metadata: bool
    sound: Sound | None


def passes(clip: Clip) -> list[list[str]]:
    """Return the arguments of each ffmpeg run; the first reads raw rgb24 frames from its standard input."""
    if clip.format.two_passes:
        return [_palette_pass(clip), _paint_pass(clip)]
    return [_single_pass(clip)]


def _file(path: Path) -> str:
    return f"file:{path}"


def _raw_frames(clip: Clip) -> list[str]:
    size = f"{clip.width}x{clip.height}"
    rate = f"{clip.frame_rate.numerator}/{clip.frame_rate.denominator}"
    return ["-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", size, "-framerate", rate, "-i", "pipe:0"]


def _output(clip: Clip) -> list[str]:
    row = clip.format
    encoder = [*row.encoder(clip.quality), "-pix_fmt", row.pixel_format]
    return [*encoder, *row.container(clip.loop_count), "-f", row.muxer, _file(clip.target)]


def _single_pass(clip: Clip) -> list[str]:
    inputs, maps = _raw_frames(clip), ["-map", "0:v"]
    next_input = 1
    if clip.sound is not None:
        sample_rate, channels = str(clip.sound.sample_rate), clip.sound.channels
        inputs += ["-f", "f32le", "-ar", sample_rate, "-ac", str(channels), "-i", _file(clip.work / SOUND)]
        maps += ["-map", f"{next_input}:a", "-c:a", str(clip.format.audio_encoder), "-b:a", AUDIO_BITRATE]
        maps += ["-ac", str(min(channels, 2))]
        next_input += 1
    if clip.has_metadata:
        inputs += ["-f", "ffmetadata", "-i", _file(clip.work / METADATA)]
        maps += ["-map_metadata", str(next_input)]
    return [*inputs, *maps, "-vf", clip.format.filters, *_output(clip)]


def _palette_pass(clip: Clip) -> list[str]:
    """Find the palette while the frames are spooled without loss: the second pass needs them again, memory does not."""
    graph = f"[0:v]split[all][seen];[seen]palettegen=max_colors={clip.quality}[palette]"
    palette = ["-map", "[palette]", "-c:v", "rawvideo", "-f", "nut", _file(clip.work / PALETTE)]
    spool = ["-map", "[all]", "-c:v", "ffv1", "-pix_fmt", "bgr0", "-f", "nut", _file(clip.work / SPOOL)]
    return [*_raw_frames(clip), "-filter_complex", graph, *palette, *spool]


def _paint_pass(clip: Clip) -> list[str]:
    inputs = ["-i", _file(clip.work / SPOOL), "-i", _file(clip.work / PALETTE)]
    return [*inputs, "-filter_complex", f"[0:v][1:v]{clip.format.filters}", *_output(clip)]
