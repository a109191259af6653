"""ffmpeg's arguments for a clip. Every word is ours; paths are absolute and behind ``file:``.

``work`` is a private folder for metadata, audio, palette and spooled frames.
"""

from pathlib import Path

from ..file_names import part_path
from ..formats.video_format import PixelFormat
from ..frame_size import preview_size
from .job import FRAME_NAME, EncodeJob
from .pixel_conversion import conversion, proxy_filters, raw_format, tags

SPOOL = "frames.nut"
PALETTE = "palette.nut"
METADATA = "metadata.txt"
AUDIO_FILE = "audio.f32"
# The first 32 frames, then every second, from 64 on every fourth and so on: colours of long clips are counted in a table
# that would grow with every frame.
SEEN = "select='not(mod(n,pow(2,floor(log(max(n,32)/32)/log(2)))))'"
WHOLE_LAYOUTS = (1, 2, 6, 8)  # mono, stereo, 5.1 and 7.1; other numbers of channels are mixed to stereo


def first_pass(job: EncodeJob, work: Path) -> list[str]:
    """Return the arguments of the ffmpeg that reads raw frames (``raw_format``) from its standard input."""
    return _palette_pass(job, work) if job.format.two_passes else _single_pass(job, work)


def later_passes(job: EncodeJob, work: Path, frames: int) -> list[list[str]]:
    """Return the arguments of each ffmpeg after it; none where one is enough.

    Painting and the preview film are two processes: with both outputs in one, ffmpeg 9.0 now and then waits for itself for
    ever, because the painter reads no frame before it has the whole palette.

    Args:
        job: as before.
        work: as before.
        frames: how many were given.
    """
    if not job.format.two_passes:
        return []
    proxy = _proxy(job, [])
    return [_paint_pass(job, work, frames), *([[*_spooled(job, work), *proxy]] if proxy else [])]


def _spooled(job: EncodeJob, work: Path) -> list[str]:
    return [*_rate(job), "-i", _file(work / SPOOL)]


def _file(path: Path) -> str:
    return f"file:{path}"


def _rate(job: EncodeJob) -> list[str]:
    """The frame rate of an input. Where it is only stated in the input, ffmpeg takes the nearest that is usual."""
    return ["-r", f"{job.frame_rate.numerator}/{job.frame_rate.denominator}"]


def _raw_frames(job: EncodeJob) -> list[str]:
    width, height = job.stored_size
    size = f"{width}x{height}"
    frames = ["-f", "rawvideo", "-pixel_format", raw_format(job.pixels), "-video_size", size, *_rate(job)]
    return [*frames, "-i", "pipe:0"]


def _output(job: EncodeJob, *more: str) -> list[str]:
    row, encoder = job.format, job.format.encoders[0]
    target = _file(part_path(job.path).resolve())
    if row.is_folder:  # ffmpeg reads a pattern here, so a percent sign of the folder's name is doubled
        target = f"{target.replace('%', '%%')}/{FRAME_NAME}.{row.extension}"
    video = ["-c:v", encoder.name, *encoder.options(job.quality, job.pixels), *tags(job.pixels)]
    return [*video, "-pix_fmt", job.pixels.name, *row.container(job.loop_count), *more, "-f", row.muxer, target]


def _single_pass(job: EncodeJob, work: Path) -> list[str]:
    inputs, audio, metadata = _raw_frames(job), [], []
    next_input = 1
    if job.audio is not None:
        sample_rate, channels = str(job.audio.sample_rate), job.audio.channels
        inputs += ["-f", "f32le", "-ar", sample_rate, "-ac", str(channels), "-i", _file(work / AUDIO_FILE)]
        kept = channels if channels in WHOLE_LAYOUTS else 2
        audio = ["-map", f"{next_input}:a", "-ac", str(kept)]
        next_input += 1
    if job.has_tags:
        inputs += ["-f", "ffmetadata", "-i", _file(work / METADATA)]
        metadata = ["-map_metadata", str(next_input)]
    codec = list(job.format.audio or ()) if audio else []
    whole = ["-map", "0:v", *audio, *codec, *metadata, "-vf", conversion(job.pixels), *_output(job)]
    return [*inputs, *whole, *_proxy(job, audio)]


def _proxy(job: EncodeJob, audio: list[str]) -> list[str]:
    """A second output of the same process: what a browser shows when it cannot play the file itself."""
    if job.proxy is None:
        return []
    pixels = PixelFormat("yuv420p")
    filters = proxy_filters(job.pixels, *preview_size(job.stored_size))
    video = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "21", *tags(pixels), "-pix_fmt", pixels.name]
    codec = ["-c:a", "aac", "-b:a", "128k"] if audio else []
    maps = ["-map", "0:v", *audio, *codec, "-vf", filters]
    return [*maps, *video, "-movflags", "faststart", "-f", "mp4", _file(part_path(job.proxy).resolve())]


def _palette_pass(job: EncodeJob, work: Path) -> list[str]:
    """Find the palette while the frames are spooled without loss: the second pass needs them again, memory does not."""
    clear = int(job.pixels.alpha)
    table = f"palettegen=max_colors={job.quality}:reserve_transparent={clear}"
    graph = f"[0:v]split[all][seen];[seen]{SEEN},{table}[palette]"
    palette = ["-map", "[palette]", "-c:v", "rawvideo", "-f", "nut", _file(work / PALETTE)]
    kept = "bgra" if job.pixels.alpha else "bgr0"
    spool = ["-map", "[all]", "-c:v", "ffv1", "-pix_fmt", kept, "-f", "nut", _file(work / SPOOL)]
    return [*_raw_frames(job), "-filter_complex", graph, *palette, *spool]


def _paint_pass(job: EncodeJob, work: Path, frames: int) -> list[str]:
    """Draw with the palette. GIF counts hundredths; ffmpeg would show the last frame as long as the one before it."""
    end, start = (round(number * 100 / job.frame_rate) for number in (frames, frames - 1))
    inputs = [*_spooled(job, work), "-i", _file(work / PALETTE)]
    paint = "[0:v][1:v]paletteuse=dither=sierra2_4a:diff_mode=rectangle[painted]"
    return [
        *inputs,
        "-filter_complex",
        paint,
        "-map",
        "[painted]",
        *_output(job, "-final_delay", str(max(1, end - start))),
    ]
