"""Numbers that people write and wires bring: finite, and small enough for what is computed with them."""

import math
from collections.abc import Iterable

from .quoting import plain

LARGEST_NUMBER = 3.4028234663852886e38  # of float32
# Beyond it a factor or a place in time is a slip of the pen, and half precision has long overflowed.
LARGEST_WRITTEN = 1e6


def finite(text: str) -> float | None:
    """The number, or None when the text is none, not finite or too large for float32."""
    try:
        value = float(text)
    except (ValueError, OverflowError):
        return None
    return value if fits(value) else None


def fits(value: float, largest: float = LARGEST_NUMBER) -> bool:
    """Whether a number is finite and at most ``largest`` in size; also of whole numbers of any length."""
    try:
        return math.isfinite(value) and abs(value) <= largest
    except OverflowError:
        return False


def require_finite(name: str, values: Iterable[float], largest: float = LARGEST_NUMBER) -> None:
    """Refuse numbers that are none.

    Args:
        name: of the input; begins the sentence.
        values: one or several numbers.
        largest: in size.

    Raises:
        ValueError: one is not finite or too large.
    """
    for value in values:
        if not fits(value, largest):
            raise ValueError(f"{name} is {plain(value)}; give a finite number of at most {largest:g} in size.")
