"""A run that is cut in parts is the same run: windows are placed by where a step lies in the noise schedule."""

import functools

import comfy.sample
import comfy.samplers
import pytest
import torch

from support.toy_models import unet as toy
from support.toy_models.files import animate, motion_model, relative_error
from zoetrope.host.call.schedule_place import step_at
from zoetrope.host.motion.view_windows import apply_views
from zoetrope.host.sampling.context_windows import apply_windows
from zoetrope.temporal.windows.settings import SCHEDULES, WindowSettings

STEPS = 4


def part(model, noise, latent, scheduler="normal", **cut):
    """Some steps of a run of four, as KSamplerAdvanced makes them."""
    positive, negative = toy.conditioning(), toy.conditioning(seed=6)
    return comfy.sample.sample(
        model, noise, STEPS, 2.0, "euler", scheduler, positive, negative, latent, disable_pbar=True, seed=1, **cut
    )


def in_two(model, noise, scheduler="normal"):
    first = part(model, noise, torch.zeros_like(noise), scheduler, last_step=2, force_full_denoise=False)
    return part(model, torch.zeros_like(noise), first, scheduler, disable_noise=True, start_step=2)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_two_stages_are_one_run(tmp_path, schedule):
    """The same steps on the same numbers; what is left is rounding of the latent between the stages."""
    settings = WindowSettings(length=4, overlap=2, schedule=schedule)
    model = apply_windows(animate(toy.toy_model_patcher(), motion_model(tmp_path)), settings)
    noise = toy.noise_for(6, 8)
    assert relative_error(in_two(model, noise), part(model, noise, torch.zeros_like(noise))) < 1e-5


@pytest.mark.newest_host
@pytest.mark.parametrize("scheduler", ["karras", "exponential", "simple", "ddim_uniform", "beta"])
def test_with_any_scheduler(scheduler):
    model = apply_windows(toy.toy_model_patcher(), WindowSettings(length=4, overlap=2, schedule="shifted"))
    noise = toy.noise_for(6, 8)
    whole = part(model, noise, torch.zeros_like(noise), scheduler)
    assert relative_error(in_two(model, noise, scheduler), whole) < 1e-5


@pytest.mark.newest_host
def test_views_too(tmp_path):
    settings = WindowSettings(length=4, overlap=2, schedule="shifted")
    model = apply_views(animate(toy.toy_model_patcher(), motion_model(tmp_path)), settings)
    noise = toy.noise_for(6, 8)
    assert relative_error(in_two(model, noise), part(model, noise, torch.zeros_like(noise))) < 1e-5


@functools.cache
def model_sampling():
    return toy.toy_model_patcher().get_model_object("model_sampling")


def numbers(scheduler, steps, begin=0):
    sampling = model_sampling()
    sigmas = comfy.samplers.calculate_sigmas(sampling, scheduler, steps)[begin:]
    return [step_at(sampling, sigmas, step) for step in range(len(sigmas) - 1)]


@pytest.mark.parametrize("scheduler", ["normal", "simple", "sgm_uniform", "ddim_uniform"])
@pytest.mark.parametrize("steps", [*range(2, 39), 40, 50, 100])
def test_evenly_spaced_steps_have_the_numbers_of_the_whole_run(scheduler, steps):
    """So that a run places its windows as before, and as core's Context Windows."""
    whole = numbers(scheduler, steps)
    assert whole == list(range(len(whole))) and len(whole) in (steps, steps + 1)  # ddim_uniform can be one step longer


@pytest.mark.parametrize("scheduler", comfy.samplers.SCHEDULER_NAMES)
def test_numbers_change_at_every_step_and_parts_have_the_same(scheduler):
    whole = numbers(scheduler, 20)
    repeated = sum(a == b for a, b in zip(whole, whole[1:], strict=False))
    assert repeated <= (scheduler == "linear_quadratic")  # begins with steps of less than one training step
    assert numbers(scheduler, 20, begin=10) == whole[10:]


def test_a_schedule_without_a_table_counts_from_the_run():
    assert step_at(torch.nn.Module(), torch.tensor([3.0, 2.0, 0.0]), 1) == 1
