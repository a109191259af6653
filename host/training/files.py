"""The two files of a training: what comes of it, and the state to go on from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ...training.state_file import TrainingState, read_state, remove_unfinished, write_state, write_whole


@dataclass(frozen=True, kw_only=True)
class TrainingFiles:
    """Where a training leaves what.

    Attributes:
        result: the file to use, in a published layout.
        state: everything to go on from.
    """

    result: Path
    state: Path

    @property
    def name(self) -> str:
        """Of the result, for messages."""
        return self.result.name

    def read(self, digest: Mapping[str, str]) -> TrainingState | None:
        """The state of a training with these settings, None where there is none.

        Raises:
            ValueError: it is of a training with other settings, or damaged.
        """
        if not self.state.is_file():
            return None
        state = read_state(self.state)
        state.require_same(digest, self.state.name)
        return state

    def write(
        self,
        result: Mapping[str, Tensor],
        *,
        step: int,
        tensors: Mapping[str, Tensor],
        numbers: Mapping[str, float],
        losses: Sequence[float],
        digest: Mapping[str, str],
    ) -> None:
        """Write both, the state first: a result without a state is taken for somebody else's file.

        Raises:
            ValueError: the disk is full or may not be written to; each file is whole, as it was or new.
        """
        state = TrainingState(step=step, tensors=tensors, numbers=numbers, losses=tuple(losses), digest=digest)
        write_state(self.state, state)
        self.write_result(result)

    def write_result(self, result: Mapping[str, Tensor]) -> None:
        """Write the file to use."""
        write_whole(self.result, result, {"format": "pt"})

    def lacks_result(self) -> bool:
        """Whether the file to use is not there, or older than the state, as a stop between the two leaves it."""
        return not self.result.is_file() or self.result.stat().st_mtime_ns < self.state.stat().st_mtime_ns

    def remove_unfinished(self) -> None:
        """Remove what a training of this name that was killed while it wrote has left; only its owner may."""
        for path in (self.result, self.state):
            remove_unfinished(path)
