"""Loss and gradients of a training step against diffusers' UNetMotionModel with the same weights, clip, noise and text.

The motion norm of the reference is made per frame, as the published code of v3 has it. PEFT is not needed: the gradients of
a low-rank pair are those of its weight, G: up gets G down^T, and down up^T G.
"""

import pytest
import torch

from support.references.diffusers_unets import motion_unet
from support.toy_models import unet as toy
from support.toy_models.files import motion_model
from support.toy_models.motion import diffusers_layout, motion_state_dict
from support.toy_training import one_loss, ready
from support.training_clips import FRAMES, ToyClips
from zoetrope.host.training.motion_lora import MotionLoraOptions, motion_lora_target
from zoetrope.host.training.motion_model import motion_model_target
from zoetrope.motion_models.checkpoints.write_motion_model import published_motion_model
from zoetrope.training.losses import debiased_loss

TIMESTEP = 500
ALPHAS = torch.cumprod(1 - torch.linspace(0.00085, 0.012, 1000, dtype=torch.float64), dim=0)  # "linear" of diffusers


def reference(base, motion_file):
    """(UNet with gradients in its motion modules, its prediction, the noise) of the clip that `one_loss` takes."""
    clips = ToyClips()
    latents = clips.latents(0, range(FRAMES))[None]
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(3))
    unet = motion_unet(base, motion_file, per_frame=True)
    for name, weight in unet.named_parameters():
        weight.requires_grad_("motion_modules" in name)
    alpha = ALPHAS[TIMESTEP]
    x = (alpha.sqrt() * latents * 0.18215 + (1 - alpha).sqrt() * noise).float()
    text = clips.text("a red ball")["cross_attn"].expand(FRAMES, -1, -1)
    predicted = unet(x.transpose(1, 2), torch.tensor([TIMESTEP]), text).sample.transpose(1, 2)
    return unet, predicted, noise


def reference_gradients(base, motion_file):
    """(loss, gradients by diffusers' names)."""
    unet, predicted, noise = reference(base, motion_file)
    loss = torch.nn.functional.mse_loss(predicted.float(), noise.float())
    loss.backward()
    found = ((name.replace(".norm.norm.", ".norm."), w.grad) for name, w in unet.named_parameters())
    return loss.detach(), {name: gradient for name, gradient in found if "motion_modules" in name}


# Behind the last module comes a norm of one channel a group at this width, which takes every constant away: the true
# gradients of the last biases before it are 0, and what is left is rounding.
ZERO = tuple(f"up_blocks.3.motion_modules.2.{name}.bias" for name in ("proj_out", "transformer_blocks.0.ff.net.2"))


def worst(ours, theirs):
    """Largest relative error of all gradients."""
    assert ours.keys() == theirs.keys()
    largest = max(gradient.norm() for gradient in theirs.values())
    assert all(
        gradients[name].norm() < 1e-6 * largest for gradients in (ours, theirs) for name in ZERO if name in theirs
    )
    return max(((ours[name] - theirs[name]).norm() / theirs[name].norm()).item() for name in theirs if name not in ZERO)


@pytest.fixture(scope="module")
def base():
    return toy.toy_model_patcher()


def test_loss_and_gradients_of_a_motion_model(base, tmp_path):
    motion = motion_model(tmp_path, "v3")
    with ready(motion_model_target(base, motion, seed=0)) as (weights, predictor):
        loss, predicted, noise = one_loss(predictor, (TIMESTEP,))
        gradients = {name: weight.grad for name, weight in weights.items()}
    positions = {n: w for n, w in motion.patcher.model.state_dict().items() if n.endswith(".positions")}
    ours = diffusers_layout(published_motion_model(motion.spec, {**gradients, **positions}), stored_positions=False)
    expected, theirs = reference_gradients(base, motion_state_dict("v3"))
    assert abs(loss - expected) / expected < 1e-5
    assert len(ours) == 20 * 26 and worst(ours, theirs) < 1e-4  # 26 weights a module with q, k and v apart
    other = reference(base, motion_state_dict("v3"))[1].detach()
    for frame in (0, FRAMES - 1):
        a, b = 2**0.5, 1.0
        mse = torch.nn.functional.mse_loss
        debiased = mse(a * other - b * other[:, [frame]], a * noise - b * noise[:, [frame]]) + mse(other, noise)
        found = debiased_loss(predicted, noise, [frame])
        assert abs(found - debiased) / debiased < 1e-5


def test_gradients_of_a_motion_lora(base, tmp_path):
    target = motion_lora_target(base, motion_model(tmp_path, "v3"), MotionLoraOptions(rank=3), seed=5)
    with ready(target) as (weights, predictor):
        with torch.no_grad():
            for number, (name, weight) in enumerate(weights.items()):
                if name.endswith(".up"):
                    weight.copy_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(number)))
        loss, _, _ = one_loss(predictor, (TIMESTEP,))
        pairs = target.file({name: weight.detach().clone() for name, weight in weights.items()})
        gradients = target.file({name: weight.grad for name, weight in weights.items()})
    merged, halves = motion_state_dict("v3"), {}
    for name, down in pairs.items():
        if name.endswith("down.weight"):
            # Source: guoyww/AnimateDiff ``convert_lora_safetensor_to_diffusers.py``, ``load_diffusers_lora``.
            layer = name.replace("processor.", "").replace("_lora.down", "").replace("to_out.", "to_out.0.")
            halves[layer] = (name.replace("down.", "up."), pairs[name.replace("down.", "up.")], name, down)
            merged[layer] = merged[layer] + halves[layer][1] @ down
    expected, by_weight = reference_gradients(base, merged)
    assert abs(loss - expected) / expected < 1e-5
    theirs = {}
    for layer, (up_name, up, down_name, down) in halves.items():
        (of_weight,) = (by_weight[name] for name in diffusers_layout({layer: up}))
        theirs |= {up_name: of_weight @ down.T, down_name: up.T @ of_weight}
    assert len(theirs) == 320 and worst(gradients, theirs) < 1e-4
