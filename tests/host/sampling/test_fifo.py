"""Sample Endless inside the real ComfyUI: real sampling, VAE, encoder and files.

Shapes: F = frames of a window, N = frames of a clip, C = latent channels, h, w = latent size.
"""

import logging
from dataclasses import replace
from types import SimpleNamespace

import comfy.sd
import numpy as np
import pytest
import torch
from comfy import model_management
from comfy.taesd.taehv import TAEHV
from comfy.taesd.taesd import TAESD

from support.clips import decode, left_behind, running_children
from support.sampling_nodes import (
    SIZE,
    LargestBatch,
    answering,
    clip,
    endless,
    inputs_for,
    mixing,
    prompts,
    toy_vae,
    video_to_video,
)
from support.toy_models import unet as toy
from support.toy_models.files import animate, motion_model, relative_error
from zoetrope.host.call import keys
from zoetrope.host.sampling import fifo
from zoetrope.host.sampling.clip_noise import apply_noise
from zoetrope.host.sampling.free_init import apply_free_init
from zoetrope.temporal.fifo import Fifo, FifoSettings
from zoetrope.temporal.free_init import FreeInitSettings
from zoetrope.temporal.noise import NoiseSettings

SMALL = FifoSettings(frames=6, window=4, partitions=2, seed=5)
TINY = FifoSettings(frames=3, window=2, partitions=1, seed=5)  # for the real UNet
pytestmark = pytest.mark.usefixtures("folders")


@pytest.fixture(scope="module")
def animated(tmp_path_factory):
    """A toy MODEL with a v2 motion model."""
    return animate(toy.toy_model_patcher(), motion_model(tmp_path_factory.mktemp("models")))


@pytest.fixture(scope="module")
def vae():
    return toy_vae(TAESD(latent_channels=4))


def latents_of(inputs, settings, piece=4, start=None):
    """All latents of an endless clip."""
    sigmas = inputs.sigmas("normal", settings.levels)
    with torch.inference_mode():
        return torch.cat(list(fifo._finished(inputs, settings, sigmas, (SIZE, SIZE), start, piece)))


@pytest.mark.parametrize("lookahead", [True, False])
def test_the_host_runs_the_queue_with_the_models_own_levels(lookahead):
    """Against the pure queue, which tests/unit/temporal/test_fifo.py holds against the paper's loop."""
    model = toy.toy_model_patcher()
    settings = FifoSettings(frames=9, window=4, partitions=2, lookahead=lookahead, seed=5)
    ours = latents_of(inputs_for(answering(model, mixing), prompts(), 2.0), settings)

    def predict(x, sigmas, frames):
        window = SimpleNamespace(index_list=frames)
        return mixing(x, None, {"context_window": window, "sigmas": sigmas})

    def renoise(sigma, noise, clean, alone):
        sigma = sigma.view(-1, 1, 1, 1)
        return clean + noise * ((1 + sigma**2).sqrt() if alone else sigma)

    sigmas = torch.cat([model.get_model_object("model_sampling").sigma(torch.linspace(999, 0, 8)), torch.zeros(1)])
    queue = Fifo(settings, sigmas, renoise)
    queue.fill(queue.first_clip(predict, torch.zeros(4, 4, 8, 8)))
    frames = [queue.iterate(predict) for _ in range(settings.iterations)]
    reference = torch.cat(frames[settings.warm_up :]) / 0.18215
    assert relative_error(ours, reference) < 1e-5


@pytest.mark.newest_host
def test_pieces_of_any_length_give_the_same_frames_and_seeds_others(animated):
    inputs = inputs_for(animated, prompts(), 2.0)
    whole = latents_of(inputs, TINY, piece=3)
    assert whole.shape == (3, 4, 8, 8)
    assert torch.equal(latents_of(inputs, TINY, piece=1), whole)
    assert relative_error(latents_of(inputs, replace(TINY, seed=6)), whole) > 0.1
    still = inputs_for(toy.toy_model_patcher(), prompts(), 2.0)
    assert relative_error(latents_of(still, TINY), whole) > 0.05  # the motion model acts


def test_prompts_and_values_reach_their_frames(animated):
    """A UNet that answers with the prompt: what a frame ends as is the prompt of its number."""
    positive = toy.conditioning(frames=6)
    seen = set()

    def answer(x, prompt, options):
        seen.add((tuple(options["context_window"].index_list), options["ad_params"]["full_length"]))
        return prompt[:, 0, :4, None, None].expand_as(x)

    inputs = inputs_for(answering(animated, answer), (positive, toy.conditioning(seed=6)), 1.0)
    made = latents_of(inputs, SMALL) * 0.18215
    expected = positive[0][0][:, 0, :4, None, None].expand_as(made)
    assert torch.allclose(made, expected, atol=1e-5)
    windows = {frames for frames, _ in seen}
    assert {(0, 0, 1, 2), (2, 3, 4, 5), (4, 5, 5, 5)} <= windows  # also beyond the ends, where the last frame counts
    assert {total for _, total in seen} == {6}


def test_prompt_schedules_must_be_as_long_as_the_clip_not_as_a_window(caplog):
    model = answering(toy.toy_model_patcher(), mixing)

    def run(rows):
        positive = toy.conditioning(frames=rows, **{keys.SCHEDULE_FRAMES: rows})
        return latents_of(inputs_for(model, (positive, toy.conditioning(seed=6)), 2.0), SMALL, piece=2)

    with caplog.at_level(logging.WARNING, "zoetrope"):
        assert len(run(6)) == 6
        assert caplog.text == ""
        run(8)
    assert caplog.text.count("made for 8 frames, but the clip has 6") == 1
    with pytest.raises(ValueError, match="made for 5 frames, but the clip has 6"):
        run(5)


def test_nodes_that_change_the_noise_of_a_run_leave_the_queue_alone_which_is_said(caplog):
    model = answering(toy.toy_model_patcher(), mixing)
    changed = apply_noise(apply_free_init(model, FreeInitSettings()), NoiseSettings())
    plain, ours = (latents_of(inputs_for(m, prompts(), 2.0), SMALL) for m in (model, changed))
    assert torch.equal(plain, ours)
    with caplog.at_level(logging.WARNING, "zoetrope"):
        fifo.advise_fifo(changed, SMALL)
    for node in ("Clip Noise", "FreeInit"):
        assert f"{node} on this MODEL does nothing here" in caplog.text


@pytest.mark.newest_host
@pytest.mark.parametrize("given", [False, True])
def test_progress_rises_from_the_first_iteration_to_the_last(given, monkeypatch):
    """8 levels of the clip that is sampled first are 2 iterations of 4 windows; then 4 of warming up and 6 of frames."""
    seen = []
    monkeypatch.setattr(fifo.FrameProgress, "show", lambda self, done, x0: seen.append((done, len(x0))))
    inputs = inputs_for(answering(toy.toy_model_patcher(), mixing), prompts(), 1.0)
    latents_of(inputs, SMALL, start=torch.zeros(4, 4, 8, 8) if given else None)
    start = [] if given else [(done, 4) for done in (0, 0, 0, 1, 1, 1, 1, 2)]
    assert seen == start + [(done, 2) for done in range(1 if given else 3, 11 if given else 13)]


@pytest.mark.newest_host
def test_a_start_clip_takes_the_place_of_the_first_one():
    calls = []

    def counted(x, prompts, options):
        calls.append(len(x))
        return mixing(x, prompts, options)

    model = answering(toy.toy_model_patcher(), counted)
    inputs = inputs_for(model, prompts(), 2.0)
    plain, without = latents_of(inputs, SMALL), len(calls)
    start = fifo._start(torch.randn((3, 4, 8, 8), generator=torch.Generator().manual_seed(8)), 4, model)
    assert torch.equal(start[0], start[1])  # a clip that is too short begins with more of its first frame
    made = latents_of(inputs, SMALL, start=start)
    assert len(calls) - without == without - SMALL.levels
    assert relative_error(made, plain) > 1e-4
    with pytest.raises(ValueError, match=r"start_clip has latents of shape \(2, 16, 3, 8, 8\)"):
        fifo._start(torch.zeros(2, 16, 3, 8, 8), 4, model)


@pytest.mark.newest_host
def test_memory_is_that_of_the_queue(vae):
    model = answering(toy.toy_model_patcher(), mixing)
    settings = FifoSettings(frames=24, window=4, partitions=2, seed=5)
    source = fifo.endless_frames(inputs_for(model, prompts(), 2.0), settings, "normal", (SIZE, SIZE), vae)
    with torch.inference_mode(), LargestBatch() as largest:
        shapes = {source.at(list(range(first, first + 8))).shape for first in range(0, 24, 8)}
    assert shapes == {(8, SIZE, SIZE, 3)}
    assert 8 <= largest.frames <= settings.slots + 4


def test_endless_node_writes_the_clip(animated, vae, folders):
    (video, count), ui = endless(animated, vae, frames=3, window=2, partitions=1)
    assert (count, ui["video"][0]["frames"], video.get_dimensions()) == (3, 3, (SIZE, SIZE))
    frames, _ = decode(folders / "output" / "zoetrope" / "animation_00001_.mp4")
    with torch.inference_mode():
        expected = vae.decode(latents_of(inputs_for(animated, prompts(), 2.0), TINY)).clamp(0, 1).numpy() * 255
    nearest = [np.abs(expected - frame).mean(axis=(1, 2, 3)).argmin() for frame in frames]
    assert nearest == [0, 1, 2]


def test_interrupt_leaves_nothing(vae, folders):
    """In the middle of the sampling that follows the first frames' encoding."""
    encoding = []

    def answer(x, prompts, options):
        encoding.append(len(running_children()))
        if sum(encoding) > 20:
            model_management.interrupt_current_processing(True)
        return mixing(x, prompts, options)

    with pytest.raises(model_management.InterruptProcessingException):
        endless(answering(toy.toy_model_patcher(), answer), vae, frames=30)
    assert left_behind(folders) == ["output", "output/zoetrope", "temp"]
    assert running_children() == []
    assert len(encoding) < 30 * 4


def test_what_does_not_fit_is_said_before_anything_is_sampled(animated, vae, folders, caplog):
    def never(*_):
        raise AssertionError("sampled")

    model = toy.watch(animated, never)
    with pytest.raises(
        ValueError, match="positions for 32 frames, but 34 would be sampled together; set window to at most 32"
    ):
        endless(model, vae, window=34)
    with pytest.raises(ValueError, match="connect the VAE of the checkpoint"):
        endless(model, toy_vae(TAEHV(latent_channels=16)))
    with pytest.raises(RuntimeError, match="your checkpoint does not contain a valid VAE"):
        endless(model, comfy.sd.VAE(sd={}))
    with pytest.raises(ValueError, match="frames is 0; give a whole number from 1"):
        endless(model, vae, frames=0)
    with pytest.raises(ValueError, match="window 5 cannot be halved"):
        endless(model, vae, window=5)
    with pytest.raises(ValueError, match="overlap 4 must be at least 0 and smaller than window 4"):
        video_to_video(model, vae, clip(6), overlap=4)
    with pytest.raises(ValueError, match="positions for 32 frames"):
        video_to_video(model, vae, clip(6), window=40)
    with pytest.raises(ValueError, match="gif"):
        video_to_video(model, vae, clip(6), format="gif", frame_rate=120.0)
    assert left_behind(folders) == ["output", "temp"]
    with caplog.at_level(logging.WARNING, "zoetrope"):
        fifo.advise_fifo(toy.toy_model_patcher(), SMALL)
    assert "no motion model" in caplog.text


@pytest.mark.newest_host
def test_models_distilled_for_few_steps_are_warned_about(tmp_path, caplog):
    lightning = motion_model(tmp_path, "lightning", name="animatediff_lightning_4step_comfyui.safetensors")
    lcm = motion_model(tmp_path, "animatelcm")
    with caplog.at_level(logging.WARNING, "zoetrope"):
        fifo.advise_fifo(animate(toy.toy_model_patcher(), lightning), FifoSettings(frames=6))
        fifo.advise_fifo(animate(toy.toy_model_patcher(), lcm), FifoSettings(frames=6))
        assert "was not distilled" in caplog.text
        assert "choose lcm" in caplog.text
        caplog.clear()
        fifo.advise_fifo(animate(toy.toy_model_patcher(), lcm), FifoSettings(frames=6, sampler="lcm"))
    assert caplog.text == ""
