"""The noise a clip really starts from, in core's samplers."""

import comfy.context_windows as core
import comfy.sample
import comfy.samplers
import pytest
import torch
from comfy.patcher_extension import WrappersMP
from comfy_extras import nodes_custom_sampler as custom

from support.toy_models import unet as toy
from zoetrope.host.call import keys
from zoetrope.host.sampling.clip_noise import apply_noise
from zoetrope.nodes.noise import ClipNoise
from zoetrope.temporal.noise import NoiseSettings, noise_sources

FRAMES = 8
FREENOISE = NoiseSettings(kind="freenoise", length=4, overlap=2)


@pytest.fixture(scope="module")
def real():
    return toy.toy_model_patcher()


@pytest.fixture
def model(real):
    """What reaches the sampler does not depend on the UNet; a stand-in is quick."""
    return toy.answer_with(real, lambda x, control, options: x * 0.5)


def starts(model, run):
    """Run ``run(model)`` and return what reached the sampler: noise after every node's work, before it is scaled."""
    seen = []

    def wrapper(executor, guider, sigmas, extra_args, callback, noise, *args):
        seen.append(noise.clone())
        return executor(guider, sigmas, extra_args, callback, noise, *args)

    model = model.clone()
    model.add_wrapper_with_key(WrappersMP.SAMPLER_SAMPLE, "zz_test", wrapper)
    run(model)
    return seen[0]


def ksampler(model, **options):
    toy.sample(model, frames=FRAMES, steps=1, **options)


def core_freenoise(model):
    model = toy.with_core_handler(model, "standard_static", "flat", 4, 2, freenoise=True)
    core.create_sampler_sample_wrapper(model)
    return model


def test_a_run_starts_from_the_noise_that_cores_freenoise_makes(model):
    theirs = starts(core_freenoise(model), ksampler)
    assert torch.equal(starts(apply_noise(model, FREENOISE), ksampler), theirs)
    assert torch.equal(theirs, toy.noise_for(FRAMES)[noise_sources(FREENOISE, FRAMES, 1)])
    assert not torch.equal(theirs, toy.noise_for(FRAMES))


def test_random_noise_of_the_custom_sampler_keeps_the_frames_numbers(model):
    """``batch_index`` says that the latents are frames 3 to 10; core draws their noise, ours only rearranges it."""
    latent = {"samples": torch.zeros(FRAMES, 4, toy.SIZE, toy.SIZE), "batch_index": list(range(3, 3 + FRAMES))}

    def run(model):
        guider = custom.CFGGuider.execute(model, toy.conditioning(), toy.conditioning(6), 2.0).args[0]
        noise, sampler = custom.RandomNoise.execute(9).args[0], comfy.samplers.sampler_object("euler")
        custom.SamplerCustomAdvanced.execute(noise, guider, sampler, torch.tensor([14.0, 0.0]), latent)

    numbered = comfy.sample.prepare_noise(latent["samples"], 9, latent["batch_index"])
    assert torch.equal(starts(model, run), numbered)
    expected = numbered[noise_sources(FREENOISE, FRAMES, 9)]
    assert torch.equal(starts(apply_noise(model, FREENOISE), run), expected)


def test_a_frame_with_its_own_seed_is_the_picture_that_core_makes_of_that_seed(real):
    clip = toy.sample(apply_noise(real, NoiseSettings(kind="default", frame_seeds=True)), frames=4)  # the seed is 1
    alone = toy.sample(real, noise=comfy.sample.prepare_noise(torch.zeros(1, 4, toy.SIZE, toy.SIZE), 1 + 3))
    assert toy.same(clip[3:], alone)


def test_a_second_sampler_that_adds_no_noise_gets_none(model):
    zeros = torch.zeros(FRAMES, 4, toy.SIZE, toy.SIZE)
    for settings in (FREENOISE, NoiseSettings(kind="default", seed_offset=1), NoiseSettings(frame_seeds=True)):
        assert not starts(apply_noise(model, settings), lambda m: ksampler(m, noise=zeros)).any()


def test_the_model_that_came_in_is_untouched_and_twice_is_the_last(model):
    plain = starts(model, ksampler)
    twice = apply_noise(apply_noise(model, NoiseSettings(kind="constant")), FREENOISE)
    assert len(twice.get_wrappers(WrappersMP.OUTER_SAMPLE, keys.CLIP_NOISE)) == 1
    assert torch.equal(starts(twice.clone(), ksampler), starts(apply_noise(model, FREENOISE), ksampler))
    assert torch.equal(starts(model, ksampler), plain)


def test_video_latents_are_refused(model):
    with pytest.raises(ValueError, match=r"Clip Noise needs image latents.*\(1, 4, 9, 16, 16\).*remove the node"):
        toy.sample(apply_noise(model, FREENOISE), noise=torch.zeros(1, 4, 9, toy.SIZE, toy.SIZE))


@pytest.mark.newest_host
def test_every_widget_arrives(model):
    (noisy,) = ClipNoise.execute(model, "repeated", 0.5, 8, 3, -2, True).args
    assert noisy.get_attachment(keys.CLIP_NOISE) == NoiseSettings(
        kind="repeated", blend=0.5, length=8, overlap=3, seed_offset=-2, frame_seeds=True
    )
    with pytest.raises(ValueError, match="window_overlap 16 must be smaller than window_length 16"):
        ClipNoise.execute(model, "freenoise", 1.0, 16, 16)
