"""Frame rates as exact fractions."""

import math
from fractions import Fraction

from ..inputs.quoting import plain

NTSC_BASES = (24, 30, 48, 60, 120)
NTSC_TOLERANCE = 0.005  # "23.98" and "23.976" both mean 24000/1001
LARGEST_DENOMINATOR = 1001


def exact_rate(frame_rate: float | Fraction) -> Fraction:
    """Return the frame rate a user means by a number.

    Args:
        frame_rate: frames per second. 23.976, 29.97, 59.94 and their like become n * 1000/1001.

    Raises:
        ValueError: not a number above 0 and at most 1000.
    """
    if not math.isfinite(frame_rate) or not 0 < frame_rate <= 1000:
        raise ValueError(
            f"A frame rate of {plain(frame_rate)} cannot be written: give a number above 0 and at most 1000."
        )
    if isinstance(frame_rate, Fraction):
        return frame_rate
    for base in NTSC_BASES:
        broadcast = Fraction(base * 1000, 1001)
        if abs(frame_rate - broadcast) < NTSC_TOLERANCE:
            return broadcast
    return max(Fraction(frame_rate).limit_denominator(LARGEST_DENOMINATOR), Fraction(1, LARGEST_DENOMINATOR))
