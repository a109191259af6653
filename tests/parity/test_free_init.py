"""FreeInit against the paper's formulas in float64, and against diffusers' ``free_init_utils`` and DDIM scheduler.

diffusers puts the zero frequency of an axis of odd length between two of the filter's cells, so it is compared on even
lengths; its ``ideal`` compares d^2 with 2 * cutoff and is not compared.
"""

import comfy.samplers
import pytest
import torch
from comfy.patcher_extension import WrappersMP
from diffusers import DDIMScheduler
from diffusers.pipelines import free_init_utils

from support.toy_models import unet as toy
from zoetrope.host.sampling.free_init import apply_free_init
from zoetrope.temporal.free_init import FreeInitSettings, low_pass, mix_frequencies
from zoetrope.temporal.noise import derived_seed, draw_like

SETTINGS = [
    FreeInitSettings(kind="butterworth"),
    FreeInitSettings(kind="butterworth", spatial_cutoff=0.4, temporal_cutoff=0.1, order=2),
    FreeInitSettings(kind="gaussian"),
    FreeInitSettings(kind="gaussian", spatial_cutoff=0.1, temporal_cutoff=0.6),
]
ideal = FreeInitSettings(kind="ideal", spatial_cutoff=0.3, temporal_cutoff=0.55)


def clip(seed, frames=8, size=16):
    return draw_like(torch.zeros(frames, 4, size, size), seed)


def video(frames_first):
    """diffusers' layout: (1, C, F, H, W)."""
    return frames_first.transpose(0, 1)[None]


def restated(settings, low, high):
    """The paper in float64: whole spectra, zero frequency in the middle, one complex transform after the other."""
    axes = (0, 2, 3)
    t, h, w = torch.meshgrid(
        *(2 * (torch.arange(low.shape[a], dtype=torch.float64) - low.shape[a] // 2) / low.shape[a] for a in axes),
        indexing="ij",
    )
    distance = ((settings.spatial_cutoff / settings.temporal_cutoff * t) ** 2 + h**2 + w**2).sqrt()
    kept = {
        "butterworth": 1 / (1 + (distance / settings.spatial_cutoff) ** (2 * settings.order)),
        "gaussian": torch.exp(-(distance**2) / (2 * settings.spatial_cutoff**2)),
        "ideal": (distance <= settings.spatial_cutoff).double(),
    }[settings.kind][:, None]
    low, high = (torch.fft.fftshift(torch.fft.fftn(part.double(), dim=axes), dim=axes) for part in (low, high))
    mixed = torch.fft.ifftn(torch.fft.ifftshift(low * kept + high * (1 - kept), dim=axes), dim=axes)
    return mixed.real


@pytest.mark.parametrize("shape", [(8, 4, 16, 12), (7, 4, 9, 13), (16, 4, 8, 9), (1, 4, 8, 8)])
@pytest.mark.parametrize("settings", [*SETTINGS, ideal], ids=lambda s: f"{s.kind}-{s.spatial_cutoff}")
def test_mixing_equals_the_paper_in_float64(settings, shape, relative_error):
    low, high = (draw_like(torch.zeros(shape), seed) for seed in (1, 2))
    ours = mix_frequencies(low, high, low_pass(settings, shape[0], *shape[2:]))
    error = relative_error("freeinit", "paper in float64, one mix", ours.double(), restated(settings, low, high))
    assert error < 1e-6


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: f"{s.kind}-{s.spatial_cutoff}")
def test_filter_and_mixing_equal_diffusers(settings, relative_error):
    mixin = free_init_utils.FreeInitMixin()
    low, high = clip(1), clip(2)
    theirs = mixin._get_free_init_freq_filter(
        (1, *video(low).shape[1:]),
        "cpu",
        settings.kind,
        settings.order,
        settings.spatial_cutoff,
        settings.temporal_cutoff,
    )
    kept = low_pass(settings, 8, 16, 16)
    half = torch.fft.ifftshift(theirs[0, 0], dim=(0, 1, 2))[..., :9]
    assert torch.allclose(kept[:, 0], half, rtol=1e-5, atol=1e-7)
    mixed = mixin._apply_freq_filter(video(low), video(high), theirs)
    assert relative_error("freeinit", "diffusers, one mix", video(mix_frequencies(low, high, kept)), mixed) < 1e-6


def prediction(z):
    """Stand-in for a network: the clean clip from a noisy one, (F, ...) of variance 1; all frames interact."""
    return torch.tanh(0.7 * z + 0.4 * z.mean(0))


class Loop(free_init_utils.FreeInitMixin):
    """diffusers' animation pipelines' loop over `prediction`, deterministic DDIM from timestep 999."""

    def __init__(self):
        self.scheduler = DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            timestep_spacing="trailing",
            clip_sample=False,
        )

    def levels(self, steps):
        """ComfyUI's noise levels of the timesteps."""
        self.scheduler.set_timesteps(steps)
        alphas = self.scheduler.alphas_cumprod[self.scheduler.timesteps]
        return torch.cat([((1 - alphas) / alphas).sqrt(), torch.zeros(1)])

    def run(self, noise, steps, iterations):
        latents = noise
        for number in range(iterations):
            latents, timesteps = self._apply_free_init(latents, number, steps, "cpu", torch.float32, None)
            for timestep in timesteps:
                alpha = self.scheduler.alphas_cumprod[timestep]
                clean = video(prediction(latents[0].transpose(0, 1)))
                eps = (latents - alpha.sqrt() * clean) / (1 - alpha).sqrt()
                latents = self.scheduler.step(eps, timestep, latents).prev_sample
        return latents


@pytest.mark.parametrize(("iterations", "fast"), [(2, False), (4, False), (3, True)])
@pytest.mark.parametrize("kind", ["butterworth", "gaussian"])
def test_the_whole_loop_equals_diffusers(kind, iterations, fast, monkeypatch, relative_error):
    """Euler in ComfyUI is DDIM; 4 steps from the highest level, in ``fast`` 1, 2 and 4."""
    seed, noise = 11, clip(3)
    fresh = iter([video(draw_like(noise, derived_seed(seed, f"free init {number}"))) for number in range(1, 9)])
    monkeypatch.setattr(free_init_utils, "randn_tensor", lambda shape, **options: next(fresh))
    loop = Loop()
    loop.enable_free_init(iterations, fast, kind)
    theirs = loop.run(video(noise), 4, iterations)

    def answer(executor, x, t, *args, **kwargs):
        return prediction(x / (1 + t.view(-1, 1, 1, 1) ** 2) ** 0.5)

    model = apply_free_init(toy.toy_model_patcher(), FreeInitSettings(iterations=iterations, kind=kind, fast=fast))
    model.add_wrapper_with_key(WrappersMP.APPLY_MODEL, "test", answer)
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(toy.conditioning(), toy.conditioning(6))
    euler, zeros = comfy.samplers.sampler_object("euler"), torch.zeros_like(noise)
    ours = model.model.process_latent_in(guider.sample(noise, zeros, euler, Loop().levels(4), seed=seed))
    assert relative_error("freeinit", "diffusers, whole runs", video(ours), theirs) < 1e-5
