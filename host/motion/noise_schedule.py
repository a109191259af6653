"""The noise schedule ("beta schedule") of a motion model as an object patch on MODEL."""

import logging
from dataclasses import dataclass

import comfy.utils
import torch
from comfy.model_patcher import ModelPatcher
from comfy.model_sampling import EPS, V_PREDICTION, ModelSamplingDiscrete
from comfy.patcher_extension import CallbacksMP, WrappersMP
from comfy_extras.nodes_model_advanced import LCM, ModelSamplingDiscreteDistilled

from ...inputs.quoting import plain
from ...motion_models.noise_schedules import BETA_SCHEDULES, START, BetaSchedule
from ..call import keys
from ..call.wrappers import bound, put_on

log = logging.getLogger("zoetrope")

AUTO = "auto"
USE_EXISTING = "use_existing"
CHOICES = [AUTO, *BETA_SCHEDULES, USE_EXISTING]


@dataclass(frozen=True)
class _Settings:
    """What core's sampling classes read from a model config."""

    sampling_settings: dict


@dataclass(frozen=True, eq=False)
class OwnTables:
    """The sigma tables that belong to one model_sampling object, kept where nothing can write to them.

    Attributes:
        sampling: the object.
        tables: its buffers by name.
        before: what the MODEL had before the first motion model.
        schedule: whose noise levels they are, None for those that were there.
    """

    sampling: torch.nn.Module
    tables: tuple[tuple[str, torch.Tensor], ...]
    before: torch.nn.Module
    schedule: BetaSchedule | None = None


def apply_schedule(model: ModelPatcher, name: str) -> None:
    """Put the schedule on ``model`` (a clone owned by the caller).

    What the noise levels do not say stays as it was: the type of prediction, zero terminal SNR and sigma_data, of the
    checkpoint or of an earlier node. Schedules for LCM have a type of their own.

    Args:
        model: patcher of an SD1.5 or SDXL model.
        name: a key of `BETA_SCHEDULES`, or ``use_existing``.
    """
    existing = model.get_model_object("model_sampling")
    own: OwnTables | None = model.get_attachment(keys.NOISE_SCHEDULE)
    before = own.before if own is not None and own.sampling is existing else existing
    if name != USE_EXISTING:
        ours = _build(BETA_SCHEDULES[name], existing)
        if line := _replaced(model, existing, ours):
            log.warning("beta_schedule %s replaces %s.", plain(name), plain(line, 600))
        model.add_object_patch("model_sampling", ours)
    sampling = model.get_model_object("model_sampling")
    tables = tuple((key, table.detach().to("cpu", copy=True)) for key, table in sampling.named_buffers())
    model.set_attachments(keys.NOISE_SCHEDULE, OwnTables(sampling, tables, before, BETA_SCHEDULES.get(name)))


def _replaced(model: ModelPatcher, existing: torch.nn.Module, ours: torch.nn.Module) -> str:
    """What a schedule of ours takes the place of, where a node asked for another, else nothing."""
    own: OwnTables | None = model.get_attachment(keys.NOISE_SCHEDULE)
    if own is not None and own.sampling is existing:  # of a motion model below this one in the stack
        if _same_tables(ours, own):
            return ""
        return "that of the motion model applied before; the later one wins, use_existing would keep the earlier one"
    if "model_sampling" not in model.object_patches:
        return ""
    kept, lost = _facts(existing, ours)
    stays = f"; kept of it: {kept}" if kept else ""
    goes = f", and its {lost}" if lost else ""
    return (
        f"the noise schedule that an earlier node set ({type(existing).__name__}){goes}{stays}; use_existing would keep "
        "all of that one"
    )


def _facts(existing: torch.nn.Module, ours: torch.nn.Module) -> tuple[str, str]:
    """What was set beside the noise levels, in words: what ours keeps, and what it does not."""
    told = {
        "zero terminal SNR": [bool(getattr(sampling, "zsnr", False)) for sampling in (existing, ours)],
        "v-prediction": [isinstance(sampling, V_PREDICTION) for sampling in (existing, ours)],
    }
    kept = [name for name, (was, stays) in told.items() if was and stays]
    lost = [name for name, (was, stays) in told.items() if was and not stays]
    return " and ".join(kept), " and ".join(lost)


def _same_tables(sampling: torch.nn.Module, own: OwnTables) -> bool:
    found = dict(sampling.named_buffers())
    return all(name in found and torch.equal(found[name].detach().cpu(), table) for name, table in own.tables)


def _build(schedule: BetaSchedule, existing: torch.nn.Module) -> torch.nn.Module:
    settings = _Settings({"beta_schedule": schedule.betas, "linear_start": START, "linear_end": schedule.end})
    if schedule.lcm_steps:

        class Distilled(ModelSamplingDiscreteDistilled, LCM):
            original_timesteps = schedule.lcm_steps

        return Distilled(settings)
    discrete = type("Discrete", (ModelSamplingDiscrete, prediction_of(existing)), {})
    ours = discrete(settings, zsnr=bool(getattr(existing, "zsnr", False)))
    ours.sigma_data = getattr(existing, "sigma_data", ours.sigma_data)
    return ours


def prediction_of(sampling: torch.nn.Module) -> type:
    """The class that says what the UNet predicts; EPS in place of LCM's, which goes with LCM's noise levels."""
    mixed_in = (part for part in type(sampling).__mro__ if not issubclass(part, torch.nn.Module) and part is not object)
    found = next(mixed_in, EPS)
    return EPS if issubclass(found, LCM) else found


def with_later_facts(model: ModelPatcher) -> torch.nn.Module | None:
    """The motion model's noise levels with what a later node set beside the checkpoint's own, such as core's
    ModelSamplingDiscrete; None where no such node is or where it set other noise levels.
    """
    own: OwnTables | None = model.get_attachment(keys.NOISE_SCHEDULE)
    active = model.get_model_object("model_sampling")
    if own is None or own.sampling is active or own.schedule is None or own.schedule.lcm_steps:
        return None
    if not isinstance(active, ModelSamplingDiscrete) or isinstance(active, ModelSamplingDiscreteDistilled):
        return None
    checkpoints = ModelSamplingDiscrete(model.model.model_config, zsnr=active.zsnr)
    theirs, own_levels = checkpoints.get_buffer("sigmas"), active.get_buffer("sigmas").cpu()
    same = theirs.shape == own_levels.shape and torch.allclose(theirs, own_levels)
    return _build(own.schedule, active) if same else None


def overridden(model: ModelPatcher) -> str:
    """A sentence when a later node replaced the schedule that Apply Motion Model set, else nothing."""
    own: OwnTables | None = model.get_attachment(keys.NOISE_SCHEDULE)
    active = model.get_model_object("model_sampling")
    if own is None or own.sampling is active or with_later_facts(model) is not None:
        return ""
    if _same_tables(active, own):
        return ""
    return (
        f"The noise schedule of the motion model was replaced by a later node ({type(active).__name__}); expect washed "
        "out or noisy frames. Remove that node, or put it before Apply Motion Model and leave beta_schedule on auto."
    )


def guard_tables(model: ModelPatcher) -> None:
    """Guard the tables of ``model`` against the host's dynamic loader.

    ``ModelPatcherDynamic`` (NVIDIA's default) keeps one ``backup_buffers`` for all clones of a model, by path, and
    at the next load or unload writes it back onto whatever module is at that path by then: one clone's sigma table
    lands on another clone's model_sampling. So entries are given back before our model loads, while their owner is
    in place, and ours are taken off the books as soon as it is loaded.
    """
    wrappers = {WrappersMP.PREPARE_SAMPLING: _load_with_own_tables}
    put_on(model, keys.NOISE_SCHEDULE, wrappers, {CallbacksMP.ON_LOAD: _keep_own_tables})


def _load_with_own_tables(executor, *args, **kwargs):
    """PREPARE_SAMPLING wrapper: see that the schedule asked for is the active one.

    Raises:
        RuntimeError: another object sits in the model's place for its schedule after loading.
    """
    model: ModelPatcher = bound(WrappersMP.PREPARE_SAMPLING, args, kwargs).arguments["model"]
    for key in _entries(model):
        comfy.utils.set_attr_buffer(model.model, key, model.backup_buffers.pop(key))
    result = executor(*args, **kwargs)
    asked, active = model.get_model_object("model_sampling"), model.model.model_sampling
    if active is not asked:
        raise RuntimeError(
            f"The noise schedule {type(asked).__name__} was replaced by {type(active).__name__} while the model was "
            "loading; remove the node that changes the model's sampling, or put it before Apply Motion Model and leave "
            "beta_schedule on auto."
        )
    _keep_own_tables(model)
    return result


def _keep_own_tables(model: ModelPatcher, *_load_arguments) -> None:
    """ON_LOAD callback: put back what was written over our tables, and leave no copy for others to get."""
    own: OwnTables | None = model.get_attachment(keys.NOISE_SCHEDULE)
    active = model.model.model_sampling
    for name, table in own.tables if own is not None and own.sampling is active else ():
        loaded = active.get_buffer(name)
        if loaded.shape != table.shape or not torch.equal(loaded.detach().cpu(), table):
            log.warning(
                "The host wrote another model's noise schedule (%s) over this one; it was put back.", plain(name)
            )
            active.register_buffer(name, table.to(loaded.device))
    for key in _entries(model):
        model.backup_buffers.pop(key)


def _entries(model: ModelPatcher) -> list[str]:
    return [key for key in model.backup_buffers if key.startswith("model_sampling.")]
