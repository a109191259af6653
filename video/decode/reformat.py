"""Decoded frames to upright RGB in a size, by ffmpeg's own filters.

Shapes: H, W = size in pixels, C = channels (3 RGB, 4 RGB and alpha).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import av
import av.filter
import numpy as np
from av.sidedata.sidedata import Type

from ...inputs.quoting import quoted
from ..frame_size import SCALER_FLAGS, PixelArray, placed, scaled_size

COLORS = ("auto", "bt601", "bt709")
FULL_RANGE = 2  # AVColorRange
MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}  # AVColorSpace
HIGH_DEFINITION_ROWS = 720  # from here on video without a tag is taken for BT.709, as players do
# What is not asked for is taken away: the scaler refuses frames whose transfer or primaries it does not know.
PLAIN = "setparams=color_primaries=unknown:color_trc=unknown"
WHITE_OF_YUV = 255 << 8  # what ffmpeg's scaler makes 16-bit RGB of, from white in YUV; measured, FFmpeg 8 and 9
# Where the colour of a pair of pixels lies: at the left one, as the film codecs have it (ITU-T H.264, annex E,
# chroma_sample_loc_type 0). The scaler's own default is half a pixel to the right, which is right for JPEG only.
LEFT_CHROMA = "in_h_chr_pos=0:in_v_chr_pos=128"


def frame_has_alpha(frame: av.VideoFrame) -> bool:
    """Whether the frame's pixels can be transparent."""
    return frame.format.name == "pal8" or any(part.is_alpha for part in frame.format.components)


def has_high_bit_depth(frame: av.VideoFrame) -> bool:
    """Whether the frame has more than 8 bits a channel."""
    return max(part.bits for part in frame.format.components) > 8


@dataclass(frozen=True)
class Orientation:
    """How a stored picture becomes upright: swap rows and columns, then mirror."""

    swap: bool = False
    across: bool = False
    down: bool = False

    def __call__(self, picture: PixelArray) -> PixelArray:
        """(H, W, C) upright; a view."""
        turned = picture.swapaxes(0, 1) if self.swap else picture
        return turned[:: -1 if self.down else 1, :: -1 if self.across else 1]


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """What the frame's display matrix asks for.

    Source: ISO/IEC 14496-12 on the matrix a, b, u, c, d, v, ...: x' = ax + cy, y' = bx + dy, y pointing down.
    """
    data = cast("Mapping[Any, Any]", frame.side_data).get(Type.DISPLAYMATRIX)  # PyAV's stub does not say of what
    if data is None:
        return Orientation()
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
    swap = abs(b) > abs(a)
    return Orientation(swap, (c if swap else a) < 0, (b if swap else d) < 0)


def upright_size(frame: av.VideoFrame, pixel_aspect: Fraction = Fraction(1)) -> tuple[int, int]:
    """(width, height) of a frame as it is shown, with square pixels.

    Args:
        frame: decoded.
        pixel_aspect: width of a pixel over its height. The shorter way is enlarged, so that no pixel is lost.
    """
    width = round(frame.width * max(pixel_aspect, 1))
    height = round(frame.height / min(pixel_aspect, 1))
    return (height, width) if orientation_of(frame).swap else (width, height)


class Reformatter:
    """A function from a frame to upright RGB in a size; the matrix and range that a frame is tagged with are obeyed.

    ``frame.reformat`` and ``to_ndarray`` are not used on YUV: on PyAV 16 they ignore the tags.
    """

    def __init__(
        self,
        size: tuple[int, int],
        fit: str,
        alpha: bool = False,
        high_bit_depth: bool = False,
        pixel_aspect: Fraction = Fraction(1),
        untagged: str = "auto",
    ):
        """Describe what is wanted.

        Args:
            size: (width, height).
            fit: one of FITS.
            alpha: give an alpha channel too.
            high_bit_depth: give 16 bits a channel.
            pixel_aspect: width of a pixel over its height.
            untagged: matrix of frames that do not name theirs; ``auto`` is BT.709 from 720 rows on, else BT.601.

        Raises:
            ValueError: fit or matrix is unknown.
        """
        if untagged not in COLORS:
            raise ValueError(f"Unknown colours {quoted(untagged)}; choose one of {', '.join(COLORS)}.")
        scaled_size(size, size, fit)
        self.size, self.fit, self.aspect, self.untagged = size, fit, pixel_aspect, untagged
        self.channels, self.type = (4 if alpha else 3), (np.uint16 if high_bit_depth else np.uint8)
        self.format = {(3, False): "rgb24", (4, False): "rgba", (3, True): "rgb48le", (4, True): "rgba64le"}[
            self.channels, high_bit_depth
        ]
        self._kind: tuple[Any, ...] = ()
        self._graph: Any = None

    def __call__(self, frame: av.VideoFrame) -> PixelArray:
        """From a frame of any size and format to (H, W, C), 8 or 16 bits."""
        orientation, colors = orientation_of(frame), self._colors(frame)
        kind = (frame.width, frame.height, frame.format.name, orientation.swap, colors)
        if kind != self._kind:
            width, height = scaled_size(upright_size(frame, self.aspect), self.size, self.fit)[
                :: -1 if orientation.swap else 1
            ]
            scale = ":".join((f"scale={width}:{height}", SCALER_FLAGS, *colors))
            self._graph, self._kind = _graph(frame, (PLAIN, scale, f"format={self.format}")), kind
        self._graph.push(frame)
        pixels = self._pixels(self._graph.pull())
        if pixels.dtype == np.uint16 and colors:
            _widen(pixels[..., :3])
        return placed(orientation(pixels), self.size)

    def _colors(self, frame: av.VideoFrame) -> tuple[str, ...]:
        """Matrix and range of YUV as options of the scaler; a matrix that it does not know counts as untagged."""
        name, matrix = frame.format.name, int(frame.colorspace)
        if not name.startswith(("yuv", "nv", "p0", "p2", "p4", "uyvy", "yuyv", "y2")):
            return ()
        full = int(frame.color_range) == FULL_RANGE or name.startswith("yuvj")
        guessed = "bt709" if frame.height >= HIGH_DEFINITION_ROWS else "bt601"
        chosen = guessed if self.untagged == "auto" else self.untagged
        place = () if name.startswith("yuvj") else (LEFT_CHROMA,)
        return f"in_color_matrix={MATRICES.get(matrix, chosen)}", f"in_range={'pc' if full else 'tv'}", *place

    def _pixels(self, frame: av.VideoFrame) -> PixelArray:
        """A copy of a packed frame; not every PyAV knows each of the formats as an array."""
        plane: Any = frame.planes[0]
        rows = np.frombuffer(plane, np.uint8).reshape(frame.height, plane.line_size)
        used = rows[:, : frame.width * self.channels * np.dtype(self.type).itemsize].copy()
        return used.view(self.type).reshape(frame.height, frame.width, self.channels)


def _widen(colors: PixelArray) -> None:
    """Bring 16-bit colours that end at ``WHITE_OF_YUV`` to 65535, in place; brighter than white is white."""
    np.minimum(colors, WHITE_OF_YUV, out=colors)
    colors += colors >> 8


def _graph(frame: av.VideoFrame, steps: tuple[str, ...]) -> av.filter.Graph:
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format.name, time_base=frame.time_base or Fraction(1, 1000)
    )
    nodes = [source]
    for step in steps:
        name, _, arguments = step.partition("=")
        nodes.append(graph.add(name, arguments))
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    return graph
