"""Noise schedules ("beta schedules") of the motion model families, as an object patch on MODEL.

Names follow ComfyUI, where ``sqrt_linear`` is what diffusers calls ``linear`` (betas in a straight line)
and ``linear`` is what diffusers calls ``scaled_linear`` (square roots of betas in a straight line).
"""

import logging
from dataclasses import dataclass

import comfy.model_base
import comfy.model_sampling
import comfy.utils
import torch
from comfy.model_patcher import ModelPatcher
from comfy_extras.nodes_model_advanced import LCM, ModelSamplingDiscreteDistilled

log = logging.getLogger("zoetrope")

AUTO = "auto"
USE_EXISTING = "use_existing"
TABLES = "model_sampling."


@dataclass(frozen=True)
class BetaSchedule:
    """One noise schedule.

    Attributes:
        betas: ComfyUI's name of the curve, for ``make_beta_schedule``.
        end: last beta; the first is 0.00085 everywhere.
        lcm_steps: 0, or the number of steps that the LCM teacher was sampled with.
    """

    betas: str
    end: float = 0.012
    lcm_steps: int = 0


# Source: research table of the published configs; `lcm` is what ComfyUI's own LCM nodes use.
SCHEDULES = {
    "sqrt_linear": BetaSchedule("sqrt_linear"),
    "linear": BetaSchedule("linear"),
    "linear_sdxl_beta": BetaSchedule("linear", end=0.020),
    "lcm": BetaSchedule("linear", lcm_steps=50),
    "lcm_100": BetaSchedule("sqrt_linear", lcm_steps=100),
}
CHOICES = [AUTO, *SCHEDULES, USE_EXISTING]


@dataclass(frozen=True)
class _Settings:
    """What core's sampling classes read from a model config."""

    sampling_settings: dict


def apply_schedule(model: ModelPatcher, name: str) -> None:
    """Put the schedule on ``model`` (a clone owned by the caller), keeping its prediction type.

    Args:
        model: patcher of an SD1.5 or SDXL model.
        name: a key of `SCHEDULES`.
    """
    schedule = SCHEDULES[name]
    settings = {"beta_schedule": schedule.betas, "linear_start": 0.00085, "linear_end": schedule.end}
    v_prediction = model.model.model_type == comfy.model_base.ModelType.V_PREDICTION
    model.add_object_patch("model_sampling", _build(schedule, settings, v_prediction))


def _build(schedule: BetaSchedule, settings: dict, v_prediction: bool) -> torch.nn.Module:
    if schedule.lcm_steps:

        class Distilled(ModelSamplingDiscreteDistilled, LCM):
            original_timesteps = schedule.lcm_steps

        return Distilled(_Settings(settings))
    prediction = comfy.model_sampling.V_PREDICTION if v_prediction else comfy.model_sampling.EPS

    class Discrete(comfy.model_sampling.ModelSamplingDiscrete, prediction):
        pass

    return Discrete(_Settings(settings))


def return_tables(model: ModelPatcher) -> None:
    """Give the model_sampling in place its own tables back and take them off the host's books.

    ``ModelPatcherDynamic`` (NVIDIA's default) keeps one ``backup_buffers`` for all clones of a model,
    by path, and writes it back onto whatever module is at that path by then: one clone's sigma table
    lands on another clone's model_sampling. With no entry on the books nothing can be written. To be
    called while the model_sampling that was loaded last is still in place.
    """
    for key in [k for k in model.backup_buffers if k.startswith(TABLES)]:
        comfy.utils.set_attr_buffer(model.model, key, model.backup_buffers.pop(key))


def load_with_own_tables(executor, model: ModelPatcher, *args, **kwargs):
    """PREPARE_SAMPLING wrapper: load the model, then see that the schedule asked for is the active one.

    Raises:
        RuntimeError: another object sits in the model's place for its schedule after loading.
    """
    asked = model.get_model_object("model_sampling")
    tables = {name: table.detach().to("cpu", copy=True) for name, table in asked.named_buffers()}
    return_tables(model)
    result = executor(model, *args, **kwargs)
    active = model.model.model_sampling
    if active is not asked:
        raise RuntimeError(
            f"The noise schedule {type(asked).__name__} was replaced by {type(active).__name__} while the model "
            "was loading; put the node that changes the model's sampling before Apply Motion Model."
        )
    for name, table in tables.items():
        loaded = active.get_buffer(name)
        if loaded.shape != table.shape or not torch.equal(loaded.detach().cpu(), table):
            log.warning("The host wrote another model's noise schedule (%s) over this one; it was put back.", name)
            active.register_buffer(name, table.to(loaded.device))
    return result
