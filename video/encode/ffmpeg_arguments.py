"""ffmpeg's arguments for a clip. Every word is ours; paths are absolute and behind ``file:``."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from ..audio_track import Sound
from ..formats.video_format import Pixels, VideoFormat
from ..frame_size import preview_size
from .pixel_conversion import conversion, raw_format, small_film, tags

FRAME_NAME = "frame_%05d"
SPOOL = "frames.nut"
PALETTE = "palette.nut"
METADATA = "metadata.txt"
SOUND = "sound.f32"
# The first 32 frames, then every second, from 64 on every fourth and so on: colours of long clips are counted in a table
# that would grow with every frame.
SEEN = "select='not(mod(n,pow(2,floor(log(max(n,32)/32)/log(2)))))'"
WHOLE_LAYOUTS = (1, 2, 6, 8)  # mono, stereo, 5.1 and 7.1; other numbers of channels are mixed to stereo


@dataclass(frozen=True)
class Clip:
    """What is written where.

    Attributes:
        target: file (or folder) that ffmpeg writes.
        work: private folder for metadata, sound, palette and spooled frames.
        width: pixels of a frame as piped.
        height: pixels of a frame as piped.
        frame_rate: frames a second.
        format: row of the table.
        pixels: how frames are stored.
        quality: the format's quality number, already resolved.
        loop_count: the container's loop field, 0 for ever, where it has one.
        has_metadata: a METADATA file lies in ``work``.
        sound: lies as SOUND in ``work``, or None.
        proxy: a small H.264 file of the same clip to write as well, or None.
    """

    target: Path
    work: Path
    width: int
    height: int
    frame_rate: Fraction
    format: VideoFormat
    pixels: Pixels
    quality: int
    loop_count: int
    has_metadata: bool
    sound: Sound | None
    proxy: Path | None


def first_pass(clip: Clip) -> list[str]:
    """Return the arguments of the ffmpeg that reads raw frames (``raw_format``) from its standard input."""
    return _palette_pass(clip) if clip.format.two_passes else _single_pass(clip)


def second_pass(clip: Clip, frames: int) -> list[str]:
    """Return the arguments of the ffmpeg after it; none where one is enough.

    Args:
        clip: as before.
        frames: how many were given.
    """
    return _paint_pass(clip, frames) if clip.format.two_passes else []


def _file(path: Path) -> str:
    return f"file:{path}"


def _rate(clip: Clip) -> list[str]:
    """The frame rate of an input. Where it is only stated in the input, ffmpeg takes the nearest that is usual."""
    return ["-r", f"{clip.frame_rate.numerator}/{clip.frame_rate.denominator}"]


def _raw_frames(clip: Clip) -> list[str]:
    size = f"{clip.width}x{clip.height}"
    frames = ["-f", "rawvideo", "-pixel_format", raw_format(clip.pixels), "-video_size", size, *_rate(clip)]
    return [*frames, "-i", "pipe:0"]


def _output(clip: Clip, *more: str) -> list[str]:
    row, encoder = clip.format, clip.format.encoders[0]
    target = _file(clip.target)
    if row.is_folder:  # ffmpeg reads a pattern here, so a percent sign of the folder's name is doubled
        target = f"{target.replace('%', '%%')}/{FRAME_NAME}.{row.extension}"
    video = ["-c:v", encoder.name, *encoder.options(clip.quality, clip.pixels), *tags(clip.pixels)]
    return [*video, "-pix_fmt", clip.pixels.name, *row.container(clip.loop_count), *more, "-f", row.muxer, target]


def _single_pass(clip: Clip) -> list[str]:
    inputs, sound, metadata = _raw_frames(clip), [], []
    next_input = 1
    if clip.sound is not None:
        sample_rate, channels = str(clip.sound.sample_rate), clip.sound.channels
        inputs += ["-f", "f32le", "-ar", sample_rate, "-ac", str(channels), "-i", _file(clip.work / SOUND)]
        kept = channels if channels in WHOLE_LAYOUTS else 2
        sound = ["-map", f"{next_input}:a", "-ac", str(kept)]
        next_input += 1
    if clip.has_metadata:
        inputs += ["-f", "ffmetadata", "-i", _file(clip.work / METADATA)]
        metadata = ["-map_metadata", str(next_input)]
    codec = list(clip.format.audio or ()) if sound else []
    whole = ["-map", "0:v", *sound, *codec, *metadata, "-vf", conversion(clip.pixels), *_output(clip)]
    return [*inputs, *whole, *_proxy(clip, sound)]


def _proxy(clip: Clip, sound: list[str]) -> list[str]:
    """A second output of the same process: what a browser shows when it cannot play the file itself."""
    if clip.proxy is None:
        return []
    pixels = Pixels("yuv420p")
    filters = small_film(clip.pixels, *preview_size((clip.width, clip.height)))
    video = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "21", *tags(pixels), "-pix_fmt", pixels.name]
    codec = ["-c:a", "aac", "-b:a", "128k"] if sound else []
    maps = ["-map", "0:v", *sound, *codec, "-vf", filters]
    return [*maps, *video, "-movflags", "faststart", "-f", "mp4", _file(clip.proxy)]


def _palette_pass(clip: Clip) -> list[str]:
    """Find the palette while the frames are spooled without loss: the second pass needs them again, memory does not."""
    clear = int(clip.pixels.alpha)
    table = f"palettegen=max_colors={clip.quality}:reserve_transparent={clear}"
    graph = f"[0:v]split[all][seen];[seen]{SEEN},{table}[palette]"
    palette = ["-map", "[palette]", "-c:v", "rawvideo", "-f", "nut", _file(clip.work / PALETTE)]
    kept = "bgra" if clip.pixels.alpha else "bgr0"
    spool = ["-map", "[all]", "-c:v", "ffv1", "-pix_fmt", kept, "-f", "nut", _file(clip.work / SPOOL)]
    return [*_raw_frames(clip), "-filter_complex", graph, *palette, *spool]


def _paint_pass(clip: Clip, frames: int) -> list[str]:
    """Draw with the palette. GIF counts hundredths; ffmpeg would show the last frame as long as the one before it."""
    end, start = (round(number * 100 / clip.frame_rate) for number in (frames, frames - 1))
    inputs = [*_rate(clip), "-i", _file(clip.work / SPOOL), "-i", _file(clip.work / PALETTE)]
    paint = "[0:v][1:v]paletteuse=dither=sierra2_4a:diff_mode=rectangle[painted]"
    return [
        *inputs,
        "-filter_complex",
        paint,
        "-map",
        "[painted]",
        *_output(clip, "-final_delay", str(max(1, end - start))),
        *_proxy(clip, []),
    ]
