"""Animated WebP: its times from the file's chunks, its frames from Pillow one at a time.

PyAV reads animated WebP from FFmpeg 9 on only.

Shapes: H, W = size in pixels, C = channels (3 RGB, 4 RGB and alpha).
Source: WebP Container Specification (Google), "Extended File Format".
"""

import struct
from collections.abc import Generator, Iterable, Iterator
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ...inputs.quoting import reason_of
from ..frame_size import PixelArray, check_source, fitted
from .animations import SLOW, unhurried
from .frame_times import Timeline

MILLISECONDS = 1000


def is_webp(path: str) -> bool:
    """Whether a file is WebP, by its content."""
    with open(path, "rb") as file:
        start = file.read(12)
    return start[:4] == b"RIFF" and start[8:] == b"WEBP"


class WebpReader:
    """A WebP file, still or animated; see ``reader.VideoReader``. It has no sound and 8 bits a channel."""

    def __init__(self, path: str):
        """List the file's frames; none is decoded.

        Raises:
            ValueError: it is damaged, or too large.
        """
        self.path, self.high_bit_depth = path, False
        self.timeline = Timeline(*_times(path), Fraction(1, MILLISECONDS))
        with self._open() as image:
            check_source(*image.size)
            self.size = image.size
            self.alpha = "A" in image.getbands()

    def frames(
        self, numbers: Iterable[int], size: tuple[int, int], fit: str, untagged: str = "auto"
    ) -> Generator[PixelArray, None, None]:
        """Frames by ascending numbers as (H, W, C); one that is damaged is the one before."""
        del untagged  # the format defines its colours
        at, picture = -1, None
        with self._open() as image:
            for number in numbers:
                if number != at:
                    try:
                        image.seek(number)
                        picture = fitted(np.asarray(image.convert("RGBA" if self.alpha else "RGB")), size, fit)
                    except (OSError, EOFError, ValueError, SyntaxError) as error:
                        if picture is None:
                            raise ValueError(
                                f"No frame of the WebP can be decoded ({reason_of(error)}); load another file."
                            ) from error
                    at = number
                assert picture is not None
                yield picture

    def audio_bytes(self, seconds: Fraction) -> int:
        """No sound, no memory."""
        del seconds
        return 0

    def audio(self, start: Fraction, seconds: Fraction) -> tuple[NDArray[np.float32], int] | None:
        """None: WebP is silent."""
        del start, seconds

    def _open(self) -> Any:
        try:
            return Image.open(self.path, formats=["WEBP"])
        except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
            raise ValueError(f"The file cannot be read as WebP ({reason_of(error)}); load another file.") from error


def _times(path: str) -> tuple[list[int], int]:
    """Start of each frame and end of the last, milliseconds. A still picture is one frame."""
    times: list[int] = []
    now = 0
    with open(path, "rb") as file:
        file.seek(12)
        for name, size in _chunks(file):
            if name == b"VP8X":
                canvas = file.read(10).ljust(10, b"\0")
                check_source(_three(canvas[4:7]) + 1, _three(canvas[7:10]) + 1)
            elif name == b"ANMF" and size > 16:
                header = file.read(16)
                if len(header) == 16:
                    times.append(now)
                    now += int(unhurried(Fraction(_three(header[12:15]), MILLISECONDS)) * MILLISECONDS)
    return (times, now) if times else ([0], int(SLOW * MILLISECONDS))


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Name and size of each chunk; the file stands at its content. Ends where the file does."""
    while len(header := file.read(8)) == 8:
        size = struct.unpack("<I", header[4:])[0]
        content = file.tell()
        yield header[:4], size
        file.seek(content + size + size % 2)


def _three(data: bytes) -> int:
    return int.from_bytes(data, "little")
