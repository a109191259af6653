"""From frames to a finished file in ComfyUI's output folder.

Shapes: F = frames, H = height, W = width, C = channels.
"""

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import comfy.utils
import torch
from comfy import model_management
from comfy.cli_args import args
from comfy_api.latest import Input
from numpy.typing import NDArray

from ...video.audio_track import Sound, fit_sound
from ...video.encode.encoder import VideoEncoder
from ...video.encode.frame_arrays import frame_order, has_alpha, to_pixels
from ...video.encode.frame_spool import FrameSpool
from ...video.file_names import clean_prefix
from ...video.formats.video_format import Pixels, VideoFormat
from ...video.frame_rate import exact_rate
from ...video.metadata.workflow_text import workflow_metadata
from . import formats
from .frame_source import FrameSource
from .output_files import Place, claimed, temporary_folder
from .video_output import video_output

log = logging.getLogger("zoetrope")

CHUNK_FRAMES = 8  # decoded at once; only these and those that wait for ffmpeg are in memory
BIT_DEPTHS = ("8", "10")
PROXY_FORMAT = "h264-mp4"
PROXY_PREFIX = "zoetrope_preview"


@dataclass(frozen=True)
class VideoSettings:
    """The widgets of Combine Video; see the node for their meaning."""

    frame_rate: float | Fraction
    format: str
    filename_prefix: str
    loop_count: int = 0
    pingpong: bool = False
    quality: int = -1
    bit_depth: int = 8
    save_output: bool = True

    def check(self) -> tuple[VideoFormat, Fraction]:
        """Return format and exact frame rate.

        Raises:
            ValueError: something that can be known before any frame is decoded is wrong.
        """
        row, rate = formats.find(self.format), exact_rate(self.frame_rate)
        row.require_rate(rate)
        row.require_bits(self.bit_depth)
        row.quality_or_default(self.quality)
        clean_prefix(self.filename_prefix)
        return row, rate

    def encoder(
        self,
        place: Place,
        proxy: Place | None,
        size: tuple[int, int],
        alpha: bool,
        metadata: Mapping[str, str] | None,
        sound: Sound | None,
    ) -> VideoEncoder:
        """What writes the clip; see VideoEncoder for the arguments."""
        row, rate = self.check()
        return VideoEncoder(
            place.path,
            size,
            rate,
            row,
            quality=self.quality,
            loop_count=self.loop_count,
            metadata=metadata,
            sound=sound,
            work_dir=temporary_folder(),
            check=model_management.throw_exception_if_processing_interrupted,
            bits=self.bit_depth,
            alpha=alpha,
            proxy=proxy.path if proxy else None,
        )

    def order(self, frames: int, row: VideoFormat) -> list[int]:
        """The frame numbers as they are shown: back and forth, and again where the file cannot say so itself."""
        shown = frame_order(frames, self.pingpong)
        return shown if row.loops_in_file else shown * (1 + self.loop_count)


@dataclass(frozen=True)
class SavedVideo:
    """A finished file and the facts about it.

    Attributes:
        place: the file, or the folder of one file a frame.
        proxy: a small film of the same frames where browsers do not play the file itself.
        format: row of the table.
        pixels: how frames are stored.
        frame_rate: frames a second.
        frames: how many are in the file.
        width: in the file.
        height: in the file.
        sound: whether the file has some.
    """

    place: Place
    proxy: Place | None
    format: VideoFormat
    pixels: Pixels
    frame_rate: Fraction
    frames: int
    width: int
    height: int
    sound: bool

    @property
    def path(self) -> Path:
        """The file, or the folder."""
        return self.place.path

    def video_output(self) -> Input.Video:
        """Return the VIDEO that other nodes read; it opens the file only when asked for something."""
        return video_output(self.path, self.format, self.frames, self.frame_rate)

    @property
    def plays(self) -> bool:
        """Whether browsers play the file itself."""
        return self.format.plays_as is not None and self.pixels.plays

    def ui(self) -> dict[str, list[Any]]:
        """Return what the frontend and ``/history`` get: ``images`` draws in the node, ``video`` has the facts."""
        facts = {
            "frames": self.frames,
            "fps": float(self.frame_rate),
            "frame_rate": float(self.frame_rate),  # the name that other front ends read
            "width": self.width,
            "height": self.height,
            "codec": self.format.codec,
            "pixel_format": self.pixels.name,
            "bit_depth": self.pixels.bits,
            "alpha": self.pixels.alpha,
            "audio": self.sound,
            "duration": float(self.frames / self.frame_rate),
            "format": self.format.mime,
        }
        shown = self.proxy or self.place
        moves = self.proxy is not None or self.plays
        return {"images": [shown.entry()], "animated": [moves], "video": [{**self.place.entry(), **facts}]}


def save_video(
    source: FrameSource,
    settings: VideoSettings,
    audio: Mapping[str, Any] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> SavedVideo:
    """Decode, encode and save a clip; memory does not grow with its length.

    Frames are made in this thread while another feeds ffmpeg.

    Args:
        source: the frames.
        settings: the widgets.
        audio: AUDIO dict of waveform and sample_rate, cut or padded to the clip.
        metadata: what to embed, from ``embedded_workflow``.

    Raises:
        ValueError: a setting is impossible, or ffmpeg failed; nothing is left on disk.
    """
    row, rate = settings.check()
    order = settings.order(source.frames, row)
    model_management.throw_exception_if_processing_interrupted()
    first = source.at(order[: min(CHUNK_FRAMES, source.frames)])
    sound = _sound(audio, row, len(order) / rate)
    size = (first.shape[2], first.shape[1])
    with ExitStack() as stack:
        place, proxy = _places(stack, settings, row, row.pixels_for(settings.bit_depth, has_alpha(first)), size)
        encoder = settings.encoder(place, proxy, size, has_alpha(first), metadata, sound)
        _say_what_is_lost(settings, first, encoder.pixels)
        held = [first]  # handed over, so that it is not kept while the rest is written
        del first
        _write(source, order, held, stack.enter_context(encoder))
    log.info("Wrote %s (%d frames)", place.path.name, encoder.frames)
    return SavedVideo(place, proxy, row, encoder.pixels, rate, encoder.frames, *encoder.stored_size, sound is not None)


def _places(
    stack: ExitStack, settings: VideoSettings, row: VideoFormat, pixels: Pixels, size: tuple[int, int]
) -> tuple[Place, Place | None]:
    """The file, and a film for the node where browsers do not play the file."""
    save = settings.save_output
    place = stack.enter_context(
        claimed(settings.filename_prefix, row.extension, size, save=save, is_folder=row.is_folder)
    )
    if (row.plays_as and pixels.plays) or PROXY_FORMAT not in formats.offered().rows:
        return place, None
    return place, stack.enter_context(claimed(PROXY_PREFIX, "mp4", size, save=False))


def _say_what_is_lost(settings: VideoSettings, first: torch.Tensor, pixels: Pixels) -> None:
    if has_alpha(first) and not pixels.alpha:
        log.warning("%s has no transparency, so it was left out; vp9-webm and prores-mov keep it.", settings.format)
    if settings.bit_depth > pixels.bits:
        log.warning("%s keeps transparency in %d bits only.", settings.format, pixels.bits)


def _write(source: FrameSource, order: list[int], first: list[torch.Tensor], encoder: VideoEncoder) -> None:
    """Feed the encoder, telling the progress."""
    progress = None if source.tells_progress else comfy.utils.ProgressBar(len(order))
    with ExitStack() as stack:
        for frames in _pieces(source, order, first, encoder.pixels, stack):
            encoder.write(frames)
            if progress is not None:
                progress.update(len(frames))


def _pieces(
    source: FrameSource, order: list[int], first: list[torch.Tensor], pixels: Pixels, stack: ExitStack
) -> Iterator[NDArray[Any]]:
    """Yield a few frames at a time, as the encoder wants them; an interrupt is noticed between them.

    What is shown again is read from disk, unless the frames are in memory: latents are decoded once.
    """
    spool = None
    if len(order) > source.frames and not source.in_memory:
        work = tempfile.TemporaryDirectory(prefix="zoetrope-", dir=temporary_folder(), ignore_cleanup_errors=True)
        spool = stack.enter_context(FrameSpool(Path(stack.enter_context(work)) / "frames.raw"))
    for numbers in _groups(order, source.frames):
        model_management.throw_exception_if_processing_interrupted()
        if spool is not None and numbers.start >= source.frames:
            yield spool.read(order[numbers.start : numbers.stop])
            continue
        wanted = order[numbers.start : numbers.stop]
        frames = to_pixels(source.at(wanted) if numbers.start else first.pop(), pixels.bits, pixels.alpha)
        if spool is not None:
            spool.append(frames)
        yield frames


def _groups(order: list[int], frames: int) -> Iterator[range]:
    """Places in the order, a few at a time; the first showing and what comes after it do not mix."""
    for start, stop in ((0, frames), (frames, len(order))):
        for place in range(start, stop, CHUNK_FRAMES):
            yield range(place, min(place + CHUNK_FRAMES, stop))


def _sound(audio: Mapping[str, Any] | None, row: VideoFormat, seconds: Fraction) -> Sound | None:
    if audio is None:
        return None
    if row.audio is None:
        log.warning("%s files have no sound: the audio was left out, choose h264-mp4 to keep it", row.name)
        return None
    return fit_sound(audio["waveform"], int(audio["sample_rate"]), seconds)


def settings_problem(
    format: str | None,
    frame_rate: float | None,
    filename_prefix: str | None,
    quality: int | None,
    bit_depth: str | None,
) -> str | None:
    """Why a clip could not be written, known when the prompt is queued; None where nothing is wrong.

    The arguments are the widgets of Combine Video; None is what comes from another node.
    """
    try:
        row = None if format is None else formats.find(format)
        rate = None if frame_rate is None else exact_rate(frame_rate)
        if filename_prefix is not None:
            clean_prefix(filename_prefix)
        if bit_depth not in (None, *BIT_DEPTHS):
            raise ValueError(f"bit_depth {bit_depth!r} does not exist: give {' or '.join(BIT_DEPTHS)}.")
        if row is not None:
            row.quality_or_default(-1 if quality is None else quality)
            row.require_bits(int(bit_depth or BIT_DEPTHS[0]))
            if rate is not None:
                row.require_rate(rate)
    except ValueError as error:
        return str(error)
    return None


def embedded_workflow(wanted: bool, prompt: Any, extra_pnginfo: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the metadata to embed: none when the user or ``--disable-metadata`` says so."""
    return workflow_metadata(prompt, extra_pnginfo) if wanted and not args.disable_metadata else {}
