"""Window settings that change while a clip is sampled: each stage covers a part of the noise schedule."""

from dataclasses import dataclass
from itertools import pairwise

from .schedules import windows_for_step
from .settings import WindowSettings

STEPS_LOOKED_AT = 4  # by then the schedules that move have made about as many windows as they ever do


@dataclass(frozen=True, kw_only=True)
class WindowStage:
    """Windows over a part of the noise schedule.

    Attributes:
        settings: how to cut and blend.
        windows_per_batch: windows of equal length in one UNet call; 0 for as many as memory allows.
        start: position in the training noise schedule from which the stage acts; 0 is the start of sampling.
        end: position up to which it acts; 1 is the end.
    """

    settings: WindowSettings
    windows_per_batch: int = 0
    start: float = 0.0
    end: float = 1.0

    def validate(self) -> None:
        """Raise a ValueError whose sentence names the wrong value and the cure."""
        self.settings.validate()
        if self.windows_per_batch < 0:
            raise ValueError(
                f"windows_per_batch {self.windows_per_batch} must not be negative; 0 is as many as memory allows, "
                "1 is one at a time."
            )
        for name, percent in (("start_percent", self.start), ("end_percent", self.end)):
            if not 0.0 <= percent <= 1.0:
                raise ValueError(f"{name} {percent} must lie between 0 (start of sampling) and 1 (its end).")
        if self.end < self.start:
            raise ValueError(f"end_percent {self.end} lies before start_percent {self.start}; swap them.")

    @property
    def always(self) -> bool:
        """Whether it acts at every step."""
        return (self.start, self.end) == (0.0, 1.0)

    def frames_per_call(self, total_frames: int) -> int:
        """The most frames of one conditioning in one UNet call; counts one window where memory decides."""
        length = min(self.settings.length, total_frames)
        if self.windows_per_batch < 2:
            return length
        windows = max(len(windows_for_step(self.settings, total_frames, step)) for step in range(STEPS_LOOKED_AT))
        return length * min(self.windows_per_batch, windows)


def with_stage(stages: tuple[WindowStage, ...], stage: WindowStage) -> tuple[WindowStage, ...]:
    """Stages with a new one that wins where it acts; those it covers wholly are dropped."""
    return *(earlier for earlier in stages if earlier.start < stage.start or earlier.end > stage.end), stage


def acting_stages(stages: tuple[WindowStage, ...]) -> set[WindowStage | None]:
    """All stages that win somewhere, with None if a part of the noise schedule has none.

    Args:
        stages: later ones win.
    """
    bounds = sorted({0.0, 1.0, *(stage.start for stage in stages), *(stage.end for stage in stages)})
    return {winner(stages, (low + high) / 2) for low, high in pairwise(bounds)}


def winner(stages: tuple[WindowStage, ...], percent: float) -> WindowStage | None:
    """The last stage that acts at a position in the noise schedule."""
    return next((stage for stage in reversed(stages) if stage.start <= percent <= stage.end), None)
