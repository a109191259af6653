"""How a clip is cut into windows, as a user sets it; the names of schedules and fuse methods."""

from dataclasses import dataclass

from ...inputs.quoting import quoted

SCHEDULES = ("standard_uniform", "standard_static", "looped_uniform", "batched", "shifted")
WITHOUT_OVERLAP = ("batched", "shifted")
FUSE_METHODS = ("pyramid", "flat", "overlap_linear", "relative")


@dataclass(frozen=True, kw_only=True)
class WindowSettings:
    """How a clip is cut into windows and how their results are blended.

    Attributes:
        length: frames in a window, at least 1.
        overlap: frames that neighbouring windows share, below ``length``; those in WITHOUT_OVERLAP have none.
        schedule: one of SCHEDULES.
        fuse: one of FUSE_METHODS.
        stride: above 1, the uniform schedules also run windows over every 2nd, 4th, ... frame.
        closed_loop: the first frame follows the last one as any frame follows its neighbour; ``batched`` ignores it.
    """

    length: int = 16
    overlap: int = 4
    schedule: str = "standard_uniform"
    fuse: str = "pyramid"
    stride: int = 1
    closed_loop: bool = False

    @property
    def joins_ends(self) -> bool:
        """Whether the windows run around a ring of frames."""
        return self.closed_loop and self.schedule != "batched"

    def acts_on(self, total_frames: int) -> bool:
        """Whether a clip of this length is sampled differently from one without windows."""
        return total_frames > (1 if self.joins_ends else self.length)

    def validate(self, prefix: str = "context") -> None:
        """Raise a ValueError whose sentence names the wrong value and the cure.

        Args:
            prefix: of the names of the node's inputs, such as ``context_length``.
        """
        if self.length < 1:
            raise ValueError(f"{prefix}_length {self.length} must be at least 1 frame; 16 suits most motion modules.")
        if self.overlap < 0:
            raise ValueError(
                f"{prefix}_overlap {self.overlap} must not be negative; use 0 for windows that only touch."
            )
        if self.overlap >= self.length and self.schedule not in WITHOUT_OVERLAP:
            raise ValueError(
                f"{prefix}_overlap {self.overlap} must be smaller than {prefix}_length {self.length}, else the windows "
                f"never move on; lower {prefix}_overlap to {self.length - 1} or less, or raise {prefix}_length."
            )
        if self.stride < 1:
            raise ValueError(f"{prefix}_stride {self.stride} must be at least 1; 1 keeps neighbouring frames together.")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"Unknown window schedule {quoted(self.schedule)}; choose one of {', '.join(SCHEDULES)}.")
        if self.fuse not in FUSE_METHODS:
            raise ValueError(f"Unknown fuse method {quoted(self.fuse)}; choose one of {', '.join(FUSE_METHODS)}.")
