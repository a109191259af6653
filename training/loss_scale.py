"""The factor of the loss that keeps small gradients of half precision above 0."""

from collections.abc import Mapping

FIRST_SCALE = 2.0**16
GROWTH_INTERVAL = 2000  # good steps, after which a larger factor is tried


class LossScale:
    """A factor that is halved when gradients overflow and doubled when they have not for long.

    Args:
        on: whether the precision needs it; else the factor is 1 for good.

    Source:
        Micikevicius et al. 2018, "Mixed Precision Training", section 3.2; the numbers are those of torch's ``GradScaler``.
    """

    def __init__(self, on: bool) -> None:
        self.on = on
        self.value = FIRST_SCALE if on else 1.0
        self.good_steps = 0

    def update(self, good: bool) -> None:
        """Learn whether a step's gradients were finite."""
        if not self.on:
            return
        self.good_steps = self.good_steps + 1 if good else 0
        if not good:
            self.value /= 2
        elif self.good_steps == GROWTH_INTERVAL:
            self.value, self.good_steps = self.value * 2, 0

    def numbers(self) -> dict[str, float]:
        """Its state."""
        return {"scale": self.value, "good_steps": self.good_steps}

    def load(self, numbers: Mapping[str, float]) -> None:
        """Go on from what `numbers` gave."""
        if self.on:
            self.value, self.good_steps = numbers["scale"], int(numbers["good_steps"])
