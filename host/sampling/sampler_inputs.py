"""The inputs of core's KSampler that say what a clip shows, for our nodes that sample by themselves."""

from dataclasses import dataclass
from typing import Any

import comfy.samplers
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...inputs.quoting import plain
from ..control.run import follow_frames
from ..prompts.prompt_schedule import check_schedules


@dataclass(frozen=True, eq=False, kw_only=True)
class SamplerInputs:
    """A model, its conditioning and the guidance (CFG), as inputs of core's KSampler."""

    model: ModelPatcher
    positive: list[list[Any]]
    negative: list[list[Any]]
    cfg: float

    def guider(self) -> comfy.samplers.CFGGuider:
        """Core's guider on a clone of the model; plain ControlNets follow the frames, prompt schedules are checked."""
        model = self.model.clone()
        follow_frames(model)
        check_schedules(model)
        guider = comfy.samplers.CFGGuider(model)
        guider.set_conds(self.positive, self.negative)
        guider.set_cfg(self.cfg)
        return guider

    def sigmas(self, scheduler: str, steps: int) -> Tensor:
        """(steps + 1,) falling noise levels of the model.

        Raises:
            ValueError: the scheduler makes another number of them.
        """
        sampling = self.model.get_model_object("model_sampling")
        sigmas = comfy.samplers.calculate_sigmas(sampling, scheduler, steps)
        if len(sigmas) != steps + 1 or bool((sigmas.diff() >= 0).any()) or sigmas[-1] != 0:
            raise ValueError(
                f"Scheduler {plain(scheduler)} has no {steps} falling noise levels for this model; choose normal or "
                "sgm_uniform, or lower partitions."
            )
        return sigmas


def sampler_names() -> list[str]:
    """Samplers of core and of packs that add their own."""
    return list(comfy.samplers.KSampler.SAMPLERS)


def scheduler_names() -> list[str]:
    """Noise schedules of core and of packs that add their own."""
    return list(comfy.samplers.KSampler.SCHEDULERS)
