"""The formats we write, one row each. A new format is a new row."""

from dataclasses import replace

from .video_format import Encoder, PixelFormat, Quality, VideoFormat

AAC = ("-c:a", "aac", "-b:a", "192k")
OPUS = ("-c:a", "libopus", "-b:a", "160k")
X264_CRF = "crf, 1 is best and 51 smallest"
SMALLEST_SIZES = {"libx264": 1, "libx265": 34}  # pixels; libx265 writes over its memory at 34x32 and crashes
NO_CHOICE = Quality(default=0, low=0, high=0, meaning="it is lossless, there is nothing to choose")
RGB = (
    PixelFormat("rgb24"),
    PixelFormat("rgba", alpha=True),
    PixelFormat("rgb48be", bits=16),
    PixelFormat("rgba64be", 16, alpha=True),
)


def mp4_arguments(_loops: int) -> tuple[str, ...]:
    return ("-movflags", "use_metadata_tags+faststart")


def matroska_arguments(_loops: int) -> tuple[str, ...]:
    return ("-cues_to_front", "1")


def _prores_options(profile: int, pixels: PixelFormat) -> tuple[str, ...]:
    """Transparency needs a 4444 profile, and only these store all colour."""
    return "-profile:v", str(max(profile, 4) if pixels.alpha else profile), "-vendor", "apl0"


def _vp9_options(crf: int, pixels: PixelFormat) -> tuple[str, ...]:
    # With transparency, hidden reference frames would get the two streams out of step.
    hidden = ("-auto-alt-ref", "0") if pixels.alpha else ()
    return "-crf", str(crf), "-b:v", "0", "-row-mt", "1", "-deadline", "good", "-cpu-used", "3", *hidden


def _mp4(name: str, codec: str, encoders: tuple[Encoder, ...], quality: Quality, *pixels: PixelFormat) -> VideoFormat:
    """A video in an mp4 file; browsers play H.264 and AV1 everywhere, H.265 only on some machines."""
    return VideoFormat(
        name=name,
        extension="mp4",
        mime="video/mp4",
        muxer="mp4",
        codec=codec,
        encoders=encoders,
        pixels=pixels,
        container=mp4_arguments,
        quality=quality,
        workflow="tags",
        audio=AAC,
        plays_as=None if codec == "h265" else "video",
        smallest=SMALLEST_SIZES.get(encoders[0].name, 16),
    )


def _showings(loops: int) -> int:
    """WebP and APNG count how often a clip is shown, GIF how often it is repeated; 0 is for ever in all three."""
    return min(loops + 1, 65535) if loops else 0


def _nvenc(name: str) -> Encoder:
    return Encoder(name, lambda cq, _pixels: ("-preset", "p5", "-rc", "vbr", "-cq", str(cq), "-b:v", "0", *_tag(name)))


def _tag(name: str) -> tuple[str, ...]:
    """Apple's players want H.265 under this name."""
    return ("-tag:v", "hvc1") if name in ("libx265", "hevc_nvenc") else ()


CQ = "constant quality, 1 is best and 51 smallest"
ROWS = (
    _mp4(
        "h264-mp4",
        "h264",
        (Encoder("libx264", lambda crf, _pixels: ("-preset", "medium", "-crf", str(crf))),),
        # crf 0 would switch to a lossless profile that no browser plays.
        Quality(default=18, low=1, high=51, meaning=X264_CRF),
        PixelFormat("yuv420p"),
        PixelFormat("yuv420p10le", bits=10, plays=False),
    ),
    _mp4(
        "h265-mp4",
        "h265",
        (
            Encoder(
                "libx265",
                lambda crf, _pixels: (
                    "-preset",
                    "medium",
                    "-crf",
                    str(crf),
                    "-x265-params",
                    "log-level=error",
                    *_tag("libx265"),
                ),
            ),
        ),
        Quality(default=21, low=1, high=51, meaning=X264_CRF),
        PixelFormat("yuv420p"),
        PixelFormat("yuv420p10le", bits=10),
    ),
    _mp4(
        "av1-mp4",
        "av1",
        (
            Encoder("libsvtav1", lambda crf, _pixels: ("-preset", "6", "-crf", str(crf))),
            Encoder(
                "libaom-av1", lambda crf, _pixels: ("-cpu-used", "6", "-row-mt", "1", "-crf", str(crf), "-b:v", "0")
            ),
        ),
        Quality(default=26, low=1, high=63, meaning="crf, 1 is best and 63 smallest"),
        PixelFormat("yuv420p"),
        PixelFormat("yuv420p10le", bits=10),
    ),
    VideoFormat(
        name="vp9-webm",
        extension="webm",
        mime="video/webm",
        muxer="webm",
        codec="vp9",
        encoders=(Encoder("libvpx-vp9", _vp9_options),),
        pixels=(PixelFormat("yuv420p"), PixelFormat("yuva420p", alpha=True), PixelFormat("yuv420p10le", bits=10)),
        container=matroska_arguments,
        quality=Quality(default=24, low=1, high=63, meaning="crf, 1 is best and 63 smallest"),
        workflow="tags",
        audio=OPUS,
        plays_as="video",
    ),
    VideoFormat(
        name="prores-mov",
        extension="mov",
        mime="video/quicktime",
        muxer="mov",
        codec="prores",
        encoders=(Encoder("prores_ks", _prores_options),),
        pixels=(PixelFormat("yuv422p10le", bits=10), PixelFormat("yuva444p10le", bits=10, alpha=True)),
        container=mp4_arguments,
        quality=Quality(
            default=3,
            low=0,
            high=5,
            meaning="profile: 0 proxy, 1 LT, 2 standard, 3 HQ, 4 4444, 5 4444 XQ; transparency takes 4 or 5",
        ),
        workflow="tags",
        audio=("-c:a", "pcm_s16le"),
        plays_as=None,
    ),
    VideoFormat(
        name="ffv1-mkv",
        extension="mkv",
        mime="video/x-matroska",
        muxer="matroska",
        codec="ffv1",
        encoders=(Encoder("ffv1", lambda _none, _pixels: ("-level", "3", "-g", "1", "-slicecrc", "1")),),
        pixels=(
            PixelFormat("bgr0"),
            PixelFormat("bgra", alpha=True),
            PixelFormat("gbrp10le", bits=10),
            PixelFormat("gbrap10le", bits=10, alpha=True),
        ),
        container=matroska_arguments,
        quality=NO_CHOICE,
        workflow="tags",
        audio=("-c:a", "flac"),
        plays_as=None,
        smallest=2,
    ),
    VideoFormat(
        name="gif",
        extension="gif",
        mime="image/gif",
        muxer="gif",
        codec="gif",
        encoders=(Encoder("gif", lambda _colors, _pixels: ()),),
        pixels=(PixelFormat("pal8"), PixelFormat("pal8", alpha=True)),
        container=lambda loops: ("-loop", str(loops)),
        quality=Quality(default=256, low=4, high=256, meaning="number of colours"),
        workflow="comment",
        audio=None,
        # The frontend takes an animated .gif for a video that it then cannot play.
        plays_as=None,
        loops_in_file=True,
        two_passes=True,
        max_frame_rate=50,
        smallest=2,
    ),
    VideoFormat(
        name="webp",
        extension="webp",
        mime="image/webp",
        muxer="webp",
        codec="webp",
        # Not libwebp_anim: it merges equal frames, so that the file has fewer than the clip.
        encoders=(
            Encoder("libwebp", lambda quality, _: ("-lossless", "1") if quality == 100 else ("-quality", str(quality))),
        ),
        pixels=(PixelFormat("bgra"), PixelFormat("bgra", alpha=True)),
        container=lambda loops: ("-loop", str(_showings(loops))),
        quality=Quality(default=90, low=0, high=100, meaning="100 is lossless"),
        workflow="exif",
        audio=None,
        plays_as="animated image",
        loops_in_file=True,
        max_frame_rate=90,
    ),
    VideoFormat(
        name="apng",
        extension="png",  # the name under which editors and the frontend show it moving
        mime="image/apng",
        muxer="apng",
        codec="apng",
        encoders=(Encoder("apng", lambda _none, _pixels: ("-pred", "mixed")),),
        pixels=RGB[:3],  # ffmpeg blends equal frames of 16 bits with transparency in a way that it cannot read again
        container=lambda loops: ("-plays", str(_showings(loops))),
        quality=NO_CHOICE,
        workflow="text",
        audio=None,
        plays_as="animated image",
        loops_in_file=True,
        max_frame_rate=90,
    ),
    VideoFormat(
        name="png-frames",
        extension="png",
        mime="image/png",
        muxer="image2",
        codec="png",
        encoders=(Encoder("png", lambda _none, _pixels: ("-pred", "mixed")),),
        pixels=RGB,
        container=lambda _loops: ("-start_number", "1"),
        quality=NO_CHOICE,
        workflow="text",
        audio=None,
        plays_as=None,
        is_folder=True,
    ),
    _mp4(
        "nvenc-h264",
        "h264",
        (_nvenc("h264_nvenc"),),
        Quality(default=19, low=1, high=51, meaning=CQ),
        PixelFormat("yuv420p"),
    ),
    _mp4(
        "nvenc-h265",
        "h265",
        (_nvenc("hevc_nvenc"),),
        Quality(default=21, low=1, high=51, meaning=CQ),
        PixelFormat("yuv420p"),
        PixelFormat("p010le", bits=10),
    ),
    _mp4(
        "nvenc-av1",
        "av1",
        (_nvenc("av1_nvenc"),),
        Quality(default=28, low=1, high=63, meaning="constant quality, 1 is best and 63 smallest"),
        PixelFormat("yuv420p"),
        PixelFormat("p010le", bits=10),
    ),
)
FORMATS: dict[str, VideoFormat] = {row.name: row for row in ROWS}
# What a loading node shows: quick rather than small.
PREVIEW = replace(
    FORMATS["h264-mp4"],
    encoders=(Encoder("libx264", lambda crf, _pixels: ("-preset", "veryfast", "-crf", str(crf))),),
)
