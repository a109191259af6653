"""One number per frame of a clip whose length is known only when it is sampled."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


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


def listed(values: Sequence[object]) -> ListedValues:
    """Values of a list.

    Raises:
        ValueError: the list is empty, or an entry is no finite number.
    """
    if not values:
        raise ValueError("The list of values per frame is empty; give it at least one number.")
    numbers: list[float] = []
    for index, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"Value {index} of the values per frame is {value!r}; each must be a finite number.")
        numbers.append(float(value))
    return ListedValues(tuple(numbers))
