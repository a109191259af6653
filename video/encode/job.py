"""One clip to write: everything about it, resolved once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..audio_track import AudioTrack
from ..file_names import part_path
from ..formats.video_format import PixelFormat, VideoFormat
from ..frame_rate import exact_rate

FRAME_NAME = "frame_%05d"


@dataclass(frozen=True, eq=False, kw_only=True)
class EncodeJob:
    """What is written where.

    Attributes:
        path: finished file, or folder where the format is one file a frame.
        size: (width, height) of the frames as they are given, pixels.
        frame_rate: frames a second.
        format: row of the format table; its first encoder is used.
        pixels: how frames are stored.
        quality: the format's number.
        loop_count: loop field of the container, 0 for ever, where it has one.
        metadata: keys and JSON texts to embed.
        audio: as long as the clip, or None.
        proxy: H.264 file of the same clip to write too, which a browser can play, or None.
        work_dir: existing folder for temporary files, the system's if None.
    """

    path: Path
    size: tuple[int, int]
    frame_rate: Fraction
    format: VideoFormat
    pixels: PixelFormat
    quality: int
    loop_count: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    audio: AudioTrack | None = None
    proxy: Path | None = None
    work_dir: Path | None = None

    @property
    def stored_size(self) -> tuple[int, int]:
        """(width, height) in the file: odd sizes grow by one pixel where the format needs even ones."""
        return self.pixels.padded_size(*self.size)

    @property
    def has_tags(self) -> bool:
        """Whether ffmpeg writes the metadata, as tags of the container; else it is put into the finished file."""
        return bool(self.metadata) and self.format.workflow == "tags"

    @property
    def parts(self) -> dict[Path, Path]:
        """Where each file lies while it is written, and its finished path."""
        return {part_path(path): path for path in (self.path, self.proxy) if path is not None}


def encode_job(
    path: Path,
    size: tuple[int, int],
    frame_rate: float | Fraction,
    format: VideoFormat,
    *,
    quality: int = -1,
    bits: int = 8,
    alpha: bool = False,
    audio: AudioTrack | None = None,
    **more: Any,
) -> EncodeJob:
    """Resolve what a user asked for, or raise a ValueError that says what the format cannot do.

    Args:
        path: see `EncodeJob`, here and below.
        size: see there.
        frame_rate: frames a second; 29.97 and its like mean the exact broadcast rate.
        format: see there.
        quality: the format's number, -1 for its default.
        bits: of each colour, wanted.
        alpha: whether the frames have transparency, which is kept where the format can.
        audio: left out where the format has none.
        more: other fields of `EncodeJob`.
    """
    rate = exact_rate(frame_rate)
    format.require_rate(rate)
    format.require_bits(bits)
    format.require_size(*size)
    return EncodeJob(
        path=path,
        size=size,
        frame_rate=rate,
        format=format,
        pixels=format.pixels_for(bits, alpha),
        quality=format.quality_or_default(quality),
        audio=audio if format.audio else None,
        **more,
    )
