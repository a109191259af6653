"""Noise against ComfyUI's own functions, so that known seeds give known clips."""

import comfy.context_windows as core
import comfy.sample
import pytest
import torch

from zoetrope.temporal.noise import NoiseSettings, clip_noise, draw_like


@pytest.mark.parametrize(("length", "overlap"), [(16, 4), (16, 0), (8, 7), (5, 2), (1, 0)])
@pytest.mark.parametrize("frames", [1, 5, 16, 17, 33, 70])
def test_freenoise_equals_cores_apply_freenoise(frames, length, overlap):
    for seed in (0, 7, 2**64 - 1):
        noise = draw_like(torch.zeros(frames, 4, 4, 4), seed)
        ours = clip_noise(NoiseSettings(length=length, overlap=overlap), noise, seed)
        assert torch.equal(ours, core.apply_freenoise(noise.clone(), 0, length, overlap, seed))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("seed", [0, 123456789, 2**64 - 1])
def test_drawing_equals_cores_prepare_noise(seed, dtype):
    latent = torch.zeros(7, 4, 9, 11, dtype=dtype)
    assert torch.equal(draw_like(latent, seed), comfy.sample.prepare_noise(latent, seed))


def test_frame_seeds_are_cores_noise_of_single_images():
    latent = torch.zeros(5, 4, 8, 8)
    ours = clip_noise(NoiseSettings(kind="default", frame_seeds=True), comfy.sample.prepare_noise(latent, 20), 20)
    assert torch.equal(ours, torch.cat([comfy.sample.prepare_noise(latent[:1], 20 + frame) for frame in range(5)]))
