"""The predicted noise: that of the DDPM the checkpoints were trained as, whatever form ComfyUI gives it."""

import pytest
import torch

from support.toy_models import unet as toy
from support.toy_training import settings
from support.training_clips import FRAMES, ToyClips
from zoetrope.host.motion.noise_schedule import apply_schedule
from zoetrope.host.training.placement import Placement
from zoetrope.host.training.predict import NoisePredictor

TIMESTEPS = [0, 1, 500, 999]
# betas of 1,000 steps, from diffusers ``DDPMScheduler``: its "linear" is ComfyUI's sqrt_linear, its "scaled_linear" linear
BETAS = {
    "sqrt_linear": torch.linspace(0.00085, 0.012, 1000, dtype=torch.float64),
    "linear": torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2,
}


class Still:
    """A target in which nothing learns."""

    def __init__(self, model):
        self.model, self.patchers, self.holders, self.parameters = model, [model], {}, 0


@pytest.mark.newest_host
@pytest.mark.parametrize("schedule", BETAS)
def test_it_is_the_ddpms_prediction(schedule):
    """x_t = sqrt(a_t) z + sqrt(1 - a_t) e goes into the UNet, which gives e; both losses agree to 1e-6 of them."""
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
        x = (alphas.sqrt() * latents * 0.18215 + (1 - alphas).sqrt() * noise).float().flatten(0, 1)
        steps = torch.tensor(TIMESTEPS).repeat_interleave(FRAMES).float()
        theirs = unet(x, steps, context=text["cross_attn"].expand(len(x), -1, -1)).view_as(noise)
    model.cleanup()
    for clip, timestep in enumerate(TIMESTEPS):
        loss, expected = ((one[clip] - noise[clip]).double().square().mean() for one in (ours, theirs))
        assert abs(loss - expected) / expected < 1e-5, timestep
    denoised = noisy - ours * sigmas.view(-1, 1, 1, 1, 1)
    clean = latents * 0.18215
    for clip in range(len(TIMESTEPS)):
        # Why the loss is not that of the denoised clip: it would weigh each noise level by sigma^2.
        of_clip = (denoised[clip] - clean[clip]).square().mean() / (ours[clip] - noise[clip]).square().mean()
        assert of_clip.item() == pytest.approx(sigmas[clip].item() ** 2, rel=1e-3)
