"""The v3 domain adapter: as core's LoRA code applies it, and changing with the steps."""

import comfy.lora
import comfy.utils
import pytest
import torch

from support.toy_models import unet as toy
from support.toy_models.files import animate, motion_model, put, relative_error
from zoetrope.host.call.sampling_range import SamplingRange
from zoetrope.host.call.strength import Strength
from zoetrope.host.loading import model_files as files
from zoetrope.host.lora import motion_lora as lora
from zoetrope.host.lora.domain_adapter import apply_domain_adapter, missing_adapter

ALWAYS = SamplingRange()


@pytest.fixture(scope="module")
def model():
    return toy.toy_model_patcher()


def adapter_state_dict(model, rank=4, seed=21):
    """The key layout of v3_sd15_adapter.ckpt: q, k, v and out of both attentions of each spatial transformer."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    shapes = {key: weight.shape for key, weight in model.model.state_dict().items()}
    for name, unet in comfy.utils.unet_to_diffusers(model.model.model_config.unet_config).items():
        part = name.rpartition(".")[0].removesuffix(".0")
        if not (name.endswith(".weight") and part.split(".")[-1] in ("to_q", "to_k", "to_v", "to_out")):
            continue
        before, _, kind = part.rpartition(".")
        rows, columns = shapes[f"diffusion_model.{unet}"]
        base = f"{before}.processor.{kind}_lora."
        weights[base + "down.weight"] = torch.randn((rank, columns), generator=generator) / columns**0.5
        weights[base + "up.weight"] = torch.randn((rows, rank), generator=generator) / rank**0.5
    return weights


def sample(model):
    """A small clip after one step, (3, 4, 8, 8)."""
    return toy.sample(model, noise=toy.noise_for(3, 8), steps=1)


def predictions(model):
    """What the small clip is predicted to be after each of four steps."""
    return toy.predictions(model, noise=toy.noise_for(3, 8))


@pytest.fixture
def name(model, tmp_path):
    return put("loras", tmp_path / "v3_sd15_adapter.safetensors", adapter_state_dict(model))


def core_lora(model, strength):
    clone = model.clone()
    keys = comfy.lora.model_lora_keys_unet(model.model, {})
    patches = comfy.lora.load_lora(adapter_state_dict(model), keys)
    assert len(clone.add_patches(patches, strength)) == len(patches) == 16 * 8
    return clone


def test_it_is_what_core_makes_of_it(model, name):
    expected = sample(core_lora(model, 0.6))
    assert relative_error(sample(apply_domain_adapter(model, name, 0.6, ALWAYS)), expected) < 1e-5
    assert relative_error(expected, sample(model)) > 1e-2


def test_beside_the_weights_it_is_the_same(model, name):
    """A range that holds all steps but is not the whole schedule runs beside the weights."""
    beside = apply_domain_adapter(model, name, 0.6, SamplingRange(0.0, 0.9999))
    assert not beside.patches
    assert relative_error(sample(beside), sample(core_lora(model, 0.6))) < 1e-4


def test_range_and_motion_together_and_no_trace(model, name, tmp_path):
    motion = motion_model(tmp_path, "v3")
    plain = predictions(animate(model, motion))
    late = apply_domain_adapter(animate(model, motion), name, 1.0, SamplingRange(0.5, 1.0))
    ours = predictions(late)
    assert relative_error(ours[0], plain[0]) < 1e-6
    assert relative_error(ours[-1], plain[-1]) > 1e-3
    assert not any(module._forward_hooks for module in model.model.modules())
    assert torch.equal(predictions(animate(model, motion))[-1], plain[-1])


@pytest.mark.newest_host
def test_two_adapters_add_up(model, name):
    when = SamplingRange(0.0, 0.9999)
    twice = apply_domain_adapter(apply_domain_adapter(model, name, 0.2, when), name, 0.4, when)
    assert relative_error(sample(twice), sample(core_lora(model, 0.6))) < 1e-4


@pytest.mark.newest_host
def test_strength_zero_is_nothing(model, name):
    assert torch.equal(sample(apply_domain_adapter(model, name, 0.0, ALWAYS)), sample(model))


def test_other_files_are_refused(model, tmp_path):
    ordinary = put("loras", tmp_path / "ordinary.safetensors", {"lora_unet_x.lora_up.weight": torch.zeros(2, 2)})
    with pytest.raises(ValueError, match=r"ordinary.safetensors': this file is no domain adapter.*Load LoRA"):
        apply_domain_adapter(model, ordinary, 1.0, ALWAYS)
    assert "models/loras" in missing_adapter("nowhere.ckpt")


def test_wired_as_a_motion_lora_it_is_sent_here(model, tmp_path):
    put(files.MOTION_LORAS, tmp_path / "v3_sd15_adapter.safetensors", adapter_state_dict(model))
    with pytest.raises(ValueError, match="ZoetropeDomainAdapter"):
        lora.load_motion_lora("v3_sd15_adapter.safetensors", Strength())
