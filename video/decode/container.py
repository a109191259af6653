"""Open a video file, and decode its streams.

A file may be anything that somebody was sent. Only containers that hold their own frames are read, from nothing but
the file: playlists and session descriptions name other files and hosts. Sizes are looked at before a frame is decoded.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

import av
from av.error import FFmpegError

from ...inputs.quoting import file_name, reason_of
from ..frame_size import LARGEST_SOURCE, check_source
from .read_settings import ReadSettings
from .streams import chosen_audio, chosen_video

READABLE_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,apng,flv,mpegts,mpeg,mpegvideo,ogg,asf,nut,mxf,dv,ivf,h264,hevc,m4v,"
    "rm,wtv,yuv4mpegpipe,mp3,wav,flac,aac"  # the last four only to say that they hold no video
)
# For the container only: with options for streams too, PyAV 16 and 17 crash on FLV, whose streams are found later.
CONTAINER_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": READABLE_CONTAINERS}
DECODER_OPTIONS = {"max_pixels": str(LARGEST_SOURCE)}
STILLS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*")  # PNG, JPEG, BMP, TIFF
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # ffmpeg's own decoders leave the alpha out


def nothing() -> None:
    """Nobody may abandon the reading."""


@dataclass(frozen=True, eq=False)
class VideoFile:
    """A video file.

    Attributes:
        file: path, or the file itself in memory.
        check: called at every packet; it may raise to abandon the reading.
        settings: how it is read.
    """

    file: str | BytesIO
    check: Callable[[], object] = nothing
    settings: ReadSettings = ReadSettings()

    def open(self) -> Any:
        """PyAV's container, at the file's start.

        Raises:
            ValueError: it cannot be read, or has no moving picture that can.
        """
        if isinstance(self.file, BytesIO):
            self.file.seek(0)
        try:
            container = av.open(self.file, container_options=dict(CONTAINER_OPTIONS))
        except (FFmpegError, OSError, ValueError) as error:
            name = file_name(self.file) if isinstance(self.file, str) else "The file"
            if self._is_still():
                raise ValueError(
                    f"{name} is a still picture, not a video: use Load Image, or Load Frames for a folder of pictures."
                ) from error
            raise ValueError(f"{name} cannot be read as a video ({reason_of(error)}); load another file.") from error
        try:
            stream = chosen_video(container)
            check_source(stream.codec_context.width, stream.codec_context.height)
        except ValueError:
            container.close()
            raise
        return container

    @contextmanager
    def bytes(self) -> Generator[BinaryIO, None, None]:
        """The file itself, at its start."""
        with open(self.file, "rb") if isinstance(self.file, str) else nullcontext(self.file) as file:
            file.seek(0)
            yield file

    def _is_still(self) -> bool:
        """Whether the file begins as a still picture; of PNG those are stills that do not say that they move."""
        with suppress(OSError):
            with self.bytes() as file:
                start = file.read(4096)
            return start.startswith(STILLS) and b"acTL" not in start
        return False

    def picture(self, container: Any) -> Any:
        """The stream of moving pictures, ready to be decoded."""
        stream = chosen_video(container)
        stream.thread_type = "AUTO"
        stream.codec_context.options = dict(DECODER_OPTIONS)
        return stream

    def sound(self, container: Any) -> Any:
        """The stream of the sound that is wanted, or None for a silent file."""
        return chosen_audio(container, self.settings.audio_track)

    def packets(self, container: Any, stream: Any) -> Iterator[Any]:
        """The stream's packets up to where the file ends or cannot be read on; the empty one at the end is included."""
        with suppress(FFmpegError):
            for packet in container.demux(stream):
                self.check()
                yield packet

    def decoded(self, container: Any, stream: Any) -> Iterator[av.VideoFrame]:
        """Frames in the order they are shown, from where the container is; damaged ones are left out."""
        decoder: Any = stream.codec_context
        if stream.metadata.get("alpha_mode") == "1" and decoder.name in ALPHA_DECODERS:
            with suppress(FFmpegError, ValueError):  # a build of ffmpeg without libvpx
                decoder = av.CodecContext.create(ALPHA_DECODERS[decoder.name], "r")
                decoder.options = dict(DECODER_OPTIONS)
        for packet in self.packets(container, stream):
            frames: list[Any] = []
            with suppress(FFmpegError):
                frames = decoder.decode(packet)
            yield from frames
