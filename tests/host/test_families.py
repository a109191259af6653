"""Every family at toy size in all four sampling hosts of ComfyUI."""

import comfy.samplers
import pytest
import torch
import toy_sdxl
from comfy_extras import nodes_custom_sampler as custom

import nodes
import toy
from toy_files import animate, put
from toy_motion import SHAPES, motion_state_dict
from zoetrope.host import files
from zoetrope.host.image_reference import ImageReferenceGuide
from zoetrope.host.motion import load_motion_model
from zoetrope.host.pia import PiaGuide

FRAMES, STEPS, SEED = 4, 2, 1
FILE_NAMES = {"lightning": "animatediff_lightning_2step.safetensors"}
IMAGE = torch.randn(1, 4, toy.SIZE, toy.SIZE, generator=torch.Generator().manual_seed(8)) / 0.18215
GUIDES = {"pia": (PiaGuide(IMAGE, "motion_medium"),), "animatelcm_i2v": (ImageReferenceGuide(IMAGE),)}


def run(node, *args):
    """Result of a core node of either generation."""
    if hasattr(node, "execute"):
        return node.execute(*args).args
    return getattr(node(), node.FUNCTION)(*args)


def k_sampler(model, family, positive, negative, latent):
    return run(nodes.KSampler, model, SEED, STEPS, 2.0, *settings(family), positive, negative, latent)[0]


def k_sampler_advanced(model, family, positive, negative, latent):
    return run(
        nodes.KSamplerAdvanced,
        *(model, "enable", SEED, STEPS, 2.0, *settings(family), positive, negative, latent),
        *(0, STEPS, "disable"),
    )[0]


def sampler_custom(model, family, positive, negative, latent):
    sampler, sigmas = parts(model, family)
    return run(custom.SamplerCustom, model, True, SEED, 2.0, positive, negative, sampler, sigmas, latent)[0]


def sampler_custom_advanced(model, family, positive, negative, latent):
    sampler, sigmas = parts(model, family)
    (noise,) = run(custom.RandomNoise, SEED)
    (guider,) = run(custom.CFGGuider, model, positive, negative, 2.0)
    return run(custom.SamplerCustomAdvanced, noise, guider, sampler, sigmas, latent)[0]


def settings(family):
    return family.advised_sampler, family.advised_scheduler


def parts(model, family):
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), family.advised_scheduler, STEPS)
    return comfy.samplers.sampler_object(family.advised_sampler), sigmas


@pytest.fixture(scope="module", params=SHAPES)
def family(request, tmp_path_factory):
    """(family, MODEL with motion, the same MODEL with the motion modules off, prompts)."""
    name = FILE_NAMES.get(request.param, f"{request.param}.safetensors")
    path = tmp_path_factory.mktemp("family") / name
    motion = load_motion_model(put(files.MOTION_MODELS, path, motion_state_dict(request.param)))
    assert motion.spec.family.name == request.param
    sdxl = SHAPES[request.param][2] == 3
    base, prompt = (
        (toy_sdxl.toy_sdxl_patcher(), toy_sdxl.conditioning) if sdxl else (toy.toy_model_patcher(), toy.conditioning)
    )
    guides = GUIDES.get(request.param, ())
    moving = animate(base, motion, guides=guides)
    still = animate(base, motion, effect=0.0)
    return motion.spec.family, moving, still, (prompt(), prompt(seed=6))


@pytest.mark.parametrize("host", [k_sampler, k_sampler_advanced, sampler_custom, sampler_custom_advanced])
def test_every_host_samples_every_family(family, host):
    row, moving, still, prompts = family
    latent = {"samples": torch.zeros(FRAMES, 4, toy.SIZE, toy.SIZE)}
    with_motion, without = (host(model, row, *prompts, dict(latent))["samples"] for model in (moving, still))
    assert with_motion.shape == (FRAMES, 4, toy.SIZE, toy.SIZE)
    assert with_motion.isfinite().all()
    assert ((with_motion - without).norm() / without.norm()) > 1e-3
    assert (with_motion[1:] - with_motion[:-1]).flatten(1).norm(dim=1).min() > 0


def test_the_hosts_agree(family):
    """The same seed, sampler and noise levels: the four hosts are one computation."""
    row, moving, _, prompts = family
    latent = {"samples": torch.zeros(FRAMES, 4, toy.SIZE, toy.SIZE)}
    one, other = (host(moving, row, *prompts, dict(latent))["samples"] for host in (k_sampler, sampler_custom_advanced))
    assert toy.same(one, other)
