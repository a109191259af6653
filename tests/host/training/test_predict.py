"""The predicted noise: that of the DDPM the checkpoints were trained as, whatever form ComfyUI gives it."""

import pytest
import torch

from support.toy_models import unet as toy
from support.toy_training import Still, ready, settings
from support.training_clips import FRAMES, ToyClips
from zoetrope.host.motion.noise_schedule import apply_schedule
from zoetrope.host.training.placement import Placement
from zoetrope.host.training.predict import NoisePredictor
from zoetrope.training.losses import noise_loss

TIMESTEPS = [0, 1, 500, 999]
# betas of 1,000 steps, from diffusers ``DDPMScheduler``: its "linear" is ComfyUI's sqrt_linear, its "scaled_linear" linear
BETAS = {
    "sqrt_linear": torch.linspace(0.00085, 0.012, 1000, dtype=torch.float64),
    "linear": torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2,
}


SCALE = 0.18215  # of SD1.5's latents


@pytest.mark.newest_host
@pytest.mark.parametrize("schedule", BETAS)
def test_it_is_the_ddpms_prediction(schedule):
    """x_t = sqrt(a_t) z + sqrt(1 - a_t) e goes into the UNet, which gives e; both losses agree to 1e-6 of them (measured: 2e-8)."""
    model = toy.toy_model_patcher().clone()
    apply_schedule(model, schedule)
    still, clips = Still(model), ToyClips()
    Placement(still, clips, settings(), FRAMES).load()
    predictor, unet = NoisePredictor(model, FRAMES), model.model.diffusion_model
    latents = torch.stack([clips.latents(0, range(FRAMES))] * len(TIMESTEPS))
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(2))
    text = clips.text("a box")
    with torch.no_grad():
        noisy, sigmas = predictor.noisy(latents, noise, TIMESTEPS)
        ours = predictor.predict(noisy, sigmas, [text] * len(TIMESTEPS), None)
        alphas = torch.cumprod(1 - BETAS[schedule], dim=0)[TIMESTEPS].view(-1, 1, 1, 1, 1)
        x = (alphas.sqrt() * latents * SCALE + (1 - alphas).sqrt() * noise).float().flatten(0, 1)
        steps = torch.tensor(TIMESTEPS).repeat_interleave(FRAMES).float()
        theirs = unet(x, steps, context=text["cross_attn"].expand(len(x), -1, -1)).view_as(noise)
    model.cleanup()
    for clip, timestep in enumerate(TIMESTEPS):
        loss, expected = ((one[clip] - noise[clip]).double().square().mean() for one in (ours, theirs))
        assert abs(loss - expected) / expected < 1e-6, timestep


class Guider:
    """What the host's TrainSampler asks of a guider, without guidance."""

    def __init__(self, base, text):
        self.inner_model, self.text, self.conds = base, text, {}

    def __call__(self, x, sigmas, **_options):
        return self.inner_model.apply_model(x, sigmas, c_crossattn=self.text, transformer_options={})


@pytest.mark.newest_host
@pytest.mark.parametrize("timestep", [20, 500, 980])
def test_the_hosts_trainer_weighs_each_noise_level_by_its_square(timestep):
    """Why its sampler is not used: its loss is that of the denoised clip, sigma^2 times the one of the noise."""
    from comfy_extras.nodes_train import TrainSampler

    model, clips = toy.toy_model_patcher(), ToyClips()
    latents = clips.latents(0, range(FRAMES))[None]
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(2))
    with ready(Still(model)) as (_, predictor), torch.no_grad():
        noisy, sigmas = predictor.noisy(latents, noise, [timestep])
        ours = noise_loss(predictor.predict(noisy, sigmas, [clips.text("a box")], None), noise)
        rows = (FRAMES, *latents.shape[2:])
        sampler = TrainSampler(torch.nn.functional.mse_loss, None, training_dtype=torch.float32)
        theirs = sampler.fwd_bwd(
            Guider(model.model, clips.text("a box")["cross_attn"].expand(FRAMES, -1, -1)),
            sigmas.repeat(FRAMES),
            noise.view(rows),
            latents.view(rows) * SCALE,
            [{}],
            [0],
            {},
            FRAMES,
            bwd=False,
        )
    assert (theirs / ours).item() == pytest.approx(sigmas.item() ** 2, rel=1e-3)
