"""From frames to a finished file in ComfyUI's output folder."""

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

from ...inputs.quoting import plain
from ...video.audio_track import AudioTrack, fit_audio
from ...video.encode.encoder import VideoEncoder
from ...video.encode.frame_arrays import has_alpha, to_pixels
from ...video.encode.frame_spool import FrameSpool
from ...video.encode.job import EncodeJob
from ...video.formats.video_format import PixelFormat, VideoFormat
from ...video.metadata.workflow_text import workflow_metadata
from .frame_source import FrameSource
from .output_files import OutputFile, claimed_output, claimed_preview, shown, temporary_folder
from .save_settings import SavePlan, VideoSettings
from .video_output import video_output

log = logging.getLogger("zoetrope")

WRITTEN_AT_ONCE = 8  # decoded at once; only these and those that wait for ffmpeg are in memory
PROXY_STEM = "zoetrope_preview"


@dataclass(frozen=True, eq=False)
class SavedVideo:
    """A finished file and the facts about it.

    Attributes:
        file: the file, or the folder of one file a frame.
        proxy: a small video of the same frames where browsers do not play the file itself.
        job: how it was written.
        frames: how many are in the file.
    """

    file: OutputFile
    proxy: OutputFile | None
    job: EncodeJob
    frames: int

    def video_output(self) -> Input.Video:
        """Return the VIDEO that other nodes read; it opens the file only when asked for something."""
        return video_output(self.file.path, self.job.format, self.frames, self.job.frame_rate)

    def ui(self) -> dict[str, list[Any]]:
        """Return what the frontend and ``/history`` get: ``images`` draws in the node, ``video`` has the facts."""
        job, (width, height) = self.job, self.job.stored_size
        facts = {
            "frames": self.frames,
            "fps": float(job.frame_rate),
            "frame_rate": float(job.frame_rate),  # the name that other front ends read
            "width": width,
            "height": height,
            "codec": job.format.codec,
            "pixel_format": job.pixels.name,
            "bit_depth": job.pixels.bits,
            "alpha": job.pixels.alpha,
            "audio": job.audio is not None,
            "duration": float(self.frames / job.frame_rate),
            "format": job.format.mime,
        }
        moves = self.proxy is not None or _plays(job.format, job.pixels)
        return {**shown(self.proxy or self.file, moves), "video": [{**self.file.entry(), **facts}]}


def save_video(
    source: FrameSource,
    plan: SavePlan,
    audio: Mapping[str, Any] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> SavedVideo:
    """Decode, encode and save a clip; memory does not grow with its length.

    Frames are made in this thread while another feeds ffmpeg.

    Args:
        source: the frames.
        plan: from the widgets.
        audio: AUDIO dict of waveform and sample_rate, cut or padded to the clip.
        metadata: what to embed, from ``embedded_workflow``.

    Raises:
        ValueError: a setting is impossible, or ffmpeg failed; nothing is left on disk.
    """
    order = plan.order(source.frames, sound_seconds(audio))
    model_management.throw_exception_if_processing_interrupted()
    first = source.at(order[: min(WRITTEN_AT_ONCE, source.frames)])
    track = _track(audio, plan.format, len(order) / plan.frame_rate)
    with ExitStack() as stack:
        file, proxy, job = _claimed_job(stack, plan, first, track, metadata)
        _warn_of_losses(plan.settings, first, job.pixels)
        encoder = VideoEncoder(job, model_management.throw_exception_if_processing_interrupted)
        held = [first]  # handed over, so that it is not kept while the rest is written
        del first
        _write(source, order, held, stack.enter_context(encoder))
    log.info("Wrote %s (%d frames)", plain(file.path.name), encoder.frames)
    return SavedVideo(file, proxy, job, encoder.frames)


def _claimed_job(
    stack: ExitStack,
    plan: SavePlan,
    first: torch.Tensor,
    track: AudioTrack | None,
    metadata: Mapping[str, str] | None,
) -> tuple[OutputFile, OutputFile | None, EncodeJob]:
    """The file, a video for the node where browsers do not play the file, and what is written there."""
    settings, row, size = plan.settings, plan.format, (first.shape[2], first.shape[1])
    pixels = row.pixels_for(settings.bit_depth, has_alpha(first))
    row.require_size(*size)
    claim = claimed_output(
        settings.filename_prefix, row.extension, size, save=settings.save_output, is_folder=row.is_folder
    )
    file, proxy = stack.enter_context(claim), None
    if plan.writes_proxies and not _plays(row, pixels):
        proxy = stack.enter_context(claimed_preview(PROXY_STEM, size))
    job = EncodeJob(
        path=file.path,
        size=size,
        frame_rate=plan.frame_rate,
        format=row,
        pixels=pixels,
        quality=plan.quality,
        loop_count=settings.loop_count,
        metadata=metadata or {},
        audio=track,
        proxy=proxy.path if proxy else None,
        work_dir=temporary_folder(),
    )
    return file, proxy, job


def _plays(row: VideoFormat, pixels: PixelFormat) -> bool:
    """Whether browsers play the file itself."""
    return row.plays_as is not None and pixels.plays


def _warn_of_losses(settings: VideoSettings, first: torch.Tensor, pixels: PixelFormat) -> None:
    if has_alpha(first) and not pixels.alpha:
        log.warning(
            "%s has no transparency, so it was left out; vp9-webm and prores-mov keep it.", plain(settings.format)
        )
    if settings.bit_depth > pixels.bits:
        log.warning("%s keeps transparency in %d bits only.", plain(settings.format), pixels.bits)


def _write(source: FrameSource, order: list[int], first: list[torch.Tensor], encoder: VideoEncoder) -> None:
    """Feed the encoder, telling the progress."""
    progress = None if source.tells_progress else comfy.utils.ProgressBar(len(order))
    with ExitStack() as stack:
        for frames in _pieces(source, order, first, encoder.job.pixels, stack):
            encoder.write(frames)
            if progress is not None:
                progress.update(len(frames))


def _pieces(
    source: FrameSource, order: list[int], first: list[torch.Tensor], pixels: PixelFormat, stack: ExitStack
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
    for start, stop in ((0, min(frames, len(order))), (frames, len(order))):
        for place in range(start, stop, WRITTEN_AT_ONCE):
            yield range(place, min(place + WRITTEN_AT_ONCE, stop))


def sound_seconds(audio: Mapping[str, Any] | None) -> Fraction:
    """Length of the sound, 0 without any."""
    if audio is None or audio["waveform"].numel() == 0:
        return Fraction(0)
    return Fraction(audio["waveform"].shape[-1], max(int(audio["sample_rate"]), 1))


def _track(audio: Mapping[str, Any] | None, row: VideoFormat, seconds: Fraction) -> AudioTrack | None:
    """The sound of a clip, None without any or where the format has none."""
    if audio is None:
        return None
    if row.audio is None:
        log.warning("%s files have no sound: the audio was left out, choose h264-mp4 to keep it", plain(row.name))
        return None
    return fit_audio(audio["waveform"], int(audio["sample_rate"]), seconds)


def embedded_workflow(wanted: bool, prompt: Any, extra_pnginfo: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the metadata to embed: none when the user or ``--disable-metadata`` says so."""
    return workflow_metadata(prompt, extra_pnginfo) if wanted and not args.disable_metadata else {}
