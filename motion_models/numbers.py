"""Numbers that people write."""

import math


def finite(text: str) -> float | None:
    """The number, or None when the text is none or not finite."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
