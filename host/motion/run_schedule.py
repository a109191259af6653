"""The noise schedule of a run where it is another than the MODEL's.

A scheduler has made the run's noise levels from the MODEL's schedule before the run begins. They are read as training
timesteps and become the noise levels of the other schedule at the same timesteps.

Shapes: S = steps of the run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from comfy.model_sampling import ModelSamplingDiscrete
from torch import Tensor

from ..call import keys
from .noise_schedule import OwnTables, with_later_facts

SNAP = 1e-3  # a timestep this near to a whole one is that one; what is between is rounding of the tables


@contextmanager
def schedule_of_run(guider: Any, arguments: dict[str, Any], still: bool) -> Iterator[None]:
    """Let a run go by another schedule than its MODEL's where that is not what was meant.

    Without motion it is the one from before motion models were applied; and where a later node set v-prediction or zero
    terminal SNR beside the checkpoint's noise levels, it is the motion model's noise levels with those.

    Args:
        guider: of the run; has a clone of its MODEL as long as the run goes.
        arguments: of OUTER_SAMPLE; ``sigmas`` (S + 1,) is replaced.
        still: no motion model acts in the run.
    """
    model = guider.model_patcher
    active, meant = model.get_model_object("model_sampling"), _meant(model, still)
    if meant is active or not (isinstance(active, ModelSamplingDiscrete) and isinstance(meant, ModelSamplingDiscrete)):
        yield
        return
    changed = model.clone()
    changed.add_object_patch("model_sampling", meant)
    arguments["sigmas"] = at_same_timesteps(arguments["sigmas"], active, meant)
    guider.model_patcher = changed
    try:
        yield
    finally:
        guider.model_patcher = model


def _meant(model: ModelPatcher, still: bool) -> torch.nn.Module | None:
    if not still:
        return with_later_facts(model)
    own: OwnTables | None = model.get_attachment(keys.NOISE_SCHEDULE)
    return own.before if own is not None and own.sampling is model.get_model_object("model_sampling") else None


def at_same_timesteps(sigmas: Tensor, old: ModelSamplingDiscrete, new: ModelSamplingDiscrete) -> Tensor:
    """Noise levels (S + 1,) of one schedule as those of another; no noise stays none.

    Exact for levels at timesteps, as schedulers like normal, simple and ddim_uniform give them; levels between two
    timesteps are placed by their logarithm, as ComfyUI does.
    """
    table = old.get_buffer("log_sigmas").detach().to("cpu", torch.float64)
    logs = sigmas.detach().to("cpu", torch.float64).clamp_min(1e-30).log()
    above = torch.searchsorted(table, logs).clamp(1, len(table) - 1)
    share = ((logs - table[above - 1]) / (table[above] - table[above - 1])).clamp(0, 1)
    place = above - 1 + share
    place = torch.where((place - place.round()).abs() < SNAP, place.round(), place)
    steps = int(getattr(old, "skip_steps", 1))  # of distilled schedules, whose table has only some timesteps
    timesteps = place * steps + (steps - 1)
    found = new.sigma(timesteps.to(torch.float32)).to(sigmas)
    return torch.where(sigmas > 0, found, torch.zeros_like(sigmas))
