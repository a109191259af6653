"""One number per frame of a clip whose length is known only when it is sampled."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Protocol, cast, runtime_checkable

from ...inputs.numbers import LARGEST_WRITTEN, fits
from ...inputs.quoting import quoted


@runtime_checkable
class FrameValues(Protocol):
    """What travels on a FRAME_VALUES wire; `ValueSchedule` is one as well."""

    def at(self, total_frames: int) -> list[float]:
        """One value per frame of a clip of ``total_frames`` frames."""
        ...


@dataclass(frozen=True)
class ListedValues:
    """Values that were given one by one.

    Attributes:
        values: value of frame 0, 1, ...; the last one holds for the rest of a longer clip.
    """

    values: tuple[float, ...]

    def at(self, total_frames: int) -> list[float]:
        """The values, cut or with the last one repeated to ``total_frames``."""
        held = max(0, total_frames - len(self.values))
        return [*self.values[:total_frames], *[self.values[-1]] * held]


@dataclass(frozen=True, eq=False)
class CurveValues:
    """Values along a curve that is as long as the clip.

    Attributes:
        curve: heights of the curve at positions, 0 the first frame and 1 the last.
        low: value at height 0.
        high: value at height 1.
    """

    curve: Callable[[Sequence[float]], Sequence[float]]
    low: float = 0.0
    high: float = 1.0

    def at(self, total_frames: int) -> list[float]:
        """The curve at each frame; a single frame is its start."""
        last = max(1, total_frames - 1)
        heights = self.curve([frame / last for frame in range(total_frames)])
        return [between(self.low, self.high, height) for height in heights]


@dataclass(frozen=True)
class Product:
    """Values that are multiplied frame by frame."""

    factors: tuple[FrameValues, ...]

    def at(self, total_frames: int) -> list[float]:
        """The product at each frame."""
        return [math.prod(values) for values in zip(*(f.at(total_frames) for f in self.factors), strict=True)]


def between(low: float, high: float, share: float) -> float:
    """``low`` at share 0, ``high`` at share 1, exactly."""
    return low * (1 - share) + high * share


def listed_values(values: Sequence[Any]) -> ListedValues:
    """Values of a list.

    Raises:
        ValueError: the list is empty, or an entry is no finite number of a size that makes sense.
    """
    if not values:
        raise ValueError("The list of values per frame is empty; give it at least one number.")
    numbers: list[float] = []
    for index, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, Real) or not fits(cast("float", value), LARGEST_WRITTEN):
            raise ValueError(
                f"Value {index} of the values per frame is {quoted(value)}; each must be a finite number of at most "
                f"{LARGEST_WRITTEN:,.0f} in size."
            )
        numbers.append(float(value))
    return ListedValues(tuple(numbers))


def values_of(value: object, name: str) -> FrameValues:
    """Values per frame from what a FRAME_VALUES socket gave.

    Args:
        value: `FrameValues`, or a list of numbers, one per frame.
        name: of the input, for messages.

    Raises:
        ValueError: it is something else, or an entry is no finite number of a size that makes sense.
    """
    if isinstance(value, FrameValues):
        return value
    if isinstance(value, list | tuple):
        return listed_values(cast("Sequence[Any]", value))
    raise ValueError(f"{name} is {quoted(value)}; connect FRAME_VALUES or a list of numbers, one per frame.")
