"""Every family at toy size in all four sampling hosts of ComfyUI."""

from dataclasses import dataclass

import comfy.samplers
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from comfy_extras import nodes_custom_sampler as custom

import nodes
from support.files.camera import camera_file
from support.toy_models import sdxl as toy_sdxl
from support.toy_models import unet as toy
from support.toy_models.files import animate, put, relative_error
from support.toy_models.motion import SHAPES, motion_state_dict
from zoetrope.host.call.strength import Strength
from zoetrope.host.conditioners import camera_ctrl as camera
from zoetrope.host.conditioners.animatelcm_i2v import ImageReferenceConditioner
from zoetrope.host.conditioners.pia import PiaConditioner
from zoetrope.host.loading import model_files as files
from zoetrope.host.motion.load import load_motion_model
from zoetrope.motion_models.camera_poses import motion_poses
from zoetrope.motion_models.families import Family

FRAMES, STEPS, SEED = 3, 2, 1
SDXL = [name for name, (_, _, levels) in SHAPES.items() if levels == 3]
SIZE = 8  # of the latent
CAMERA = "v3 with CameraCtrl"
FILE_NAMES = {"lightning": "animatediff_lightning_2step.safetensors"}
IMAGE = torch.randn(1, 4, SIZE, SIZE, generator=torch.Generator().manual_seed(8)) / 0.18215
GUIDES = {"pia": (PiaConditioner(IMAGE, "motion_medium"),), "animatelcm_i2v": (ImageReferenceConditioner(IMAGE),)}


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


@dataclass(frozen=True)
class Case:
    """A family at toy size, and what core's KSampler makes of it."""

    row: Family
    model: ModelPatcher
    prompts: tuple
    moving: torch.Tensor  # (F, 4, SIZE, SIZE)
    still: torch.Tensor  # the same with motion modules that add nothing, as untrained ones


def animated(directory, name, base, gain):
    """(family, MODEL) of a motion file whose modules end in weights of size ``gain``."""
    family = "v3" if name == CAMERA else name
    path = directory / f"gain_{gain}_{FILE_NAMES.get(name, family + '.safetensors')}"
    motion = load_motion_model(put(files.MOTION_MODELS, path, motion_state_dict(family, gain=gain)))
    assert motion.spec.family.name == family
    conditioners = camera_guides(directory, motion) if name == CAMERA else GUIDES.get(name, ())
    return motion.spec.family, animate(base, motion, conditioners=conditioners)


def camera_guides(directory, motion):
    """A camera that pans over v3, which CameraCtrl was trained with."""
    name = put(files.MOTION_MODELS, directory / "CameraCtrl_pruned.safetensors", camera_file((toy.WIDTH,) * 4))
    return (camera.camera_conditioner(name, motion.spec, motion_poses([("pan_left", 4.0)], FRAMES), Strength()),)


def latent():
    return {"samples": torch.zeros(FRAMES, 4, SIZE, SIZE)}


@pytest.fixture(scope="module", params=[*SHAPES, CAMERA])
def case(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp("family")
    source = toy_sdxl if request.param in SDXL else toy
    base = toy_sdxl.toy_sdxl_patcher() if source is toy_sdxl else toy.toy_model_patcher()
    prompts = source.conditioning(), source.conditioning(seed=6)
    row, model = animated(directory, request.param, base, 0.5)
    _, untrained = animated(directory, request.param, base, 0.0)
    moving, still = (k_sampler(m, row, *prompts, latent())["samples"] for m in (model, untrained))
    return Case(row, model, prompts, moving, still)


def test_motion_moves_frames(case):
    assert case.moving.shape == (FRAMES, 4, SIZE, SIZE)
    assert case.moving.isfinite().all()
    assert relative_error(case.moving, case.still) > 1e-3
    assert (case.moving[1:] - case.moving[:-1]).flatten(1).norm(dim=1).min() > 0


@pytest.mark.parametrize("host", [k_sampler_advanced, sampler_custom, sampler_custom_advanced])
def test_every_host_samples_every_family(case, host):
    """The same seed, sampler and noise levels: the four hosts are one computation."""
    assert toy.same(host(case.model, case.row, *case.prompts, latent())["samples"], case.moving)
