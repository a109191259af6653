"""Loss and gradients of a training step against diffusers' UNetMotionModel with the same weights, clip, noise and text;
its readers on our files.

The motion norm of the reference is made per frame, as the published code of v3 has it. PEFT is not needed: the gradients of
a low-rank pair are those of its weight, G: up gets G down^T, and down up^T G.
"""

import pytest
import torch
from diffusers import AnimateDiffPipeline, DDIMScheduler, MotionAdapter
from diffusers.loaders import StableDiffusionLoraLoaderMixin
from safetensors.torch import load_file

from support.references.diffusers_unets import motion_unet
from support.toy_models import unet as toy
from support.toy_models.files import motion_model
from support.toy_models.motion import diffusers_layout, motion_state_dict
from support.toy_training import files_in, one_loss, ready
from support.training_clips import FRAMES, ToyClips
from zoetrope.host.training.motion_lora import MotionLoraOptions, motion_lora_target
from zoetrope.host.training.motion_model import motion_model_target
from zoetrope.motion_models.checkpoints.motion_model import read_motion_checkpoint
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
    return unet, seen_by(unet, latents, noise), noise


def seen_by(unet, latents, noise):
    """The noise that diffusers' UNet sees in the clip."""
    alpha = ALPHAS[TIMESTEP]
    x = (alpha.sqrt() * latents * 0.18215 + (1 - alpha).sqrt() * noise).float()
    text = ToyClips().text("a red ball")["cross_attn"].expand(FRAMES, -1, -1)
    return unet(x.transpose(1, 2), torch.tensor([TIMESTEP]), text).sample.transpose(1, 2)


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


@pytest.mark.parametrize("shape", ["v3", "v2"])
def test_diffusers_reads_a_motion_model(base, tmp_path, shape):
    """Its converter leaves positions out, which its module computes itself; all else comes from the file."""
    target, files = motion_model_target(base, shape, seed=1), files_in(tmp_path)
    file = target.file({name: getattr(layer, own).detach() for name, (layer, own) in target.holders.items()})
    files.write_result(file)
    assert read_motion_checkpoint(load_file(files.result))[0].family.name == shape
    config = {"block_out_channels": (toy.WIDTH,) * 4, "use_motion_mid_block": shape == "v2"}
    MotionAdapter(**config, motion_num_attention_heads=8, motion_max_seq_length=32).save_config(tmp_path / "config")
    adapter = MotionAdapter.from_single_file(str(files.result), config=str(tmp_path / "config"))
    read, expected = adapter.state_dict(), diffusers_layout(file)
    assert read.keys() == expected.keys()
    for name, weight in read.items():
        assert torch.allclose(weight, expected[name], rtol=0, atol=1e-6 if name.endswith(".pe") else 0), name


@pytest.fixture(scope="module")
def trained_lora(base, tmp_path_factory):
    """(MotionLoRA in the layout of diffusers, what our MODEL sees with it)."""
    motion = motion_model(tmp_path_factory.mktemp("motion"), "v3")
    target = motion_lora_target(base, motion, MotionLoraOptions(rank=3, layout="diffusers", feed_forward=True), seed=5)
    with ready(target) as (weights, predictor):
        with torch.no_grad():
            for number, (name, weight) in enumerate(weights.items()):
                if name.endswith(".up"):
                    weight.copy_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(number)))
        predicted = one_loss(predictor, (TIMESTEP,), backward=False)[1]
        return target.file({name: weight.detach().clone() for name, weight in weights.items()}), predicted


def fixed_clip():
    latents = ToyClips().latents(0, range(FRAMES))[None]
    return latents, torch.randn(latents.shape, generator=torch.Generator().manual_seed(3))


def relative(ours, theirs):
    return ((ours - theirs).norm() / theirs.norm()).item()


@torch.no_grad()
def test_diffusers_names_of_a_motion_lora_are_layers_of_its_unet(base, trained_lora):
    """Without PEFT: its reader keeps the names, each is a Linear of its UNet, and the sum is what we compute."""
    file, ours = trained_lora
    names, alphas = StableDiffusionLoraLoaderMixin.lora_state_dict(dict(file))[:2]
    assert names.keys() == file.keys() and not alphas
    unet = motion_unet(base, motion_state_dict("v3"), per_frame=True)
    without = seen_by(unet, *fixed_clip())
    downs = [name for name in names if name.endswith(".lora_A.weight")]
    assert len(downs) == 20 * 10  # of 2 attentions and 2 linears of a feed-forward
    for name in downs:
        layer = unet.get_submodule(name.removeprefix("unet.").removesuffix(".lora_A.weight"))
        assert isinstance(layer, torch.nn.Linear)
        layer.weight += names[name.replace("lora_A", "lora_B")] @ names[name]
    assert relative(seen_by(unet, *fixed_clip()), ours) < 1e-5 < 1e-3 < relative(without, ours)


@torch.no_grad()
def test_diffusers_loads_a_motion_lora(base, trained_lora):
    """Its pipeline's own loader, which needs PEFT."""
    file, ours = trained_lora
    unet = motion_unet(base, motion_state_dict("v3"), per_frame=True)
    parts = dict.fromkeys(("vae", "text_encoder", "tokenizer", "motion_adapter"))
    pipeline = AnimateDiffPipeline(unet=unet, scheduler=DDIMScheduler(), **parts)
    pipeline.load_lora_weights(dict(file))
    assert relative(seen_by(pipeline.unet, *fixed_clip()), ours) < 1e-5
    for name, layer in pipeline.unet.named_modules():
        if f"unet.{name}.lora_A.weight" in file:
            up, down = (file[f"unet.{name}.lora_{half}.weight"] for half in "BA")
            assert (layer.get_delta_weight("default_0") - up @ down).abs().max() < 1e-6
