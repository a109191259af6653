"""Sampling runs whose frames are a part of a longer clip.

Shapes: F = frames of the run, N = frames of the clip.
"""

from collections.abc import Sequence
from typing import Any

from comfy.context_windows import ContextHandlerABC, IndexListContextWindow
from torch import Tensor

from .conditioning_rows import conds_of_window
from .frames import published_frames


def part_options(model_options: dict[str, Any], frames: Sequence[int], total: int) -> dict[str, Any]:
    """Options of a run or a call that holds some frames of a clip.

    The numbers are published as those of windows are, so that hints, guidance, values over frames and prompts per
    frame are taken at their places in the whole clip. Windows of another node are replaced.

    Args:
        model_options: not changed.
        frames: F numbers.
        total: N.
    """
    options = {**model_options.get("transformer_options", {}), **published_frames(frames, total, len(frames))}
    return {**model_options, "transformer_options": options, "context_handler": ClipPartHandler(frames, total)}


class ClipPartHandler(ContextHandlerABC):
    """Core's hook for context windows, used to cut conditionings to the frames of a run.

    Args:
        frames: F numbers of the frames in the run.
        total: N.
    """

    dim = 0  # core's own wrappers read these, whoever's handler is set
    freenoise = False
    context_overlap = 0

    def __init__(self, frames: Sequence[int], total: int):
        super().__init__()
        self.frames, self.total_frames = list(frames), total
        self.context_length = len(self.frames)

    @property
    def continues(self) -> bool:
        """Whether earlier frames of the clip have been sampled in runs before this one."""
        return self.frames[0] > 0

    def should_use_context(self, model, conds, x_in: Tensor, timestep: Tensor, model_options: dict) -> bool:
        """Always: the frames have numbers even if they are the whole clip."""
        return True

    def get_resized_cond(self, cond_in, x_in: Tensor, window: IndexListContextWindow | None, device=None):
        """Conditioning of these frames; see ``conds_of_window``."""
        cut = conds_of_window(cond_in, self.frames, self.total_frames)
        for before, after in zip(cond_in or [], cut or [], strict=True):
            self._keep_own_rows(before.get("model_conds", {}), after.get("model_conds", {}))
        return cut

    def execute(self, calc_cond_batch, model, conds, x_in: Tensor, timestep: Tensor, model_options: dict):
        """Noise predictions of the F frames, one tensor per entry of ``conds``."""
        parts = [self.get_resized_cond(cond, x_in, None) for cond in conds]
        return calc_cond_batch(model, parts, x_in, timestep, model_options)

    def _keep_own_rows(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        """What core made from the run's own latents for inpainting checkpoints has the run's rows, not the clip's."""
        own = before.get("c_concat")
        if own is not None and own.cond.shape[0] == len(self.frames):
            after["c_concat"] = own
