"""Noise schedules: the right tables, on the right MODEL, also under the host's dynamic VRAM loader."""

from types import SimpleNamespace

import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.model_sampling
import comfy.utils
import pytest
import torch
from comfy.patcher_extension import CallbacksMP

from support.toy_models import unet as toy
from support.toy_models.files import animate, motion_model, relative_error
from zoetrope.host.motion import noise_schedule as betas

PLAIN_SIGMA_MAX = 14.6146  # SD1.5: betas linspace(sqrt .00085, sqrt .012)^2


@pytest.fixture
def model():
    return toy.toy_model_patcher()


def sample(animated, frames=4, **options):
    """A small clip, (frames, 4, 8, 8)."""
    return toy.sample(animated, **{"noise": toy.noise_for(frames, 8), **options})


def sigma_max(curve: torch.Tensor) -> float:
    product = torch.cumprod(1 - curve.double(), 0)[-1]
    return ((1 - product) / product).sqrt().item()


STRAIGHT = torch.linspace(0.00085, 0.012, 1000, dtype=torch.float64)
ROOTS = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
SDXL_BETA = torch.linspace(0.00085**0.5, 0.020**0.5, 1000, dtype=torch.float64) ** 2


@pytest.mark.parametrize(
    ("name", "curve", "entries"),
    [
        ("sqrt_linear", STRAIGHT, 1000),
        ("linear", ROOTS, 1000),
        ("linear_sdxl_beta", SDXL_BETA, 1000),
        ("lcm", ROOTS, 50),
        ("lcm_100", STRAIGHT, 100),
    ],
)
def test_table_of_each_schedule(model, name, curve, entries):
    """sigma = sqrt((1 - a) / a), a the running product of 1 - beta; LCM keeps every n-th entry."""
    betas.apply_schedule(model, name)
    table = model.get_model_object("model_sampling").sigmas
    assert len(table) == entries
    assert table[-1].item() == pytest.approx(sigma_max(curve), rel=1e-4)


def test_auto_takes_the_schedule_of_the_family(model, tmp_path):
    animated = animate(model, motion_model(tmp_path))
    assert animated.get_model_object("model_sampling").sigma_max.item() == pytest.approx(sigma_max(STRAIGHT), rel=1e-4)
    assert model.get_model_object("model_sampling").sigma_max.item() == pytest.approx(PLAIN_SIGMA_MAX, rel=1e-4)


def test_use_existing_leaves_the_object_alone(model, tmp_path):
    animated = animate(model, motion_model(tmp_path), schedule="use_existing")
    assert animated.get_model_object("model_sampling") is model.get_model_object("model_sampling")


def test_v_prediction_checkpoints_keep_their_prediction(model):
    kind = comfy.model_base.ModelType.V_PREDICTION
    model.model.model_sampling = comfy.model_base.model_sampling(model.model.model_config, kind)
    betas.apply_schedule(model, "sqrt_linear")
    assert isinstance(model.get_model_object("model_sampling"), comfy.model_sampling.V_PREDICTION)


class DynamicStandIn(comfy.model_patcher.ModelPatcher):
    """ModelPatcher with the buffer bookkeeping of ModelPatcherDynamic, which refuses to run on a CPU.

    Source: ComfyUI 0.30.0 ``comfy/model_patcher.py``, ModelPatcherDynamic ``partially_load``, ``load``
    and ``restore_loaded_backups``: one ``backup_buffers`` for all clones, by path.
    """

    def restore_buffers(self):
        for key in list(self.backup_buffers):
            comfy.utils.set_attr_buffer(self.model, key, self.backup_buffers.pop(key))

    def partially_load(self, device_to, extra_memory=0, force_patch_weights=False):
        self.unpatch_model(self.offload_device, unpatch_weights=False)
        self.patch_model(load_weights=False)
        self.restore_buffers()
        for key, buffer in list(self.model.named_buffers(recurse=True)):
            self.backup_buffers.setdefault(key, buffer)
            comfy.utils.set_attr_buffer(self.model, key, buffer.clone())
        for callback in self.get_all_callbacks(CallbacksMP.ON_LOAD):
            callback(self, device_to, 0, False, False)
        return super().partially_load(device_to, extra_memory, force_patch_weights)

    def detach(self, unpatch_all=True):
        out = super().detach(unpatch_all)
        if unpatch_all:
            self.restore_buffers()
        return out


@pytest.fixture
def dynamic(model):
    return DynamicStandIn(model.model, model.load_device, model.offload_device)


def tables(patcher):
    return patcher.get_model_object("model_sampling").sigmas.clone()


def core_node(patcher, *arguments):
    """Core's ModelSamplingDiscrete node."""
    from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete

    node = ModelSamplingDiscrete
    return (node.execute(patcher, *arguments) if hasattr(node, "execute") else node().patch(patcher, *arguments))[0]


def test_the_stand_in_shows_the_hosts_bug(dynamic):
    """Without a guard, sampling the plain model first writes its table onto the patched clone."""
    patched = core_node(dynamic, "lcm", False)
    expected = tables(patched)
    sample(dynamic, steps=1)
    sample(patched, steps=1)
    assert not torch.equal(tables(patched), expected)


def test_plain_first_then_animated_keeps_both_tables(dynamic, tmp_path):
    animated = animate(dynamic, motion_model(tmp_path))
    plain_table, own_table = tables(dynamic), tables(animated)
    for patcher in (dynamic, animated, dynamic, animated):
        sample(patcher, steps=1)
    assert torch.equal(tables(dynamic), plain_table)
    assert torch.equal(tables(animated), own_table)


def test_animated_first_then_plain_keeps_both_tables(dynamic, tmp_path):
    animated = animate(dynamic, motion_model(tmp_path))
    plain_table, own_table = tables(dynamic), tables(animated)
    for patcher in (animated, dynamic, animated):
        sample(patcher, steps=1)
        patcher.detach()
    assert torch.equal(tables(dynamic), plain_table)
    assert torch.equal(tables(animated), own_table)


def test_clip_is_the_same_under_the_stand_in(dynamic, model, tmp_path):
    motion = motion_model(tmp_path)
    expected = sample(animate(model, motion))
    sample(dynamic, steps=1)
    assert torch.equal(sample(animate(dynamic, motion)), expected)


def test_a_run_that_fails_while_loading_leaves_the_plain_table_alone(dynamic, tmp_path):
    """Core cleans up only after a load that went well."""
    animated = animate(dynamic, motion_model(tmp_path))
    plain_table = tables(dynamic)

    def fail(executor, *args, **kwargs):
        executor(*args, **kwargs)
        raise MemoryError("the load went wrong late")

    broken = animated.clone()
    broken.add_wrapper_with_key("prepare_sampling", "breaker", fail)
    with pytest.raises(MemoryError):
        sample(broken, steps=1)
    sample(dynamic, steps=1)
    assert torch.equal(tables(dynamic), plain_table)


def test_loading_outside_of_sampling_keeps_the_own_table(dynamic, tmp_path):
    """Core's Save Checkpoint loads a MODEL without sampling it."""
    animated = animate(dynamic, motion_model(tmp_path))
    own_table = tables(animated)
    sample(dynamic, steps=1)
    comfy.model_management.load_models_gpu([animated])
    assert torch.equal(tables(animated), own_table)
    sample(animated, steps=1)
    assert torch.equal(tables(animated), own_table)


def test_v_prediction_set_by_an_earlier_node_is_kept_and_said(model, tmp_path, caplog):
    patched = core_node(model, "v_prediction", True)
    with caplog.at_level("WARNING", "zoetrope"):
        animated = animate(patched, motion_model(tmp_path))
    assert isinstance(animated.get_model_object("model_sampling"), comfy.model_sampling.V_PREDICTION)
    assert animated.get_model_object("model_sampling").zsnr
    assert "kept of it: zero terminal SNR and v-prediction; use_existing would keep all of that one" in caplog.text


@pytest.mark.parametrize("prediction", ["eps", "v_prediction"])
@pytest.mark.parametrize("zsnr", [False, True])
def test_prediction_and_zero_terminal_snr_stay_in_both_orders(model, tmp_path, prediction, zsnr, caplog):
    """The noise levels are the motion model's: those of core's node on a checkpoint that was trained with its betas."""
    motion = motion_model(tmp_path)
    before = animate(core_node(model, prediction, zsnr), motion)
    after = core_node(animate(model, motion), prediction, zsnr)
    betas = {"beta_schedule": "sqrt_linear", "linear_start": 0.00085, "linear_end": 0.012, "zsnr": zsnr}
    expected = comfy.model_sampling.ModelSamplingDiscrete(SimpleNamespace(sampling_settings=betas)).sigmas
    assert torch.equal(tables(before), expected)
    with caplog.at_level("WARNING", "zoetrope"):
        caplog.clear()
        assert relative_error(sample(after), sample(before)) < 1e-5
    assert "was replaced by a later node" not in caplog.text


@pytest.mark.parametrize("zsnr", [False, True])
@pytest.mark.parametrize("frames_and_effect", [(1, 1.0), (4, 0.0)])
def test_a_run_without_motion_is_the_plain_checkpoints(model, tmp_path, zsnr, frames_and_effect):
    frames, effect = frames_and_effect
    plain = core_node(model, "eps", zsnr)
    animated = animate(plain, motion_model(tmp_path), effect=effect)
    noise = toy.noise_for(frames, 8)
    assert relative_error(toy.sample(animated, noise=noise, steps=3), toy.sample(plain, noise=noise, steps=3)) < 1e-6
    moving = animate(plain, motion_model(tmp_path))
    assert (
        frames == 1
        or relative_error(toy.sample(moving, noise=noise, steps=3), toy.sample(plain, noise=noise, steps=3)) > 0.01
    )


def test_other_noise_levels_of_a_later_node_stay_and_are_said(model, tmp_path, caplog):
    """They are no fact beside the checkpoint's: somebody chose them."""
    animated = animate(model, motion_model(tmp_path))
    other = animated.clone()
    settings = {"beta_schedule": "linear", "linear_start": 0.001, "linear_end": 0.02}
    chosen = comfy.model_sampling.ModelSamplingDiscrete
    chosen = type("Chosen", (chosen, comfy.model_sampling.EPS), {})(SimpleNamespace(sampling_settings=settings))
    other.add_object_patch("model_sampling", chosen)
    with caplog.at_level("WARNING", "zoetrope"):
        sample(other)
    assert "was replaced by a later node (Chosen)" in caplog.text


def test_a_table_overwritten_while_loading_is_put_back(model, tmp_path, caplog):
    """Whatever writes over the table during the load, the run goes on with the one asked for."""
    animated = animate(model, motion_model(tmp_path))
    own = tables(animated)
    expected = sample(animated)

    def overwrite(executor, patcher, *args, **kwargs):
        result = executor(patcher, *args, **kwargs)
        patcher.model.model_sampling.set_sigmas(torch.linspace(0.1, 14.0, 1000))
        return result

    animated.add_wrapper_with_key("prepare_sampling", "overwriter", overwrite)
    with caplog.at_level("WARNING", "zoetrope"):
        assert torch.equal(sample(animated), expected)
    assert "put back" in caplog.text
    assert torch.equal(tables(animated), own)


def test_a_replaced_schedule_object_is_refused(model, tmp_path):
    animated = animate(model, motion_model(tmp_path))

    def replace(executor, patcher, *args, **kwargs):
        result = executor(patcher, *args, **kwargs)
        patcher.model.model_sampling = comfy.model_sampling.ModelSamplingDiscrete()
        return result

    animated.add_wrapper_with_key("prepare_sampling", "replacer", replace)
    with pytest.raises(RuntimeError, match="noise schedule .* was replaced"):
        sample(animated)
