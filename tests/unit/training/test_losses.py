"""Losses, by their formulas written out with loops."""

import math

import pytest
import torch

from zoetrope.training.losses import debiased_loss, min_snr_weight, noise_loss


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn((2, 3, 4, 5, 6), generator=generator, dtype=torch.float64) for _ in range(2))


def test_noise_loss_is_the_mean_square_of_each_clip(pair):
    predicted, noise = pair
    for clip, loss in enumerate(noise_loss(predicted, noise)):
        assert loss.item() == pytest.approx(
            torch.nn.functional.mse_loss(predicted[clip], noise[clip]).item(), rel=1e-12
        )


def test_debiased_loss_is_the_public_formula(pair):
    """L = mse(p, e) + mse(a p - b p_r, a e - b e_r), a = sqrt(2), b = 1, over all frames, r among them."""
    predicted, noise = pair
    chosen, a, b = [2, 0], math.sqrt(2), 1.0
    for clip, frame in enumerate(chosen):
        terms = [
            ((a * predicted[clip, f] - b * predicted[clip, frame]) - (a * noise[clip, f] - b * noise[clip, frame])) ** 2
            for f in range(3)
        ]
        expected = ((predicted[clip] - noise[clip]) ** 2).mean() + torch.stack(terms).mean()
        assert debiased_loss(predicted, noise, chosen)[clip].item() == pytest.approx(expected.item(), rel=1e-12)


def test_min_snr_weight_is_the_papers():
    """min(SNR, gamma) / SNR for predicted noise, SNR = 1 / sigma^2; 0 switches it off."""
    sigmas = torch.tensor([0.1, 0.4, 1.0, 10.0])
    snr = 1 / sigmas**2
    assert torch.allclose(min_snr_weight(sigmas, 5.0), snr.clamp(max=5.0) / snr)
    assert torch.equal(min_snr_weight(sigmas, 0.0), torch.ones(4))
