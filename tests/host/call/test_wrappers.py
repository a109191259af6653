"""Wrappers beside packs that put a function of their own, without the host's names, in a host function's place."""

import comfy.model_base
import comfy.sampler_helpers
import comfy.samplers
import torch

from support.toy_models import unet as toy
from support.toy_models.files import animate, motion_model, put
from zoetrope.host.call.sampling_range import SamplingRange
from zoetrope.host.call.strength import Strength
from zoetrope.host.lora.unet_lora import apply_lora
from zoetrope.host.progress.live_preview import play_while_sampling
from zoetrope.host.prompts.cfg_per_frame import apply_guidance, guidance_of
from zoetrope.host.sampling.clip_noise import apply_noise
from zoetrope.host.sampling.context_windows import apply_windows
from zoetrope.host.sampling.free_init import apply_free_init
from zoetrope.temporal.free_init import FreeInitSettings
from zoetrope.temporal.noise import NoiseSettings
from zoetrope.temporal.values.schedule import parse_value_schedule
from zoetrope.temporal.windows.settings import WindowSettings

REPLACED = (
    (comfy.samplers.CFGGuider, "outer_sample"),
    (comfy.samplers.CFGGuider, "predict_noise"),
    (comfy.model_base.BaseModel, "_apply_model"),
    (comfy.sampler_helpers, "_prepare_sampling"),
)


def with_everything(folder):
    """A MODEL with every kind of wrapper of ours."""
    layer = "diffusion_model.input_blocks.2.1.transformer_blocks.0.attn1.to_q"
    pair = {f"{layer}.lora_up.weight": torch.ones(32, 2), f"{layer}.lora_down.weight": torch.ones(2, 32)}
    ramp = Strength(1.0, (parse_value_schedule("0: 0, -1: 1"),))
    model = apply_lora(toy.toy_model_patcher(), put("loras", folder / "style.safetensors", pair), ramp, SamplingRange())
    model = apply_guidance(model, guidance_of([1.0, 4.0, 2.0, 7.0, 3.0, 5.0], SamplingRange(), None))
    model = apply_noise(model, NoiseSettings(kind="freenoise", length=4, overlap=2))
    model = apply_free_init(model, FreeInitSettings(iterations=2))
    model = animate(model, motion_model(folder, "v2"))
    play_while_sampling(model)
    return apply_windows(model, WindowSettings(length=4, overlap=2))


def of_another_pack(called, place):
    original = getattr(*place)

    def replacement(*args, **kwargs):
        called[place] += 1
        return original(*args, **kwargs)

    return replacement


def test_functions_that_only_take_args_change_nothing(tmp_path, monkeypatch):
    model = with_everything(tmp_path)
    expected = toy.sample(model, frames=6)
    called = dict.fromkeys(REPLACED, 0)
    for owner, name in REPLACED:
        monkeypatch.setattr(owner, name, of_another_pack(called, (owner, name)))
    assert torch.equal(toy.sample(model, frames=6), expected)
    assert all(called.values())
