"""Another sound for a finished film: its pictures are copied as they are, nothing is decoded."""

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from ..inputs.quoting import plain
from .audio_track import AudioTrack
from .decode.container import VideoFile
from .encode.ffmpeg_arguments import AUDIO_FILE, METADATA, WHOLE_LAYOUTS
from .ffmpeg import FfmpegProcess
from .file_names import part_path
from .formats.table import FORMATS
from .formats.video_format import VideoFormat
from .metadata.workflow_text import write_ffmetadata

WEB_CODECS = ("vp8", "vp9", "av1")  # that a webm holds
MP4_CODECS = ("h264", "hevc", "av1", "mpeg4", "vp9")
SILENT = ("gif", "apng")
REPEATABLE = ("mov,", "matroska,", "flv")  # begin ffmpeg's names of containers
LATE = Fraction(1, 100)  # seconds; containers round times, and encoders of sound begin a little earlier
APART = Fraction(1, 20)  # seconds; more would be seen at every repeat
DECODE = "connect the images of Get Video Components to images instead, and its fps to frame_rate."


@dataclass(frozen=True, eq=False, kw_only=True)
class FilmFacts:
    """What is known of a finished film before it is copied.

    Attributes:
        stream: number of its picture in the file.
        codec: ffmpeg's name.
        pixels: ffmpeg's pixel format.
        size: (width, height) as stored.
        format: the row of the table whose container holds the copy.
        late: seconds from the file's first sound or picture to its first picture.
        stored: frames in the file, 0 where it does not say.
        kind: of container, by ffmpeg's name.
    """

    stream: int
    codec: str
    pixels: str
    size: tuple[int, int]
    format: VideoFormat
    late: Fraction
    stored: int
    kind: str

    def require_repeatable(self, shown: int) -> None:
        """Refuse a film that ffmpeg does not repeat frame by frame.

        Args:
            shown: frames that players show.

        Raises:
            ValueError: it is one.
        """
        hidden = self.kind.startswith("mov,") and self.stored > shown
        if hidden or self.late > APART or not self.kind.startswith(REPEATABLE):
            raise ValueError(
                "This film cannot be repeated without decoding (its first picture comes late, some of its pictures are hidden, "
                f"or its container, {plain(self.kind)}, has no exact times): {DECODE}"
            )


def film_facts(path: str) -> FilmFacts:
    """Look into a file.

    Raises:
        ValueError: it cannot be read, or is of a kind that holds no sound.
    """
    file = VideoFile(path)
    with file.open() as container:
        stream = file.picture(container)
        # By what it is: the context is called after the decoder, which for AV1 is dav1d.
        codec, kind = stream.codec_context.codec.canonical_name, container.format.name
        if kind in SILENT:
            raise ValueError(f"A {plain(kind)} file holds no sound: connect its images instead, and choose h264-mp4.")
        if kind.startswith("mov,") and codec in MP4_CODECS:
            name = "h264-mp4"
        elif kind.startswith("mov,"):
            name = "prores-mov"
        else:
            name = "vp9-webm" if codec in WEB_CODECS else "ffv1-mkv"
        size = stream.codec_context.width, stream.codec_context.height
        row = replace(FORMATS[name], codec=codec)
        return FilmFacts(
            stream=stream.index,
            codec=codec,
            pixels=stream.codec_context.pix_fmt or "",
            size=size,
            format=row,
            late=_late(container, stream),
            stored=stream.frames,
            kind=kind,
        )


def _late(container: InputContainer, stream: VideoStream) -> Fraction:
    begun = cast("int | None", container.start_time)  # PyAV's types know of no file without
    if stream.start_time is None or begun is None:
        return Fraction(0)
    late = stream.start_time * stream.time_base - Fraction(begun, av.time_base)
    return late if late >= LATE else Fraction(0)


@dataclass(frozen=True, eq=False, kw_only=True)
class CopyJob:
    """A film with another sound.

    Attributes:
        source: the film.
        facts: of it.
        path: finished file.
        audio: as long as the result.
        seconds: length of the result.
        again: how often the film comes again, before it is cut.
        is_whole: it is not cut.
        metadata: keys and JSON texts to embed; those of the source are left out.
        work_dir: existing folder for temporary files.
    """

    source: Path
    facts: FilmFacts
    path: Path
    audio: AudioTrack
    seconds: Fraction
    again: int = 0
    is_whole: bool = True
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    work_dir: Path | None = None


def copy_with_sound(job: CopyJob, check: Callable[[], None]) -> None:
    """Write the file: whole under its name, or not at all where the caller removes its part.

    Args:
        job: what is written where.
        check: called while waiting; it may raise to abandon the copy.

    Raises:
        VideoError: ffmpeg failed.
    """
    with ExitStack() as stack:
        folder = tempfile.TemporaryDirectory(prefix="zoetrope-", dir=job.work_dir, ignore_cleanup_errors=True)
        work = Path(stack.enter_context(folder)).resolve()
        job.audio.write_raw(work / AUDIO_FILE)
        write_ffmetadata(work / METADATA, job.metadata)
        process = FfmpegProcess(copy_arguments(job, work), job.path.name, piped=False)
        stack.callback(process.kill)
        process.finish(check)
        os.replace(part_path(job.path), job.path)


def copy_arguments(job: CopyJob, work: Path) -> list[str]:
    """Ffmpeg's arguments; ``work`` has the sound and the metadata."""
    row, audio = job.facts.format, job.audio
    begun = ["-itsoffset", f"{-float(job.facts.late):.6f}"] if job.facts.late else []
    film = [*begun, "-stream_loop", str(job.again), "-i", f"file:{job.source.resolve()}"]
    sound = [
        "-f",
        "f32le",
        "-ar",
        str(audio.sample_rate),
        "-ac",
        str(audio.channels),
        "-i",
        f"file:{work / AUDIO_FILE}",
    ]
    tags = ["-f", "ffmetadata", "-i", f"file:{work / METADATA}"]
    channels = audio.channels if audio.channels in WHOLE_LAYOUTS else 2
    maps = ["-map", f"0:{job.facts.stream}", "-map", "1:a", "-map_metadata", "2", "-map_chapters", "-1"]
    coded = ["-c:v", "copy", *(row.audio or ()), "-ac", str(channels)]
    cut = [] if job.is_whole else ["-t", f"{float(job.seconds):.6f}"]
    target = ["-disposition:v:0", "default", *row.container(0), "-f", row.muxer]
    return [*film, *sound, *tags, *maps, *coded, *cut, *target, f"file:{part_path(job.path).resolve()}"]
