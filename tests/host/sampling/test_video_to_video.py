"""Sample Video To Video inside the real ComfyUI: real sampling, VAE, encoder and files.

Shapes: F = frames of a segment, C = latent channels, h, w = latent size.
"""

import logging
from dataclasses import replace

import comfy.sample
import folder_paths
import pytest
import torch
from comfy.taesd.taesd import TAESD
from comfy_api.latest import InputImpl, Types

from support.clips import chart
from support.sampling_nodes import SIZE, LargestBatch, clip, inputs_for, prompts, toy_vae, video_to_video
from support.toy_models import unet as toy
from support.toy_models.files import animate, motion_model
from zoetrope.host.control.apply import apply_per_frame
from zoetrope.host.sampling.clip_noise import apply_noise
from zoetrope.host.sampling.video_to_video import SegmentSettings, VideoInput, sampled_video
from zoetrope.temporal.noise import NoiseSettings, frame_noise
from zoetrope.temporal.values.schedule import parse_value_schedule

SEGMENTS = SegmentSettings(
    seed=3,
    steps=2,
    sampler_name="euler",
    scheduler="normal",
    denoise=0.7,
    window=4,
    overlap=2,
    width=0,
    height=0,
    fit="crop",
)
pytestmark = pytest.mark.usefixtures("folders")


@pytest.fixture(scope="module")
def animated(tmp_path_factory):
    """A toy MODEL with a v2 motion model."""
    return animate(toy.toy_model_patcher(), motion_model(tmp_path_factory.mktemp("models")))


@pytest.fixture(scope="module")
def vae():
    return toy_vae(TAESD(latent_channels=4))


def by_hand(model, vae, video, positive, negative, hints, control):
    """What the node does, with core's own sampling and everything cut by hand: frames 0-3, then 2-5 of which two stay."""
    latents = vae.encode(video.get_components().images)
    made = None
    for start in (0, 2):
        numbers = list(range(start, start + 4))
        rows = [[positive[0][0][numbers], {}]]
        parts = apply_per_frame(
            [rows, negative], control, hints[numbers], 1.0, (0.0, 1.0), parse_value_schedule("0: 1")
        )
        known, mask = latents[numbers].clone(), None
        if made is not None:
            known[:2], mask = made[2:], torch.tensor([0.0, 0.0, 1.0, 1.0]).view(4, 1, 1, 1).expand(4, 1, 8, 8)
        noise = frame_noise(3, numbers, (4, 8, 8))
        made = comfy.sample.sample(
            model,
            noise,
            2,
            2.0,
            "euler",
            "normal",
            *parts,
            known,
            denoise=0.7,
            noise_mask=mask,
            disable_pbar=True,
            seed=3,
        )
        yield made[2:] if start else made


def test_segments_equal_core_sampling_with_everything_cut_by_hand(animated, vae):
    """Motion, prompts per frame and ControlNet hints are those of the frames of the whole clip; held frames stay."""
    positive, negative, hints, control = *prompts(6), toy.hints(6, SIZE), toy.toy_controlnet()
    schedule = parse_value_schedule("0: 1")
    both = apply_per_frame([positive, negative], control, hints, 1.0, (0.0, 1.0), schedule)
    with torch.inference_mode():
        source = sampled_video(inputs_for(animated, both, 2.0), VideoInput(clip(6)), SEGMENTS, vae)
        ours = source.at(list(range(6)))
        reference = vae.decode(torch.cat(list(by_hand(animated, vae, clip(6), positive, negative, hints, control))))
    assert source.frames == 6
    assert torch.allclose(ours, reference, atol=1e-4)
    assert (ours[4:] - ours[:2]).abs().mean() > 1e-3


@pytest.mark.newest_host
def test_noise_of_the_steps_differs_between_segments(vae):
    """An ancestral sampler over a model that expects nothing: the second step's latents are the first's, lower, plus
    fresh noise. Frames at one place of two segments must not get the same.
    """
    seen = []

    def answer(x, control, options):
        seen.append(x.clone())
        return torch.zeros_like(x)

    model = toy.answer_with(toy.toy_model_patcher(), answer)
    settings = replace(SEGMENTS, steps=3, sampler_name="euler_ancestral", denoise=1.0, overlap=0)
    with torch.inference_mode():
        sampled_video(inputs_for(model, prompts(), 1.0), VideoInput(clip(8)), settings, vae).at(list(range(8)))
    fresh = []
    for first, second in (seen[:2], seen[3:5]):
        lower = (first * second).mean() / (first * first).mean()
        fresh.append((second - lower * first).flatten())
    assert len(seen) == 6 and fresh[0].std() > 0.1
    assert abs(float(torch.corrcoef(torch.stack(fresh))[0, 1])) < 0.2


@pytest.mark.newest_host
def test_clip_noise_leaves_the_frames_noise_to_their_numbers_and_says_so(vae, caplog):
    model = toy.answer_with(toy.toy_model_patcher(), lambda x, control, options: x * 0.5)
    with torch.inference_mode(), caplog.at_level(logging.WARNING, "zoetrope"):
        plain, ours = (
            sampled_video(inputs_for(m, prompts(), 1.0), VideoInput(clip(6)), SEGMENTS, vae).at(list(range(6)))
            for m in (model, apply_noise(model, NoiseSettings(kind="constant", seed_offset=1)))
        )
    assert torch.equal(plain, ours)
    assert caplog.text.count("Clip Noise on this MODEL does nothing here") == 1


@pytest.mark.newest_host
def test_memory_is_that_of_a_segment(vae):
    model = toy.answer_with(toy.toy_model_patcher(), lambda x, control, options: x * 0.5)
    source = sampled_video(inputs_for(model, prompts(), 2.0), VideoInput(file_of(15)), SEGMENTS, vae)
    with torch.inference_mode(), LargestBatch() as largest:
        for first in range(0, 15, 5):
            assert source.at(list(range(first, first + 5))).shape == (5, SIZE, SIZE, 3)
    assert 4 <= largest.frames <= 12


def file_of(frames, **part):
    """A VIDEO in a file, 12 frames a second."""
    saved = InputImpl.VideoFromFile
    path = f"{folder_paths.get_temp_directory()}/source.mp4"
    clip(frames).save_to(path)
    return saved(path, **part)


def test_video_node_keeps_length_rate_and_size(animated, vae, folders):
    (video, count), _ = video_to_video(animated, vae, file_of(7), window=4, overlap=1)
    assert count == 7
    assert (video.get_frame_rate(), video.get_dimensions()) == (12, (SIZE, SIZE))
    (video, count), _ = video_to_video(animated, vae, file_of(7), denoise=0.0, max_frames=3, frame_rate=8.0, width=40)
    assert (count, video.get_frame_rate(), video.get_dimensions()) == (3, 8, (40, 40))


def test_a_trimmed_video_is_read_from_where_it_starts(vae):
    """With denoise 0 the frames are the video's own, through the VAE."""
    model = toy.toy_model_patcher()
    nothing = replace(SEGMENTS, denoise=0.0)
    whole, part = (
        sampled_video(inputs_for(model, prompts(), 2.0), VideoInput(video), nothing, vae)
        for video in (file_of(9), file_of(9, start_time=3 / 12, duration=5 / 12))
    )
    with torch.inference_mode():
        assert part.frames == 5
        assert torch.allclose(part.at(list(range(5))), whole.at(list(range(9)))[3:8], atol=1e-5)


@pytest.mark.parametrize("denoise", [5e-324, 1e-9, 0.00099])
def test_nearly_no_denoise_is_refused(denoise):
    """Core would make steps / denoise noise levels, more than memory or a number holds."""
    with pytest.raises(ValueError, match=r"^denoise is .*; give 0, or a number from 0\.001 to 1\.$"):
        replace(SEGMENTS, denoise=denoise)
    assert replace(SEGMENTS, denoise=0.001).denoise == 0.001


def test_sound_of_the_source_is_kept_at_its_own_rate_only(vae, folders):
    images = torch.from_numpy(chart(6, SIZE, SIZE)).float() / 255
    sound = {"waveform": torch.full((1, 1, 8000), 0.1), "sample_rate": 8000}
    video = InputImpl.VideoFromComponents(Types.VideoComponents(images=images, audio=sound, frame_rate=12))
    model = toy.toy_model_patcher()
    (kept, _), _ = video_to_video(model, vae, video, denoise=0.0)
    (changed, _), _ = video_to_video(model, vae, video, denoise=0.0, frame_rate=8.0)
    (read, _), _ = video_to_video(model, vae, kept, denoise=0.0)
    assert [v.get_components().audio is not None for v in (kept, changed, read)] == [True, False, True]
    assert abs(kept.get_components().audio["waveform"].shape[-1] / 8000 - 0.5) < 0.2
