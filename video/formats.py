"""The formats we write, one row each. A new format is a new row."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

BT709 = "color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"
TO_YUV420 = f"scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int,format=yuv420p,setparams={BT709}"
BT709_TAGS = ("-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709", "-color_range", "tv")


@dataclass(frozen=True)
class Quality:
    """What the quality number means to one format. ``default`` is used for -1."""

    default: int
    low: int
    high: int
    meaning: str


@dataclass(frozen=True)
class VideoFormat:
    """How one kind of file is written and what it can hold.

    Attributes:
        name: what the user picks.
        extension: of the file, without the dot.
        mime: media type.
        muxer: ffmpeg's name of the container; the file has a temporary extension while it is written.
        codec: short name for reports.
        filters: ffmpeg filters from RGB to what the encoder receives.
        pixel_format: of what the encoder receives.
        encoder: arguments of the video encoder for a quality.
        container: arguments of the muxer for a loop count.
        quality: range and meaning of the quality number.
        workflow: where the workflow goes: "tags" of the container, an "exif" chunk, or None.
        audio_encoder: ffmpeg's encoder for the sound, or None when the container has no sound.
        plays_as: what a browser plays it as; "image" is a plain picture element.
        even_size: 4:2:0 chroma needs even sizes; odd ones are padded by one repeated pixel.
        two_passes: a palette of the whole clip is made before encoding.
        max_frame_rate: above it browsers play the file at another speed; None for no limit.
    """

    name: str
    extension: str
    mime: str
    muxer: str
    codec: str
    filters: str
    pixel_format: str
    encoder: Callable[[int], tuple[str, ...]]
    container: Callable[[int], tuple[str, ...]]
    quality: Quality
    workflow: Literal["tags", "exif"] | None
    audio_encoder: str | None
    plays_as: Literal["video", "animated image", "image"]
    even_size: bool = False
    two_passes: bool = False
    max_frame_rate: int | None = None

    def quality_or_default(self, quality: int) -> int:
        """Return the quality to use, -1 meaning the default.

        Raises:
            ValueError: outside the format's range.
        """
        if quality == -1:
            return self.quality.default
        if not self.quality.low <= quality <= self.quality.high:
            raise ValueError(
                f"Quality {quality} does not exist for {self.name}: give -1 or {self.quality.low} to "
                f"{self.quality.high} ({self.quality.meaning})."
            )
        return quality

    def require_rate(self, frame_rate: Fraction) -> None:
        """Refuse a frame rate that players would not keep.

        Raises:
            ValueError: above the format's limit.
        """
        if self.max_frame_rate is not None and frame_rate > self.max_frame_rate:
            raise ValueError(
                f"{self.name} plays at most {self.max_frame_rate} frames a second and {float(frame_rate):g} were asked "
                "for: lower frame_rate or choose h264-mp4."
            )


FORMATS: dict[str, VideoFormat] = {
    row.name: row
    for row in (
        VideoFormat(
            name="h264-mp4",
            extension="mp4",
            mime="video/mp4",
            muxer="mp4",
            codec="h264",
            filters=TO_YUV420,
            pixel_format="yuv420p",
            encoder=lambda crf: ("-c:v", "libx264", "-preset", "medium", "-crf", str(crf), *BT709_TAGS),
            container=lambda _loops: ("-movflags", "use_metadata_tags+faststart"),
            # crf 0 would switch to a lossless profile that no browser plays.
            quality=Quality(default=18, low=1, high=51, meaning="crf, 1 is best and 51 smallest"),
            workflow="tags",
            audio_encoder="aac",
            plays_as="video",
            even_size=True,
        ),
        VideoFormat(
            name="gif",
            extension="gif",
            mime="image/gif",
            muxer="gif",
            codec="gif",
            filters="paletteuse=dither=sierra2_4a:diff_mode=rectangle",
            pixel_format="pal8",
            encoder=lambda _colors: ("-c:v", "gif"),
            container=lambda loops: ("-loop", str(loops)),
            quality=Quality(default=256, low=4, high=256, meaning="number of colours"),
            workflow=None,
            audio_encoder=None,
            plays_as="image",
            two_passes=True,
            max_frame_rate=50,
        ),
        VideoFormat(
            name="webp",
            extension="webp",
            mime="image/webp",
            muxer="webp",
            codec="webp",
            filters="null",
            pixel_format="bgra",
            # Not libwebp_anim: it merges equal frames, so that the file has fewer than the clip.
            encoder=lambda quality: ("-c:v", "libwebp", "-quality", str(quality)),
            container=lambda loops: ("-loop", str(loops)),
            quality=Quality(default=90, low=0, high=100, meaning="100 is best"),
            workflow="exif",
            audio_encoder=None,
            plays_as="animated image",
            max_frame_rate=90,
        ),
    )
}


def find_format(name: str) -> VideoFormat:
    """Return the row of a name.

    Raises:
        ValueError: unknown name.
    """
    if name not in FORMATS:
        raise ValueError(f"There is no video format {name!r}: choose {', '.join(FORMATS)}.")
    return FORMATS[name]
