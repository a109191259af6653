"""From RGB frames to what an encoder stores: matrix, range and tags said explicitly, never left to a default.

Shapes: F = frames, H = height, W = width, P = planes (Y, Cb, Cr and perhaps alpha).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..formats.video_format import PixelFormat
from ..frame_size import SCALER_FLAGS

BT709 = "color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"
TAGS = ("-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709", "-color_range", "tv")

# ITU-R BT.709-6, item 3.2: luma weights of red, green and blue.
RED, GREEN, BLUE = 0.2126, 0.7152, 0.0722
# Rows Y, Cb, Cr, each in units of its whole range.
MATRIX = np.array(
    [
        [RED, GREEN, BLUE],
        [-RED / (2 - 2 * BLUE), -GREEN / (2 - 2 * BLUE), 0.5],
        [0.5, -GREEN / (2 - 2 * RED), -BLUE / (2 - 2 * RED)],
    ]
)
# Item 3.4, limited range: Y is 16 to 235 and Cb, Cr 16 to 240 of 8 bits, here in 16.
SPANS = np.array([219.0, 224.0, 224.0]) * 256 / 65535
OFFSETS = np.array([16.0, 128.0, 128.0]) * 256


def raw_format(pixels: PixelFormat) -> str:
    """Name that ffmpeg has for the frames in its pipe."""
    if pixels.bits == 8:
        return "rgba" if pixels.alpha else "rgb24"
    if pixels.is_rgb:
        return "rgba64le" if pixels.alpha else "rgb48le"
    return "yuva444p16le" if pixels.alpha else "yuv444p16le"


def raw_frames(frames: NDArray[Any], pixels: PixelFormat) -> NDArray[Any]:
    """Frames as ``raw_format`` says.

    Args:
        frames: (F, H, W, 3 or 4) uint8, or uint16 for more than 8 bits.
        pixels: how they will be stored.

    Returns:
        The same frames; or planes (F, P, H, W) in limited range where colours of more than 8 bits need a matrix, because
        ffmpeg's scaler makes such frames darker or brighter by up to one step of 255.
    """
    if pixels.bits == 8 or pixels.is_rgb:
        return frames
    planes = np.empty((len(frames), frames.shape[-1], *frames.shape[1:3]), np.uint16)
    rows = (MATRIX * SPANS[:, None]).astype(np.float32)
    for number, (row, offset) in enumerate(zip(rows, OFFSETS, strict=True)):
        planes[:, number] = frames[..., :3].astype(np.float32) @ row + np.float32(offset + 0.5)
    planes[:, 3:] = np.moveaxis(frames[..., 3:], -1, 1)
    return planes


def chroma_location(pixels: PixelFormat) -> str:
    """Where the colour of a pair of pixels lies: at the left one, as film codecs have it when they say nothing.

    The scaler's own default is half a pixel to the right. Only directions in which pixels share their colour are named:
    scalers before ffmpeg 7.1 would move the colour of the others.

    Source: ITU-T H.264, annex E, chroma_sample_loc_type 0.
    """
    wide, high = pixels.subsampling
    return ":out_h_chr_pos=0" * (wide == 2) + ":out_v_chr_pos=128" * (high == 2)


def conversion(pixels: PixelFormat) -> str:
    """The ffmpeg filters from ``raw_format`` to a pixel format: BT.709, limited range, where a matrix is needed."""
    if pixels.is_rgb:
        return f"format={pixels.name}"
    tagged = f"setparams={BT709}"
    if pixels.bits > 8:
        return f"{tagged},scale=in_range=tv:out_range=tv{chroma_location(pixels)}:{SCALER_FLAGS},format={pixels.name},{tagged}"
    return f"scale=out_color_matrix=bt709:out_range=tv{chroma_location(pixels)}:{SCALER_FLAGS},format={pixels.name},{tagged}"


def proxy_filters(pixels: PixelFormat, width: int, height: int) -> str:
    """The filters from ``raw_format`` to an 8-bit video of another size."""
    plain = PixelFormat("yuv420p")
    if pixels.bits > 8 and not pixels.is_rgb:
        size = f"{width}:{height}:in_range=tv:out_range=tv{chroma_location(plain)}"
        return f"setparams={BT709},scale={size}:{SCALER_FLAGS},format={plain.name},setparams={BT709}"
    return f"scale={width}:{height}:{SCALER_FLAGS},format=rgb24,{conversion(plain)}"


def tags(pixels: PixelFormat) -> tuple[str, ...]:
    """What the container says about the colours; RGB needs no words."""
    return () if pixels.is_rgb else TAGS
