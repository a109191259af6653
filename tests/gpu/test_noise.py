"""Noise and FreeInit give the same clip on the GPU as on the CPU."""

import comfy.model_patcher
import torch

from support.toy_models import unet as toy
from support.toy_models.files import relative_error
from zoetrope.host.sampling.clip_noise import apply_noise
from zoetrope.host.sampling.free_init import apply_free_init
from zoetrope.temporal.free_init import FreeInitSettings
from zoetrope.temporal.noise import NoiseSettings


def test_free_init_on_cuda_matches_the_cpu():
    def iterated(model):
        noisy = apply_noise(model, NoiseSettings(length=4, overlap=2, frame_seeds=True))
        return toy.sample(apply_free_init(noisy, FreeInitSettings(iterations=2, fast=True))).cpu()

    model = toy.toy_model_patcher()
    cuda = comfy.model_patcher.ModelPatcher(toy.toy_model_patcher().model, torch.device("cuda"), torch.device("cpu"))
    assert relative_error(iterated(cuda), iterated(model)) < 1e-3
