"""What a format is: container, encoders, pixels and what the file can hold. The rows are in ``format_table.py``."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from ...inputs.quoting import plain


@dataclass(frozen=True)
class Quality:
    """What the quality number means to one format. ``default`` is used for -1."""

    default: int
    low: int
    high: int
    meaning: str


@dataclass(frozen=True)
class PixelFormat:
    """One way of storing pixels.

    Attributes:
        name: ffmpeg's pixel format, which the encoder receives.
        bits: of each colour.
        alpha: whether transparency is stored.
        plays: whether browsers show it.
    """

    name: str
    bits: int = 8
    alpha: bool = False
    plays: bool = True

    @property
    def is_rgb(self) -> bool:
        """Whether the colours are stored as they are, without a matrix."""
        return not self.name.startswith(("yuv", "nv", "p0"))

    @property
    def subsampling(self) -> tuple[int, int]:
        """(width, height) must be multiples of these, because pixels share their colour."""
        if "420" in self.name or self.name in ("nv12", "p010le"):
            return 2, 2
        return (2, 1) if "422" in self.name else (1, 1)

    def padded_size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) in the file: odd sizes grow by one pixel where colour is stored for pairs of pixels."""
        wide, high = self.subsampling
        return width + -width % wide, height + -height % high


@dataclass(frozen=True)
class Encoder:
    """An encoder of ffmpeg.

    Attributes:
        name: ffmpeg's.
        options: its arguments for a quality number and the pixels.
    """

    name: str
    options: Callable[[int, PixelFormat], tuple[str, ...]]


@dataclass(frozen=True)
class VideoFormat:
    """How one kind of file is written and what it can hold.

    Attributes:
        name: what the user picks.
        extension: of the file, without the dot.
        mime: media type.
        muxer: ffmpeg's name of the container; the file has a temporary extension while it is written.
        codec: short name for reports.
        encoders: the best first; ``keep_writable`` keeps the first that this ffmpeg opens.
        pixels: what can be stored; the first is the plain case.
        container: arguments of the muxer for a loop count.
        quality: range and meaning of the quality number.
        workflow: where the workflow goes: "tags" of the container, an "exif" chunk of WebP, "text" chunks of PNG,
            "comment" blocks of GIF.
        audio: arguments of the sound's encoder, or None when the container has no sound.
        plays_as: what a browser plays it as, or None when it plays none of it.
        loops_in_file: the container says how often it is played; else loops are written out.
        two_passes: a palette of the whole clip is made before encoding.
        is_folder: one file a frame, in a folder.
        max_frame_rate: above it browsers play the file at another speed; None for no limit.
        smallest: width and height that the encoder takes, pixels.
    """

    name: str
    extension: str
    mime: str
    muxer: str
    codec: str
    encoders: tuple[Encoder, ...]
    pixels: tuple[PixelFormat, ...]
    container: Callable[[int], tuple[str, ...]]
    quality: Quality
    workflow: Literal["tags", "exif", "text", "comment"]
    audio: tuple[str, ...] | None
    plays_as: Literal["video", "animated image"] | None
    loops_in_file: bool = False
    two_passes: bool = False
    is_folder: bool = False
    max_frame_rate: int | None = None
    smallest: int = 1

    def quality_or_default(self, quality: int) -> int:
        """Return the quality to use, -1 meaning the default.

        Raises:
            ValueError: outside the format's range.
        """
        if quality == -1:
            return self.quality.default
        if not self.quality.low <= quality <= self.quality.high and self.quality.high == 0:
            raise ValueError(
                f"Quality {quality} does not exist for {plain(self.name)}: give -1 ({plain(self.quality.meaning, 600)})."
            )
        if not self.quality.low <= quality <= self.quality.high:
            raise ValueError(
                f"Quality {quality} does not exist for {plain(self.name)}: give -1 or {self.quality.low} to "
                f"{self.quality.high} ({plain(self.quality.meaning, 600)})."
            )
        return quality

    def require_rate(self, frame_rate: Fraction) -> None:
        """Refuse a frame rate that players would not keep.

        Raises:
            ValueError: above the format's limit.
        """
        if self.max_frame_rate is not None and frame_rate > self.max_frame_rate:
            raise ValueError(
                f"{plain(self.name)} plays at most {self.max_frame_rate} frames a second and {float(frame_rate):g} were asked "
                "for: lower frame_rate or choose h264-mp4."
            )

    def require_size(self, width: int, height: int) -> None:
        """Refuse frames that the encoder does not take.

        Raises:
            ValueError: they are too small.
        """
        if min(width, height) < self.smallest:
            raise ValueError(
                f"{plain(self.name)} takes frames from {self.smallest}x{self.smallest} pixels on and these have "
                f"{width}x{height}: make them larger or choose h264-mp4."
            )

    def require_bits(self, bits: int) -> None:
        """Refuse more bits than the format has.

        Raises:
            ValueError: no pixels with so many.
        """
        most = max(pixels.bits for pixels in self.pixels)
        if bits > most:
            raise ValueError(
                f"{plain(self.name)} has {most} bits a colour, not {bits}: set bit_depth to 8 or choose apng or h265-mp4."
            )

    def pixels_for(self, bits: int, alpha: bool) -> PixelFormat:
        """Return how frames are stored: transparency is kept where the format has it, then at least the bits asked for.

        Args:
            bits: of each colour, wanted.
            alpha: whether the frames have transparency.
        """

        def distance(pixels: PixelFormat) -> tuple[bool, bool, int]:
            return pixels.alpha != alpha, pixels.bits < bits, abs(pixels.bits - bits)

        return min(self.pixels, key=distance)
