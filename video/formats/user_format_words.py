"""What a format file of the user may say. All else is refused, so that no such file makes ffmpeg read or write another."""

from collections.abc import Callable
from dataclasses import dataclass

from .table import AAC, OPUS, matroska_arguments, mp4_arguments
from .video_format import PixelFormat

AUDIO_CODECS: dict[str, tuple[str, ...]] = {
    "aac": AAC,
    "libopus": OPUS,
    "libmp3lame": ("-c:a", "libmp3lame", "-b:a", "192k", "-ac", "2"),  # it knows no more channels
    "libvorbis": ("-c:a", "libvorbis", "-b:a", "160k"),
    "flac": ("-c:a", "flac"),
    "pcm_s16le": ("-c:a", "pcm_s16le"),
    "pcm_s24le": ("-c:a", "pcm_s24le"),
}


@dataclass(frozen=True, eq=False)
class Container:
    """A muxer.

    Attributes:
        mimes: media type for each extension its files may have.
        audio: encoders of the sound that it can hold.
        arguments: of the muxer for a loop count.
    """

    mimes: dict[str, str]
    audio: tuple[str, ...]
    arguments: Callable[[int], tuple[str, ...]]


CONTAINERS: dict[str, Container] = {
    "mp4": Container(
        {"mp4": "video/mp4", "m4v": "video/x-m4v"}, ("aac", "libopus", "libmp3lame", "flac"), mp4_arguments
    ),
    "mov": Container({"mov": "video/quicktime"}, ("aac", "libmp3lame", "pcm_s16le", "pcm_s24le"), mp4_arguments),
    "matroska": Container({"mkv": "video/x-matroska"}, tuple(AUDIO_CODECS), matroska_arguments),
    "webm": Container({"webm": "video/webm"}, ("libopus", "libvorbis"), matroska_arguments),
    "avi": Container({"avi": "video/x-msvideo"}, ("aac", "libmp3lame", "pcm_s16le", "pcm_s24le"), lambda _loops: ()),
}

# Names of ffmpeg by bits of a colour, only those for which `PixelFormat` finds the right matrix and sizes.
OPAQUE = {
    8: "yuv420p yuv422p yuv444p nv12 gbrp rgb24 bgr24 rgb0 bgr0",
    10: "yuv420p10le yuv422p10le yuv444p10le p010le gbrp10le",
    12: "yuv420p12le yuv422p12le yuv444p12le gbrp12le",
    16: "yuv420p16le yuv422p16le yuv444p16le gbrp16le rgb48le rgb48be",
}
TRANSPARENT = {
    8: "yuva420p yuva422p yuva444p gbrap rgba bgra argb",
    10: "yuva420p10le yuva422p10le yuva444p10le gbrap10le",
    12: "yuva422p12le yuva444p12le gbrap12le",
    16: "yuva420p16le yuva422p16le yuva444p16le gbrap16le rgba64le rgba64be",
}
STORED_PIXELS: dict[str, PixelFormat] = {
    name: PixelFormat(name, bits, alpha)
    for alpha, table in ((False, OPAQUE), (True, TRANSPARENT))
    for bits, names in table.items()
    for name in names.split()
}

# Options of encoders that neither name a file nor hold options of their own.
OPTION_NAMES = (
    "preset tune profile level tier usage g bf refs keyint_min sc_threshold forced-idr b_ref_mode weightp "
    "b maxrate minrate bufsize crf cq qp q qmin qmax rc multipass rc-lookahead lag-in-frames "
    "aq-mode aq-strength spatial-aq temporal-aq trellis psy-rd "
    "lossless quality compression_level pred coder context slices slicecrc "
    "vendor bits_per_mb mbs_per_slice alpha_bits quant_mat "
    "deadline cpu-used row-mt tiles tile-columns tile-rows auto-alt-ref arnr-maxframes arnr-strength enable-cdef "
    "threads tag strict"
)
OPTIONS = frozenset(OPTION_NAMES.split())
