"""A VIDEO with another sound, its pictures copied and not decoded."""

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from comfy import model_management
from comfy_api.latest import Input, InputImpl

from ...inputs.quoting import plain, reason_of
from ...video.audio_track import AudioTrack, fit_audio
from ...video.decode.container import VideoFile
from ...video.decode.frame_times import Timeline, TimeMap, TimeSelection
from ...video.decode.read_settings import HDR_CHOICES, INTERLACED_CHOICES, ReadSettings
from ...video.decode.reader import scan
from ...video.ffmpeg import VideoError
from ...video.new_sound import DECODE, CopyJob, FilmFacts, copy_with_sound, film_facts
from .output_files import OutputFile, claimed_output, shown, temporary_folder
from .save_settings import LENGTHS, VideoSettings
from .save_video import sound_seconds
from .video_output import video_output

log = logging.getLogger("zoetrope")

AS_IT_IS = ReadSettings(hdr=HDR_CHOICES[1], interlaced=INTERLACED_CHOICES[1])
PLAYED = ("h264", "vp8", "vp9", "av1")
IN_MEMORY = f"This VIDEO is no whole file whose pictures could be copied: {DECODE}"


@dataclass(frozen=True, eq=False)
class CopiedVideo:
    """A finished copy; see ``save_video.SavedVideo``."""

    file: OutputFile
    facts: FilmFacts
    frames: int
    rate: Fraction

    def video_output(self) -> Input.Video:
        """Return the VIDEO that other nodes read."""
        return video_output(self.file.path, self.facts.format, self.frames, self.rate)

    def ui(self) -> dict[str, list[Any]]:
        """Return what the frontend and ``/history`` get."""
        width, height = self.facts.size
        facts = {
            "frames": self.frames,
            "fps": float(self.rate),
            "frame_rate": float(self.rate),
            "width": width,
            "height": height,
            "codec": self.facts.codec,
            "pixel_format": self.facts.pixels,
            "audio": True,
            "duration": float(self.frames / self.rate),
            "format": self.facts.format.mime,
        }
        plays = self.facts.codec in PLAYED and self.facts.format.plays_as is not None
        return {**shown(self.file, plays), "video": [{**self.file.entry(), **facts}]}


def copy_video(
    video: Input.Video, settings: VideoSettings, audio: Mapping[str, Any] | None, metadata: Mapping[str, str]
) -> CopiedVideo:
    """Put a sound under a finished film.

    Args:
        video: from a file, not trimmed.
        settings: the widgets; name, place and length are used.
        audio: AUDIO dict of waveform and sample_rate.
        metadata: what to embed.

    Raises:
        ValueError: there is no sound, the VIDEO is no file, or ffmpeg failed; nothing is left on disk.
    """
    audio = _checked(settings, audio)
    with ExitStack() as stack:
        source = _source(video, stack)
        facts = film_facts(str(source))
        timeline = _timeline(source)
        plan = TimeMap(timeline, TimeSelection())
        frames = _frames(plan, settings.length, sound_seconds(audio))
        seconds = frames / plan.rate
        claim = claimed_output(settings.filename_prefix, facts.format.extension, facts.size, save=settings.save_output)
        file = stack.enter_context(claim)
        job = CopyJob(
            source=source,
            facts=facts,
            path=file.path,
            audio=_track(audio, seconds),
            seconds=seconds,
            again=-(-frames // plan.count) - 1,
            is_whole=frames % plan.count == 0,
            metadata=dict(metadata),
            work_dir=temporary_folder(),
        )
        if job.again:
            facts.require_repeatable(len(timeline.times))
        written = _written(job, frames)
    log.info("Copied a film to %s with another sound (%d frames)", plain(file.path.name), written)
    return CopiedVideo(file, facts, written, plan.rate)


def _written(job: CopyJob, frames: int) -> int:
    """Write the copy; returns how many frames it has, which are more than wanted where frames refer to later ones.

    Raises:
        ValueError: the pictures cannot be copied.
    """
    try:
        copy_with_sound(job, model_management.throw_exception_if_processing_interrupted)
        return frames if job.is_whole else len(_timeline(job.path).times)
    except ValueError as error:
        job.path.unlink(missing_ok=True)
        if not isinstance(error, VideoError):
            raise
        raise ValueError(f"The pictures of this film cannot be copied ({reason_of(error)}): {DECODE}") from error


def _timeline(path: Path) -> Timeline:
    """When the frames of a file are shown."""
    check = model_management.throw_exception_if_processing_interrupted
    return scan(VideoFile(str(path), check, AS_IT_IS)).timeline


def _checked(settings: VideoSettings, audio: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The sound, where there is one and the pictures are left as they are."""
    if audio is None or not sound_seconds(audio):
        raise ValueError("There is a video and no sound to put under it: connect audio.")
    if settings.pingpong or settings.loop_count:
        raise ValueError("A video is copied as it is: turn pingpong off and set loop_count to 0.")
    return audio


def _track(audio: Mapping[str, Any], seconds: Fraction) -> AudioTrack:
    track = fit_audio(audio["waveform"], int(audio["sample_rate"]), seconds)
    if track is None:
        raise ValueError("The film is too short to hold a sound: use a longer one.")
    return track


def _frames(plan: TimeMap, length: str, sound: Fraction) -> int:
    """How many frames the copy has."""
    wanted = max(round(sound * plan.rate), 1)
    if length == LENGTHS[0]:
        return plan.count
    return wanted if length == LENGTHS[2] else min(plan.count, wanted)


def _source(video: Input.Video, stack: ExitStack) -> Path:
    """The film as a file."""
    if not isinstance(video, InputImpl.VideoFromFile) or _is_trimmed(video):
        raise ValueError(IN_MEMORY)
    found = video.get_stream_source()
    if not isinstance(found, BytesIO):
        return Path(found)
    folder = stack.enter_context(TemporaryDirectory(prefix="zoetrope-", dir=temporary_folder()))
    path = Path(folder) / "film"
    path.write_bytes(found.getbuffer())
    return path


def _is_trimmed(video: Input.Video) -> bool:
    """ComfyUI before 0.27 keeps this to itself."""
    if hasattr(video, "get_active_trim_window"):
        return any(video.get_active_trim_window())
    return any(getattr(video, f"_VideoFromFile__{name}", 0.0) for name in ("start_time", "duration"))
