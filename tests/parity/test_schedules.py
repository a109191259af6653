"""Noise levels and visited timesteps against diffusers' schedulers with the published configurations.

Published configurations: guoyww/AnimateDiff ``inference-v*.yaml`` (DDIM, ``linear``) and ``sdxl`` branch (Euler,
``scaled_linear`` to 0.020); G-U-N/AnimateLCM ``animatelcm_sd15`` (LCM, ``linear``, 100 original steps; I2V to 0.014 with
200). The names of the curves are diffusers'.
"""

import comfy.samplers
import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, LCMScheduler

from support.toy_models import unet as toy
from zoetrope.host.motion import noise_schedule as betas
from zoetrope.motion_models.families import FAMILIES

PUBLISHED = {
    "sqrt_linear": (DDIMScheduler, "linear", 0.012, 1000),
    "linear": (EulerDiscreteScheduler, "scaled_linear", 0.012, 1000),
    "linear_sdxl_beta": (EulerDiscreteScheduler, "scaled_linear", 0.020, 1000),
    "lcm_100": (LCMScheduler, "linear", 0.012, 100),
    "lcm_i2v": (LCMScheduler, "linear", 0.014, 200),
}


def sampling(name):
    model = toy.toy_model_patcher().clone()
    betas.apply_schedule(model, name)
    return model.get_model_object("model_sampling")


def visited_by(sampling, scheduler, steps):
    """Timesteps at which ComfyUI calls the UNet."""
    sigmas = comfy.samplers.calculate_sigmas(sampling, scheduler, steps)
    return [int(sampling.timestep(sigma.view(1))) for sigma in sigmas if sigma > 0]


@pytest.mark.parametrize("name", PUBLISHED)
def test_table(name, relative_error):
    scheduler, curve, end, entries = PUBLISHED[name]
    alphas = scheduler(beta_start=0.00085, beta_end=end, beta_schedule=curve).alphas_cumprod.double()
    theirs = ((1 - alphas) / alphas).sqrt()
    step = len(theirs) // entries
    ours = sampling(name).sigmas.double()
    assert relative_error(name, f"diffusers {scheduler.__name__}, noise levels", ours, theirs[step - 1 :: step]) < 1e-5


@pytest.mark.parametrize("steps", [2, 4, 6, 8])
@pytest.mark.parametrize("family", ["animatelcm", "animatelcm_i2v"])
def test_lcm_visits_the_published_timesteps(family, steps):
    """LCMScheduler takes every (original / steps)-th entry of its training steps, from the noisiest one on.

    ComfyUI's ``simple`` takes the same entries; ``sgm_uniform`` divides the span evenly and rounds, so it is at most one
    entry off.
    """
    row = next(row for row in FAMILIES if row.name == family)
    _, curve, end, original = PUBLISHED[row.beta_schedule]
    scheduler = LCMScheduler(beta_start=0.00085, beta_end=end, beta_schedule=curve, original_inference_steps=original)
    scheduler.set_timesteps(steps)
    ours = sampling(row.beta_schedule)
    published = scheduler.timesteps.tolist()
    assert visited_by(ours, "simple", steps) == published
    advised = visited_by(ours, row.advised_scheduler, steps)
    assert advised[0] == published[0]
    assert max(abs(a - b) for a, b in zip(advised, published, strict=True)) <= 1000 // original


def test_ddim_uniform_visits_the_published_timesteps():
    """25 steps of DDIM with steps_offset 1: 961, 921, ... 1."""
    ours = sampling("sqrt_linear")
    scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="linear", steps_offset=1)
    scheduler.set_timesteps(25)
    assert visited_by(ours, "ddim_uniform", 25) == scheduler.timesteps.tolist()


@pytest.mark.parametrize(("family", "surplus"), [("sdxl_beta", []), ("hotshot_xl", [991])])
def test_sdxl_families_visit_the_published_timesteps(family, surplus):
    """Euler with leading spacing and steps_offset 1, as the sdxl branch and SDXL's own configuration have it.

    ComfyUI's ``ddim_uniform`` goes on to the end of the table where the number of steps does not divide 1000: 30 steps
    become 31, the first of them at 991.
    """
    row = next(row for row in FAMILIES if row.name == family)
    scheduler = EulerDiscreteScheduler(beta_schedule="scaled_linear", timestep_spacing="leading", steps_offset=1)
    scheduler.set_timesteps(row.advised_steps)
    published = [int(step) for step in scheduler.timesteps]
    assert visited_by(sampling(row.beta_schedule), row.advised_scheduler, row.advised_steps) == surplus + published


def test_lightning_visits_the_published_timesteps():
    """Euler with trailing spacing: 999, 749, 499, 249 for four steps."""
    ours = sampling("sqrt_linear")
    scheduler = EulerDiscreteScheduler(beta_schedule="linear", timestep_spacing="trailing")
    scheduler.set_timesteps(4)
    visited = torch.tensor(visited_by(ours, "sgm_uniform", 4))
    assert (visited - scheduler.timesteps).abs().max() <= 1
