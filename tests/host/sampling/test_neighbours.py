"""Core's nodes that keep something from one UNet call to the next, under Context Windows."""

import pytest
import torch
from comfy_extras.nodes_easycache import EasyCacheNode, LazyCacheNode
from comfy_extras.nodes_sag import SelfAttentionGuidance

from support.toy_models import unet as toy
from support.toy_models.files import animate, motion_model, relative_error
from zoetrope.host.sampling.context_windows import apply_windows
from zoetrope.temporal.windows.settings import WindowSettings

STEPS = 8
FRAMES = 34  # 16 windows of 4 with overlap 2


def cached(model, node=EasyCacheNode, threshold=0.2):
    inputs = {"reuse_threshold": threshold, "start_percent": 0.0, "end_percent": 1.0, "verbose": False}
    return node.execute(model=model, **inputs).args[0]


def windowed(model, schedule="standard_static"):
    return apply_windows(model, WindowSettings(length=4, overlap=2, schedule=schedule), windows_per_batch=1)


def counted(model, frames, cfg=1.0, noise=None):
    """The latents of a run, and how many UNet calls it made."""
    calls = []
    hook = model.model.diffusion_model.time_embed.register_forward_pre_hook(lambda *_: calls.append(1))
    noise = toy.noise_for(frames, 8) if noise is None else noise
    try:
        return toy.sample(model, toy.conditioning(frames=frames), noise=noise, steps=STEPS, cfg=cfg), len(calls)
    finally:
        hook.remove()


@pytest.fixture
def model():
    return toy.toy_model_patcher()


@pytest.mark.parametrize("schedule", ["standard_static", "standard_uniform"])
def test_easy_cache_saves_in_16_windows_what_it_saves_of_the_whole_clip(model, schedule):
    """Frames are independent without a motion model, so both leave the same steps out and are the same clip."""
    plain, every = counted(model, FRAMES)
    whole, some = counted(cached(model), FRAMES)
    uncached, all_windows = counted(windowed(model, schedule), FRAMES)
    ours, few_windows = counted(cached(windowed(model, schedule)), FRAMES)
    errors = relative_error(whole, plain), relative_error(ours, uncached)
    print(f"whole clip: {some} of {every} calls, error {errors[0]:.3f}")
    print(f"16 windows: {few_windows} of {all_windows} calls, error {errors[1]:.3f}")
    assert some < every
    assert few_windows / all_windows == pytest.approx(some / every, rel=0.1)
    assert errors[1] <= errors[0] * 1.05
    assert relative_error(ours, whole) < 1e-3


def test_no_frame_gets_the_change_of_another_window(model):
    noise = toy.noise_for(1, 8).repeat(6, 1, 1, 1)
    plain, _ = counted(model, 6, noise=noise)
    ours, _ = counted(cached(windowed(model), threshold=1.0), 6, noise=noise)
    whole, _ = counted(cached(model, threshold=1.0), 6, noise=noise)
    errors = [relative_error(ours[frame], plain[frame]) for frame in range(6)]
    assert max(errors) < 1.05 * max(relative_error(whole[frame], plain[frame]) for frame in range(6)) + 0.01


@pytest.mark.newest_host
def test_with_guidance_and_motion(model, tmp_path):
    """Both conditionings are cached; a threshold of 0 caches nothing, to the bit."""
    moving = windowed(animate(model, motion_model(tmp_path)))
    plain, every = counted(moving, 10, cfg=3.0)
    ours, some = counted(cached(moving), 10, cfg=3.0)
    assert some < every
    assert relative_error(ours, plain) < 0.5
    assert torch.equal(counted(cached(moving, threshold=0.0), 10, cfg=3.0)[0], plain)


def test_lazy_cache_works_as_it_is(model):
    whole, _ = counted(cached(model, LazyCacheNode), 10)
    ours, _ = counted(cached(windowed(model), LazyCacheNode), 10)
    assert relative_error(ours, whole) < 1e-4


def self_attention_guided(model):
    return SelfAttentionGuidance.execute(model=model, scale=0.5, blur_sigma=2.0).args[0]


def test_self_attention_guidance_is_refused_in_windows(model):
    noise = toy.noise_for(6, 16)
    with pytest.raises(
        ValueError, match=r"^Self-Attention Guidance keeps .*: use Perturbed-Attention Guidance, or leave"
    ):
        toy.sample(self_attention_guided(windowed(model)), noise=noise, steps=1)
    short = toy.sample(self_attention_guided(windowed(model)), noise=noise[:4], steps=1)
    assert torch.equal(short, toy.sample(self_attention_guided(model), noise=noise[:4], steps=1))
