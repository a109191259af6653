"""One whole UNet call of each family against another implementation with the same weights.

References: diffusers' UNetMotionModel, stock for SDXL-beta, with its motion norm made per frame for v2 and v3 (the
published code's statistics); the 5-D restatement in ``unet_5d`` for v1, HotshotXL and PIA. long, lightning and
animatelcm are v2's network with other positions, and their positions are compared as well; animatelcm_i2v has features
of an image besides.
"""

import pytest
import torch
from einops import rearrange

from support.references.diffusers_unets import motion_unet
from support.references.unet_5d import unet_5d
from support.toy_models import sdxl as toy_sdxl
from support.toy_models import unet as toy
from support.toy_models.files import animate, put
from support.toy_models.motion import SHAPES, motion_state_dict
from zoetrope.host.call.strength import strength_of
from zoetrope.host.conditioners.animatelcm_i2v import ImageReferenceConditioner
from zoetrope.host.conditioners.pia import PiaConditioner
from zoetrope.host.loading import model_files as files
from zoetrope.host.motion.load import load_motion_model
from zoetrope.motion_models.networks.positions import sinusoidal_positions

FRAMES = 5
FILE_NAMES = {"lightning": "animatediff_lightning_4step.safetensors"}
IN_DIFFUSERS = ["v2", "v3", "long", "lightning", "animatelcm", "sdxl_beta"]


def is_sdxl(family):
    return SHAPES[family][2] == 3


def one_call(directory, family, chunks, conditioners=()):
    """(MODEL, motion model, arguments and result of one UNet call)."""
    name = FILE_NAMES.get(family, f"{family}.safetensors")
    motion = load_motion_model(put(files.MOTION_MODELS, directory / name, motion_state_dict(family)))
    assert motion.spec.family.name == family
    base = toy_sdxl.toy_sdxl_patcher() if is_sdxl(family) else toy.toy_model_patcher()
    model = animate(base, motion, schedule="use_existing", conditioners=conditioners)
    captured = []

    def capture(executor, x, timesteps, context, *args, **kwargs):
        out = executor(x, timesteps, context, *args, **kwargs)
        y = args[0] if args else kwargs.get("y")
        captured.append({"x": x, "timesteps": timesteps, "context": context, "y": y, "out": out})
        return out

    model.add_wrapper_with_key("diffusion_model", "capture", capture)
    run = toy_sdxl.sample if is_sdxl(family) else toy.sample
    run(model, frames=FRAMES, steps=1, cfg=1.0 if chunks == 1 else 2.0)
    assert captured[0]["x"].shape[0] == FRAMES * chunks
    return base, motion, captured[0]


def clip(x):
    return rearrange(x, "(b f) c h w -> b c f h w", f=FRAMES)


def frames(x):
    return rearrange(x, "b c f h w -> (b f) c h w")


def add_before(module, rows_FCHW):
    """Add to what enters one module of diffusers, the same to each chunk."""

    def add(_, args):
        x, *rest = args
        return (x + rows_FCHW.repeat(len(x) // FRAMES, 1, 1, 1), *rest)

    module.register_forward_pre_hook(add)


def in_diffusers(base, family, call, per_frame, features=()):
    file = {key: weight for key, weight in motion_state_dict(family).items() if not key.startswith("img_encoder.")}
    if SHAPES[family][1] is None:  # these files store no positions; 64 sinusoids are what the authors' code computes
        for name in [name for name in file if name.endswith("to_q.weight")]:
            file[name.replace("to_q.weight", "pos_encoder.pe")] = sinusoidal_positions(64, toy.WIDTH)
    unet = motion_unet(base, file, sdxl=is_sdxl(family), per_frame=per_frame)
    for block, rows in zip(unet.down_blocks, features, strict=False):
        add_before(block.motion_modules[1], rows)
    added = None
    if call["y"] is not None:
        # diffusers embeds the six numbers itself and puts the pooled prompt in front; ours come embedded, so the layer
        # behind both gets ours.
        unet.add_time_proj = torch.nn.Identity()
        numbers = call["y"][::FRAMES, toy_sdxl.POOLED :]
        added = {"text_embeds": call["y"][::FRAMES, : toy_sdxl.POOLED], "time_ids": numbers}
    steps = call["timesteps"][::FRAMES]
    return frames(unet(clip(call["x"]), steps, call["context"], added_cond_kwargs=added).sample)


@pytest.mark.parametrize("chunks", [1, 2])
@pytest.mark.parametrize("family", IN_DIFFUSERS)
def test_unet_equals_diffusers(tmp_path, family, chunks, relative_error):
    base, _, call = one_call(tmp_path, family, chunks)
    stock = family == "sdxl_beta"
    theirs = in_diffusers(base, family, call, per_frame=not stock)
    reference = "diffusers UNetMotionModel, " + ("stock" if stock else "motion norm per frame")
    assert relative_error(family, reference, call["out"], theirs) < 2e-5


@pytest.mark.parametrize("chunks", [1, 2])
def test_image_to_video_unet_equals_diffusers(tmp_path, chunks, relative_error):
    """Features of the image enter before the second motion module of each level on the way down, for both prompts.

    Source: G-U-N/AnimateLCM ``animatelcm_sd15/animatelcm/models/unet_blocks.py``, ``CrossAttnDownBlock3D`` and
    ``DownBlock3D``. The encoder that makes the features has its own test.
    """
    image = torch.randn(1, 4, toy.SIZE, toy.SIZE, generator=torch.Generator().manual_seed(8)) / 0.18215
    base, motion, call = one_call(tmp_path, "animatelcm_i2v", chunks, (ImageReferenceConditioner(image, drift=0.8),))
    features = motion.patcher.model.image_encoder(image * 0.18215, FRAMES, 0.8)
    theirs, without = (in_diffusers(base, "animatelcm_i2v", call, True, added) for added in (features, ()))
    reference = "diffusers UNetMotionModel, motion norm per frame"
    assert relative_error("animatelcm_i2v", reference, call["out"], theirs) < 2e-5
    assert ((call["out"] - without).norm() / without.norm()) > 1e-3


@pytest.mark.parametrize("family", ["v2", "v3", "sdxl_beta"])
def test_the_other_norm_differs(tmp_path, family):
    """The published modules of v2 and v3 are not what stock diffusers computes, and SDXL-beta is; so the test can fail."""
    base, _, call = one_call(tmp_path, family, 1)
    other = in_diffusers(base, family, call, per_frame=family == "sdxl_beta")
    assert ((call["out"] - other).norm() / other.norm()) > 1e-3


@pytest.mark.parametrize("chunks", [1, 2])
@pytest.mark.parametrize("family", ["v1", "hotshot_xl"])
def test_unet_equals_the_5d_restatement(tmp_path, family, chunks, relative_error):
    base, motion, call = one_call(tmp_path, family, chunks)
    theirs = unet_5d(
        base.model.diffusion_model,
        motion.patcher.model,
        clip(call["x"]),
        call["timesteps"],
        call["context"],
        call["y"],
    )
    assert relative_error(family, "5-D restatement of the published UNet", call["out"], frames(theirs)) < 2e-5


@pytest.mark.parametrize("chunks", [1, 2])
def test_pia_unet_equals_the_5d_restatement(tmp_path, chunks, relative_error):
    """The first convolution has the nine inputs noisy latent, affinity, condition latent * 0.18215."""
    image = torch.randn(1, 4, toy.SIZE, toy.SIZE, generator=torch.Generator().manual_seed(8)) / 0.18215
    affinities = [1.0, 0.9, 0.85, 0.85, 0.85]
    guide = PiaConditioner(image, "motion_small", values=strength_of(affinities, "affinity"))
    base, motion, call = one_call(tmp_path, "pia", chunks, (guide,))
    rows = torch.tensor(affinities).view(FRAMES, 1, 1, 1).expand(-1, 1, toy.SIZE, toy.SIZE)
    condition = torch.cat((rows, (image * 0.18215).expand(FRAMES, -1, -1, -1)), dim=1)
    theirs = unet_5d(
        base.model.diffusion_model,
        motion.patcher.model,
        clip(call["x"]),
        call["timesteps"],
        call["context"],
        image_input=clip(condition.repeat(chunks, 1, 1, 1)),
    )
    assert relative_error("pia", "5-D restatement of the published UNet", call["out"], frames(theirs)) < 2e-5


def test_per_frame_norms_would_differ(tmp_path):
    """HotshotXL's weights with SDXL-beta's statistics are far away, so the test above can fail."""
    base, motion, call = one_call(tmp_path, "hotshot_xl", 1)
    network = motion.patcher.model
    unet = base.model.diffusion_model
    context = (call["timesteps"], call["context"], call["y"])
    alone = torch.cat(
        [unet_5d(unet, network, clip(call["x"])[:, :, [f]], *(c[[f]] for c in context)) for f in range(FRAMES)]
    )
    assert ((call["out"] - frames(alone)).norm() / call["out"].norm()) > 1e-2
