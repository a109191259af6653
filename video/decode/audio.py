"""Read the sound of a video from a time on.

Shapes: C = channels, T = samples over time.
"""

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from .container import VideoFile

EARLIER = Fraction(1, 4)  # seconds decoded before the start; codecs need some blocks until they are right
# Seconds; smaller differences between stated and counted times are rounding of the container.
SMALLEST_GAP = Fraction(1, 20)


def audio_bytes(file: VideoFile, seconds: Fraction) -> int:
    """Bytes that ``read_audio`` will give, 0 without sound."""
    with file.open() as container:
        stream = file.sound(container)
        if stream is None:
            return 0
        return 4 * stream.codec_context.channels * round(seconds * stream.codec_context.sample_rate)


def read_audio(file: VideoFile, start: Fraction, seconds: Fraction) -> tuple[NDArray[np.float32], int] | None:
    """Samples and how many a second, exactly as long as asked for; None for a silent file.

    Args:
        file: the video.
        start: seconds in the container's time.
        seconds: how much; silence where the file has less.

    Returns:
        ((C, T) floats, samples a second).
    """
    with file.open() as container:
        stream = file.sound(container)
        if stream is None:
            return None
        if start > EARLIER:  # else from the very first block, which lies before time 0 where a codec has a delay
            with suppress(FFmpegError):
                container.seek(int((start - EARLIER) / stream.time_base), stream=stream)
        rate, channels = stream.codec_context.sample_rate, stream.codec_context.channels
        samples = np.zeros((channels, round(seconds * rate)), np.float32)
        place, first = 0, True
        for block in _blocks(file.packets(container, stream), stream, rate):
            stated = place if block.pts is None else round((block.pts * block.time_base - start) * rate)
            if first or abs(stated - place) > SMALLEST_GAP * rate:
                place, first = stated, False
            if place >= samples.shape[1]:
                break
            _put(samples, place, block.to_ndarray().reshape(-1, channels).T)
            place += block.samples
    return samples, rate


def _blocks(packets: Iterator[Any], stream: Any, rate: int) -> Iterator[Any]:
    """Decoded blocks of interleaved floats at one rate and layout; damaged ones are left out.

    Not as planes: PyAV counts those of eight and more channels wrong.
    """
    layout = stream.codec_context.layout
    resampler: Any = av.AudioResampler(format="flt", layout=layout, rate=rate)
    kind: tuple[Any, ...] = ()
    for packet in packets:
        blocks: list[Any] = []
        with suppress(FFmpegError):
            blocks = packet.decode()
        for block in blocks:
            now = (block.format.name, block.layout.name, block.sample_rate)
            if kind not in ((), now):
                resampler = av.AudioResampler(format="flt", layout=layout, rate=rate)
            kind = now
            yield from resampler.resample(block)


def _put(samples: NDArray[np.float32], place: int, block: NDArray[np.float32]) -> None:
    """Write a block where it belongs; what lies before the start or behind the end is cut off."""
    block = block[:, max(-place, 0) :]
    place = max(place, 0)
    block = block[:, : samples.shape[1] - place]
    samples[:, place : place + block.shape[1]] = block
