"""FreeInit in core's samplers: what each iteration starts from and what is left of a run around it.

A sampler that records its start stands in for sampling where the start is the question.
"""

import comfy.hooks
import comfy.model_management
import comfy.samplers
import pytest
import torch
from comfy.patcher_extension import WrappersMP
from comfy_extras import nodes_custom_sampler as custom

from support.toy_models import unet as toy
from zoetrope.host.call import keys
from zoetrope.host.sampling.clip_noise import apply_noise
from zoetrope.host.sampling.context_windows import apply_windows
from zoetrope.host.sampling.free_init import apply_free_init
from zoetrope.nodes.noise import FreeInit
from zoetrope.temporal.free_init import FreeInitSettings, low_pass
from zoetrope.temporal.noise import NoiseSettings, derived_seed, draw_like
from zoetrope.temporal.windows.settings import WindowSettings

FRAMES = 6
SHAPE = (FRAMES, 4, toy.SIZE, toy.SIZE)
TWICE, THRICE = FreeInitSettings(iterations=2), FreeInitSettings(iterations=3)
SEED = 1  # of toy.sample


@pytest.fixture(scope="module")
def model():
    return toy.toy_model_patcher()


@pytest.fixture
def quick(model):
    """A stand-in for a UNet with motion, cheap enough to sample often."""
    return toy.answer_with(model, lambda x, control, options: x * 0.4 + x.mean(0) * 0.2)


def random(seed):
    return draw_like(torch.zeros(SHAPE), seed)


class Recorder:
    """A core sampler that notes each start and its seed, and answers with a clip of its own."""

    def __init__(self):
        self.starts, self.seeds, self.levels = [], [], []
        self.answers = [random(100 + number) for number in range(5)]
        self.sampler = comfy.samplers.KSAMPLER(self.sample)

    def sample(self, model, x, sigmas, extra_args, callback, disable):
        self.starts.append(x.clone())
        self.seeds.append(extra_args["seed"])
        self.levels.append(sigmas.tolist())
        answer = self.answers[len(self.starts) - 1]
        for step in range(len(sigmas) - 1):
            callback({"i": step, "denoised": answer, "x": x})
        return answer if sigmas[-1] == 0 else answer + sigmas[-1]

    def run(self, model, sigmas, latent=None, **options):
        latent = torch.zeros(SHAPE) if latent is None else latent
        guider = comfy.samplers.CFGGuider(model)
        guider.set_conds(toy.conditioning(), toy.conditioning(6))
        return guider.sample(random(0), latent, self.sampler, torch.tensor(sigmas), seed=SEED, **options)


def bands(clip):
    """The clip's low and high frequencies."""
    frequencies = torch.fft.rfftn(clip, dim=(0, 2, 3))
    low = torch.fft.irfftn(frequencies * low_pass(THRICE, FRAMES, toy.SIZE, toy.SIZE), s=[6, 16, 16], dim=(0, 2, 3))
    return low, clip - low


def fresh(number):
    return random(derived_seed(SEED, f"free init {number}"))


def close(a, b):
    return torch.allclose(a, b, atol=2e-5 * b.abs().max().item())


def test_every_iteration_starts_from_the_last_result_with_the_first_noise(model):
    """z = z0 + sigma eps0 below, eta above; eta as loud as core's full noise, which is sqrt(1 + sigma^2)."""
    top = float(model.get_model_object("model_sampling").sigma_max)
    recorder = Recorder()
    result = recorder.run(apply_free_init(model, THRICE), [top, 1.0, 0.0])
    full = (1 + top**2) ** 0.5
    assert close(recorder.starts[0], random(0) * full)
    for number in (1, 2):
        low, _ = bands(recorder.answers[number - 1] + top * random(0))
        _, high = bands(full * fresh(number))
        assert close(recorder.starts[number], low + high)
    assert toy.same(model.model.process_latent_in(result), recorder.answers[2])
    assert recorder.seeds[0] == SEED and len(set(recorder.seeds)) == 3


@pytest.mark.newest_host
def test_image_to_image_goes_back_to_the_first_level_and_keeps_the_images_detail(model):
    recorder, image = Recorder(), random(50)
    recorder.run(apply_free_init(model, TWICE), [3.0, 1.0, 0.0], latent=image)
    scaled = model.model.process_latent_in(image)
    assert close(recorder.starts[0], scaled + 3.0 * random(0))
    low, _ = bands(recorder.answers[0] + 3.0 * random(0))
    _, high = bands(scaled + 3.0 * fresh(1))
    assert close(recorder.starts[1], low + high)


@pytest.mark.newest_host
def test_a_run_that_stops_early_goes_on_from_what_it_predicts(model):
    """Its result still holds noise; the recorder adds 1.0."""
    recorder = Recorder()
    result = recorder.run(apply_free_init(model, TWICE), [9.0, 1.0])
    low, _ = bands(recorder.answers[0] + 9.0 * random(0))
    _, high = bands(9.0 * fresh(1))
    assert close(recorder.starts[1], low + high)
    assert toy.same(model.model.process_latent_in(result), recorder.answers[1] + 1.0)


@pytest.mark.newest_host
def test_progress_counts_all_iterations_and_fast_ones_are_short(model):
    recorder, seen = Recorder(), []
    levels = [9.0, 5.0, 2.0, 0.5, 0.0]
    run = {"callback": lambda step, x0, x, total: seen.append((step, total, x0))}
    recorder.run(apply_free_init(model, FreeInitSettings(iterations=3, fast=True)), levels, **run)
    assert recorder.levels == [[9.0, 0.0], [9.0, 2.0, 0.0], levels]
    assert [(step, total) for step, total, _ in seen] == [(step, 7) for step in range(7)]
    assert torch.equal(seen[-1][2], recorder.answers[2])


def test_one_iteration_and_runs_without_noise_are_as_without_bit_for_bit(quick):
    assert torch.equal(toy.sample(apply_free_init(quick, FreeInitSettings(iterations=1))), toy.sample(quick))
    second = {"latent": random(7), "noise": torch.zeros(SHAPE), "disable_noise": True, "steps": 4, "start_step": 2}
    assert torch.equal(toy.sample(apply_free_init(quick, THRICE), **second), toy.sample(quick, **second))


def test_the_model_that_came_in_is_untouched_and_twice_is_the_last(quick):
    plain = toy.sample(quick)
    once = apply_free_init(quick, TWICE)
    again = apply_free_init(apply_free_init(quick, FreeInitSettings(iterations=5)), TWICE)
    assert len(again.get_wrappers(WrappersMP.OUTER_SAMPLE, keys.FREE_INIT)) == 1
    assert torch.equal(toy.sample(again), toy.sample(once))
    assert not toy.same(toy.sample(once), plain)
    assert torch.equal(toy.sample(quick), plain)


def windowed_freenoise(model):
    model = toy.with_core_handler(model, "standard_static", "flat", 4, 2, freenoise=True)
    comfy.context_windows.create_sampler_sample_wrapper(model)
    return model


@pytest.mark.parametrize("core", [True, False])
def test_order_with_noise_and_windows_does_not_matter(quick, core):
    def other(model):
        noisy = apply_noise(model, NoiseSettings(length=4, overlap=2))
        return windowed_freenoise(model) if core else apply_windows(noisy, WindowSettings(length=4, overlap=2))

    first, last = other(apply_free_init(quick, TWICE)), apply_free_init(other(quick), TWICE)
    assert torch.equal(toy.sample(first, frames=FRAMES), toy.sample(last, frames=FRAMES))
    assert not toy.same(toy.sample(first, frames=FRAMES), toy.sample(apply_free_init(quick, TWICE), frames=FRAMES))


def test_windows_see_the_levels_of_the_iteration_under_way(model):
    seen = []

    def answer(x, control, options):
        seen.append(len(options["sample_sigmas"]) - 1)
        return x * 0.5

    watched = apply_free_init(toy.answer_with(model, answer), FreeInitSettings(iterations=2, fast=True))
    toy.sample(watched, frames=2, steps=4)
    assert seen == [2] * 2 + [4] * 4


@pytest.mark.parametrize("sampler", ["lcm", "dpmpp_2m_sde", "uni_pc", "ddim"])
def test_other_samplers_are_reproducible(quick, sampler):
    iterated = apply_free_init(quick, TWICE)
    first = toy.sample(iterated, frames=2, sampler=sampler)
    assert torch.equal(first, toy.sample(iterated, frames=2, sampler=sampler)) and first.isfinite().all()


def test_masked_areas_keep_the_image(quick):
    image, mask = random(50), torch.zeros(1, 1, toy.SIZE, toy.SIZE)
    mask[..., :8] = 1
    out = toy.sample(apply_free_init(quick, TWICE), noise=random(0), latent=image, noise_mask=mask)
    assert torch.allclose(out[..., 8:], image[..., 8:], atol=1e-5)
    assert not torch.allclose(out[..., :8], image[..., :8], atol=0.1)


def test_hook_keyframes_start_again_with_each_iteration(model):
    """The hook adds 1 to a bias in the second half of the run."""
    name, bias = "diffusion_model.out.2.bias", model.model.diffusion_model.out[2].bias
    hooks = comfy.hooks.create_hook_model_as_lora({name: bias + 1}, None, 1.0, 1.0)
    keys = comfy.hooks.HookKeyframeGroup()
    keys.add(comfy.hooks.HookKeyframe(strength=0.0, start_percent=0.0))
    keys.add(comfy.hooks.HookKeyframe(strength=1.0, start_percent=0.5))
    hooks.set_keyframes_on_hooks(keys)
    before, seen = bias.clone(), []
    watched = toy.watch(model, lambda x, control, options: seen.append(float((bias - before).mean())))
    toy.sample(apply_free_init(watched, TWICE), toy.conditioning(hooks=hooks), frames=2, steps=4, cfg=1.0)
    assert seen[:4] == seen[4:] and seen[0] == 0 and seen[3] == pytest.approx(1, abs=1e-5)
    assert torch.equal(bias, before)


def test_denoised_output_is_the_last_iterations(model):
    recorder = Recorder()
    guider = custom.CFGGuider.execute(apply_free_init(model, THRICE), toy.conditioning(), toy.conditioning(6), 2.0)
    noise, latent = custom.RandomNoise.execute(3).args[0], {"samples": torch.zeros(SHAPE)}
    run = (noise, guider.args[0], recorder.sampler, torch.tensor([9.0, 1.0]), latent)
    _, denoised = custom.SamplerCustomAdvanced.execute(*run).args
    assert toy.same(denoised["samples"], model.model.process_latent_out(recorder.answers[2]))


def test_interrupt_ends_the_run_before_the_next_iteration(model):
    recorder = Recorder()
    run = {"callback": lambda *step: comfy.model_management.interrupt_current_processing()}
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        recorder.run(apply_free_init(model, THRICE), [9.0, 0.0], **run)
    assert len(recorder.starts) == 1


def test_video_latents_are_refused(model):
    with pytest.raises(ValueError, match=r"FreeInit needs image latents.*\(1, 4, 9, 16, 16\).*remove the node"):
        toy.sample(apply_free_init(model, TWICE), noise=torch.zeros(1, 4, 9, toy.SIZE, toy.SIZE))


@pytest.mark.newest_host
def test_every_widget_arrives(quick):
    (iterated,) = FreeInit.execute(quick, 4, "box", 0.3, 0.6, 2, True).args
    expected = FreeInitSettings(iterations=4, kind="box", spatial_cutoff=0.3, temporal_cutoff=0.6, order=2, fast=True)
    assert iterated.get_attachment(keys.FREE_INIT) == expected
    (usual,) = FreeInit.execute(quick, 3, "butterworth", 0.25, 0.25).args
    assert usual.get_attachment(keys.FREE_INIT) == FreeInitSettings()
