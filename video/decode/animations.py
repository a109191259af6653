"""How long the frames of GIF and APNG are shown, from the files themselves, and one rule for hasty ones.

Browsers show a frame of at most 10 ms for 100 ms, since old programs wrote 0 or 1 for "as fast as you can". Versions of
ffmpeg differ here.

Source: GIF89a Specification, 23 (Graphic Control Extension); PNG Specification 3, 11.3.6.2 (fcTL); the 10 ms are what Chromium and Firefox do.
"""

import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO

from .frame_times import Timeline

HASTY, SLOW = Fraction(1, 100), Fraction(1, 10)  # seconds
UNIT = Fraction(1, 100_000)  # seconds; a unit that takes hundredths and milliseconds as they are
PNG_START = 8  # bytes before the first chunk
EXTENSION, IMAGE, GRAPHIC_CONTROL = b"\x21", b"\x2c", b"\xf9"


def unhurried(delay: Fraction) -> Fraction:
    """Seconds that a frame is really shown, of those that its file says."""
    return delay if delay > HASTY else SLOW


def animation_times(file: BinaryIO) -> Timeline | None:
    """Times of a GIF or APNG that has hasty frames, one for each frame of the file; None for all other files.

    Args:
        file: at any place; it is left at another.
    """
    file.seek(0)
    start = file.read(PNG_START)
    read = _gif_delays if start[:3] == b"GIF" else _apng_delays if start == b"\x89PNG\r\n\x1a\n" else None
    delays = list(read(file)) if read else []
    if all(delay > HASTY for delay in delays):
        return None
    times: list[int] = []
    now = 0.0
    for delay in delays:
        times.append(round(now / float(UNIT)))
        now += float(unhurried(delay))
    return Timeline(times, round(now / float(UNIT)), UNIT)


def _gif_delays(file: BinaryIO) -> Iterator[Fraction]:
    """Delays of the images; what stands before an image counts for it. Ends where the file does, or makes no sense."""
    file.seek(6)
    screen = file.read(7).ljust(7, b"\0")
    file.seek(_table(screen[4]), 1)
    delay = Fraction(0)
    while kind := file.read(1):
        if kind == EXTENSION:
            label, place = file.read(1), file.tell()
            block = file.read(4)
            if label == GRAPHIC_CONTROL and len(block) == 4 and block[0] == 4:
                delay = Fraction(struct.unpack("<H", block[2:])[0], 100)
            file.seek(place)
            _skip_blocks(file)
        elif kind == IMAGE:
            place = file.read(9).ljust(9, b"\0")
            file.seek(_table(place[8]) + 1, 1)  # and the size of its codes
            _skip_blocks(file)
            yield delay
            delay = Fraction(0)
        else:  # the trailer, or rubbish
            return


def _table(packed: int) -> int:
    """Bytes of the colour table that a packed field announces."""
    return 3 << (packed & 7) + 1 if packed & 0x80 else 0


def _skip_blocks(file: BinaryIO) -> None:
    while (size := file.read(1)) and size[0]:
        file.seek(size[0], 1)


def _apng_delays(file: BinaryIO) -> Iterator[Fraction]:
    """Delays of the frames; a still picture has none."""
    while len(header := file.read(8)) == 8:
        size, name = struct.unpack(">I4s", header)
        content = file.tell()
        if name == b"fcTL" and size == 26:
            data = file.read(26).ljust(26, b"\0")
            number, parts = struct.unpack(">HH", data[20:24])
            yield Fraction(number, parts or 100)
        file.seek(content + size + 4)
