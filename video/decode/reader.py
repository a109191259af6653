"""A video looked through once, and its frames by number.

Shapes: H, W = size in pixels, C = channels (3 RGB, 4 RGB and alpha).
"""

import logging
from bisect import bisect_left
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from itertools import chain
from typing import Any, Protocol

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from ...inputs.quoting import reason_of
from ..frame_size import PixelArray
from .animations import animation_times
from .audio import audio_bytes, read_audio
from .container import VideoFile, nothing
from .deinterlace import is_interlaced, whole_pictures
from .frame_times import Timeline, ascending
from .hdr import HDR_CURVES, HdrToSdr
from .read_settings import ReadSettings
from .reformat import Reformatter, frame_has_alpha, has_high_bit_depth, upright_size
from .streams import choice_in_words
from .webp import WebpReader, is_webp

log = logging.getLogger("zoetrope")

# Each of their packets is a frame with the time it is shown at; of others only decoding tells. GIF is not among them:
# what follows its last frame, such as a comment that holds a workflow, comes as a packet too.
PACKETS_ARE_FRAMES = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "apng", "flv")
ODDEST_ASPECT = 16
DEFAULT = ReadSettings()


class VideoReader(Protocol):
    """What any source of moving pictures gives.

    Its numbers are those of ``timeline``, ``size`` is (width, height) as they are shown, ``alpha`` says whether pixels
    can be transparent, and ``high_bit_depth`` whether there are 16 bits a channel instead of 8.
    """

    @property
    def timeline(self) -> Timeline: ...

    @property
    def size(self) -> tuple[int, int]: ...

    @property
    def alpha(self) -> bool: ...

    @property
    def high_bit_depth(self) -> bool: ...

    def frames(
        self, numbers: Iterable[int], size: tuple[int, int], fit: str, untagged: str = "auto"
    ) -> Generator[PixelArray, None, None]:
        """Frames by ascending numbers as (H, W, C); one that is damaged is the one before."""
        ...

    def audio_bytes(self, seconds: Fraction) -> int:
        """Bytes of the audio, 0 without any."""
        ...

    def audio(self, start: Fraction, seconds: Fraction) -> tuple[NDArray[np.float32], int] | None:
        """((channels, samples), samples a second) from ``start`` after the first frame on; None for a silent file."""
        ...


@dataclass(frozen=True, eq=False)
class ContainerReader:
    """A video file that PyAV reads; see VideoReader.

    Attributes:
        has_no_timestamps: frames are known by their place, because the times that ffmpeg gives are missing or wrong.
        pixel_aspect: width of a pixel over its height.
        hdr: maps pictures to SDR; None for SDR, and for what is left as it is stored.
        deinterlaced: frames are stored as two fields and become whole pictures.
    """

    file: VideoFile
    timeline: Timeline
    has_no_timestamps: bool
    size: tuple[int, int]
    alpha: bool
    high_bit_depth: bool
    pixel_aspect: Fraction
    hdr: HdrToSdr | None = None
    deinterlaced: bool = False

    def decoded_frames(self, numbers: Iterable[int]) -> Iterator[av.VideoFrame]:
        """Decoded frames by ascending numbers.

        Raises:
            ValueError: none can be decoded.
        """
        times = self.timeline.times
        wanted = (times[number] for number in numbers)
        first = next(wanted, None)
        if first is None:
            return
        with closing(self._from(first)) as frames:
            held: av.VideoFrame | None = None
            coming = next(frames, None)
            for time in chain((first,), wanted):
                while coming is not None and coming[0] <= time:
                    held, coming = coming[1], next(frames, None)
                shown = held or (coming and coming[1])
                if shown is None:
                    raise ValueError("No frame of the video can be decoded: it is damaged; load another file.")
                yield shown

    def frames(
        self, numbers: Iterable[int], size: tuple[int, int], fit: str, untagged: str = "auto"
    ) -> Generator[PixelArray, None, None]:
        """See VideoReader."""
        fitter = Reformatter(size, fit, self.alpha, self.high_bit_depth, self.pixel_aspect, untagged)
        last: av.VideoFrame | None = None
        picture: Any = None
        for frame in self.decoded_frames(numbers):
            if frame is not last:
                try:
                    picture, last = fitter(frame), frame
                    picture = self.hdr(picture) if self.hdr else picture
                except FFmpegError as error:
                    if picture is None:
                        raise ValueError(
                            f"The video's frames cannot be converted to RGB ({reason_of(error)}); convert it to H.264 first."
                        ) from error
            yield picture

    def audio_bytes(self, seconds: Fraction) -> int:
        """See VideoReader."""
        return audio_bytes(self.file, seconds)

    def audio(self, start: Fraction, seconds: Fraction) -> tuple[NDArray[np.float32], int] | None:
        """See VideoReader."""
        origin = Fraction(0) if self.has_no_timestamps else self.timeline.origin
        return read_audio(self.file, origin + start, seconds)

    def _from(self, time: int) -> Generator[tuple[int, av.VideoFrame], None, None]:
        """Frames with their times, from a key frame at or before a time on; from the first where that fails."""
        with self.file.open() as container:
            stream = self.file.picture(container)
            times = self.timeline.times
            if self.deinterlaced:  # a frame needs the one before
                time = times[max(bisect_left(times, time) - 1, 0)]
            if not self.has_no_timestamps and time > times[0]:
                with suppress(FFmpegError):
                    container.seek(time, stream=stream)
                    frames = self._timed(self._whole(container, stream))
                    start = next(frames, None)
                    if start is not None and start[0] <= time:
                        yield start
                        yield from frames
                        return
        with self.file.open() as container:
            yield from self._timed(self._whole(container, self.file.picture(container)))

    def _whole(self, container: Any, stream: Any) -> Iterator[av.VideoFrame]:
        frames = self.file.decoded(container, stream)
        return whole_pictures(frames) if self.deinterlaced else frames

    def _timed(self, frames: Iterator[av.VideoFrame]) -> Iterator[tuple[int, av.VideoFrame]]:
        for number, frame in enumerate(frames):
            if self.has_no_timestamps:
                if number < len(self.timeline.times):
                    yield self.timeline.times[number], frame
            elif frame.pts is not None:
                yield frame.pts, frame


def scan(file: VideoFile) -> ContainerReader:
    """Find out what a file holds: its first frame is decoded, the rest is only listed where the container allows it.

    Raises:
        ValueError: it cannot be read, or no frame can be decoded.
    """
    file.settings.check()
    with file.open() as container:
        file.sound(container)  # refuses a track that is not there
        if words := choice_in_words(container, file.settings.audio_track):
            log.info(words)
        stream = file.picture(container)
        first = next(file.decoded(container, stream), None)
        if first is None:
            raise ValueError("The video has no frame that can be decoded; load another file.")
        aspect = Fraction(stream.sample_aspect_ratio or 1)
        if not Fraction(1, ODDEST_ASPECT) <= aspect <= ODDEST_ASPECT:
            aspect = Fraction(1)
        deinterlaced = _deinterlaced(first, file.settings.deinterlaces)
        hdr = _hdr(first, stream.codec_context, file.settings.maps_hdr)
        listed = container.format.name in PACKETS_ARE_FRAMES
    timeline, has_no_timestamps = _timed_frames(file, listed)
    return ContainerReader(
        file,
        timeline,
        has_no_timestamps,
        upright_size(first, aspect),
        frame_has_alpha(first),
        has_high_bit_depth(first) or hdr is not None,
        aspect,
        hdr,
        deinterlaced,
    )


def _deinterlaced(frame: av.VideoFrame, wanted: bool) -> bool:
    """Whether frames are made whole: the file says that they are two fields, and the user wants it."""
    if not is_interlaced(frame):
        return False
    log.info("The video is interlaced: %s.", "it is deinterlaced" if wanted else "it is left as stored")
    return wanted


def _hdr(frame: av.VideoFrame, context: Any, mapped: bool) -> HdrToSdr | None:
    """The way to SDR, where the file says that it is HDR and the user wants it; PyAV's frames know it from version 15 on."""
    transfer, primaries = (
        int(getattr(frame, name, getattr(context, name))) for name in ("color_trc", "color_primaries")
    )
    if transfer not in HDR_CURVES:
        return None
    done = "it is mapped to SDR" if mapped else "it is left as stored, which looks pale on screens"
    log.info("The video is HDR (%s): %s.", HDR_CURVES[transfer][0], done)
    return HdrToSdr(transfer, primaries) if mapped else None


def open_video(
    file: str | BytesIO, check: Callable[[], object] = nothing, settings: ReadSettings = DEFAULT
) -> VideoReader:
    """The frames of a file, whatever its name says it is.

    Args:
        file: path, or a video in memory.
        check: see VideoFile.
        settings: how it is read.

    Raises:
        ValueError: it cannot be read as a video.
    """
    if isinstance(file, str) and is_webp(file):
        return WebpReader(file)
    return scan(VideoFile(file, check, settings))


def _timed_frames(file: VideoFile, listed: bool) -> tuple[Timeline, bool]:
    """Times of all frames, and whether frames are known by their place only; ``listed`` where packets tell the times."""
    with file.bytes() as content:
        hasty = animation_times(content)
    if hasty is not None:
        return hasty, True
    timeline = _listed(file) if listed else None
    return (timeline, False) if timeline is not None else _decoded(file)


def _listed(file: VideoFile) -> Timeline | None:
    """Times of the packets that become frames; None where one has no time."""
    with file.open() as container:
        stream = file.picture(container)
        hidden = _hidden_vp8 if stream.codec_context.name == "vp8" else None
        shown = [
            (packet.pts, packet.duration or 0)
            for packet in file.packets(container, stream)
            if packet.size and not packet.is_discard and not (hidden and hidden(packet))
        ]
        if not shown or any(time is None for time, _ in shown):
            return None
        shown.sort()
        return _timeline(stream, [time for time, _ in shown], shown[-1][1])


def _hidden_vp8(packet: Any) -> bool:
    """A VP8 frame that others refer to and nobody sees: bit 4 of its first byte is 0 (RFC 6386, 9.1)."""
    return not memoryview(packet)[0] & 0x10


def _decoded(file: VideoFile) -> tuple[Timeline, bool]:
    """Times of all frames, and whether the file itself has none that can be used."""
    with file.open() as container:
        stream = file.picture(container)
        frames = [(frame.pts, frame.duration or 0) for frame in file.decoded(container, stream)]
        times = ascending(time for time, _ in frames)
        if times:
            return _timeline(stream, times, frames[-1][1]), False
    with file.open() as container:
        stream = file.picture(container)
        count = sum(1 for _ in file.decoded(container, stream))
        rate = Fraction(stream.guessed_rate or stream.average_rate or 1)
        return Timeline(range(count), count, 1 / rate, rate), True


def _timeline(stream: Any, times: list[int], last: int) -> Timeline:
    """A timeline whose last frame lasts ``last`` units; 0 for as long as the others on average."""
    stated = Fraction(stream.average_rate or 0)
    if last <= 0 and len(times) > 1:
        last = round((times[-1] - times[0]) / (len(times) - 1))
    elif last <= 0:
        last = round(1 / (stated * stream.time_base)) if stated else 0
    return Timeline(times, times[-1] + last, Fraction(stream.time_base), stated)
