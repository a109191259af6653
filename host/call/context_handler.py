"""What the context handler of a run, ours or any other, means for the number of frames that meet."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class StagedHandler(Protocol):
    """A context handler of ours, whose windows depend on the step."""

    def frames_at_once(self, frames: int) -> int:
        """Frames of the longest window; the whole clip if any step samples it whole."""
        ...

    def frames_per_call(self, frames: int) -> int:
        """The most frames of one conditioning in one UNet call."""
        ...


def frames_at_once(handler: object, frames: int) -> tuple[int, int]:
    """How many frames of a clip motion modules see together.

    Args:
        handler: the run's context handler, of any pack, or None.
        frames: length of the clip.

    Returns:
        (frames of a window with its anchor, anchors among them); the whole clip where no windows over frames run.
        Core's ``causal_window_fix`` puts one anchor frame in front of each window. Ours may change its windows while
        it samples: the most frames at any step.
    """
    if isinstance(handler, StagedHandler):
        return handler.frames_at_once(frames), 0
    length = getattr(handler, "context_length", 0)
    if not 0 < length < frames or getattr(handler, "dim", 0) != 0:
        return frames, 0
    anchor = int(bool(getattr(handler, "causal_window_fix", False)))
    return length + anchor, anchor


def frames_per_call(handler: object, frames: int) -> int:
    """Frames of one conditioning that lie in memory in one UNet call: those of all windows stacked in it.

    Args:
        handler: the run's context handler, of any pack, or None.
        frames: length of the clip.
    """
    if isinstance(handler, StagedHandler):
        return handler.frames_per_call(frames)
    together, anchor = frames_at_once(handler, frames)
    return together - anchor
