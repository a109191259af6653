"""The widgets of the nodes that write a video, and what follows from them before any frame is made."""

from dataclasses import dataclass
from fractions import Fraction

from ...inputs.quoting import plain, quoted
from ...video.encode.frame_arrays import frame_order
from ...video.file_names import clean_prefix
from ...video.formats.video_format import VideoFormat
from ...video.frame_rate import exact_rate
from .formats import available_formats

BIT_DEPTHS = ("8", "10")
LENGTHS = ("frames", "cut to sound", "loop to sound")
PROXY_FORMAT = "h264-mp4"


@dataclass(frozen=True, kw_only=True)
class VideoSettings:
    """The widgets, as the user set them.

    Attributes:
        frame_rate: frames a second.
        format: name of a format.
        filename_prefix: folder and start of the file's name, its tokens filled in.
        loop_count: how often the clip comes again; in gif, webp and apng 0 is for ever.
        pingpong: forward, then backward.
        quality: the format's number, -1 for its default.
        bit_depth: bits of each colour, wanted.
        save_output: in the output folder; else in the temporary one.
        length: of the clip, one of `LENGTHS`; the second never makes it longer than the frames.
    """

    frame_rate: float | Fraction
    format: str
    filename_prefix: str
    loop_count: int = 0
    pingpong: bool = False
    quality: int = -1
    bit_depth: int = 8
    save_output: bool = True
    length: str = LENGTHS[0]

    def resolved(self) -> "SavePlan":
        """Check everything that can be known before a frame is made, and find the format; once a run.

        Raises:
            ValueError: something is wrong; one sentence.
        """
        if self.length not in LENGTHS:
            raise ValueError(f"length is {quoted(self.length)}: give {', '.join(map(quoted, LENGTHS))}.")
        available = available_formats()
        row, rate = available.find(self.format), exact_rate(self.frame_rate)
        clean_prefix(self.filename_prefix)
        quality = check_format(row, rate, self.quality, self.bit_depth)
        writes_proxies = PROXY_FORMAT in available.rows
        return SavePlan(settings=self, format=row, frame_rate=rate, quality=quality, writes_proxies=writes_proxies)


@dataclass(frozen=True, eq=False, kw_only=True)
class SavePlan:
    """Settings that are known to be possible.

    Attributes:
        settings: the widgets.
        format: row of the table with an encoder that opens here.
        frame_rate: frames a second, exact.
        quality: the format's number.
        writes_proxies: a small video for the node can be written.
    """

    settings: VideoSettings
    format: VideoFormat
    frame_rate: Fraction
    quality: int
    writes_proxies: bool

    def order(self, frames: int, sound: Fraction = Fraction(0)) -> list[int]:
        """The frame numbers as they are shown: back and forth, and again where the file cannot say so itself.

        Args:
            frames: how many there are.
            sound: its seconds, 0 without any; the clip is brought to them, to the nearest frame, where the user wants it.

        Raises:
            ValueError: the length is that of the sound, and there is none.
        """
        order, length = frame_order(frames, self.settings.pingpong), self.settings.length
        order = order if self.format.loops_in_file else order * (1 + self.settings.loop_count)
        if length == LENGTHS[0]:
            return order
        if not sound:
            raise ValueError(
                f"length is '{plain(length)}' and there is no sound: connect audio, or set length to {LENGTHS[0]}."
            )
        wanted = max(round(sound * self.frame_rate), 1)
        times = -(-wanted // len(order)) if length == LENGTHS[2] else 1
        return (order * times)[:wanted]


def check_format(row: VideoFormat, rate: Fraction | None, quality: int, bits: int) -> int:
    """Compare a format with what is asked of it; None is a rate that is not known yet.

    Returns:
        The format's quality number.

    Raises:
        ValueError: the format cannot do it.
    """
    row.require_bits(bits)
    if rate is not None:
        row.require_rate(rate)
    return row.quality_or_default(quality)


def check_widgets(
    format: str | None,
    frame_rate: float | None,
    filename_prefix: str | None,
    quality: int | None,
    bit_depth: str | None,
) -> None:
    """Find out why a clip could not be written, when the prompt is queued.

    The arguments are the widgets; None is what comes from another node.

    Raises:
        ValueError: something is wrong; one sentence.
    """
    row = None if format is None else available_formats().find(format)
    rate = None if frame_rate is None else exact_rate(frame_rate)
    if filename_prefix is not None:
        clean_prefix(filename_prefix)
    if bit_depth not in (None, *BIT_DEPTHS):
        raise ValueError(f"bit_depth {quoted(bit_depth)} does not exist: give {' or '.join(BIT_DEPTHS)}.")
    if row is not None:
        check_format(row, rate, -1 if quality is None else quality, int(bit_depth or BIT_DEPTHS[0]))
