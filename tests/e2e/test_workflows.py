"""Every shipped prompt runs on a real server, and the file that it names holds the frames that were sampled."""

import numpy as np
import pytest

from support.e2e import runs
from support.e2e.models import VIDEO_FRAMES

LOSSY = 4.0  # mean difference that h264 at crf 19 and webp leave on these smooth frames, with room
PAINTED = 20.0  # the same of 64 colours, dithered
STILL = 0.3  # mean difference of neighbouring frames below which a clip does not move


WHOLE = [path for path in runs.PROMPTS if path.stem not in runs.STREAMED]


@pytest.fixture(scope="module", params=WHOLE, ids=lambda path: path.stem)
def made(request, running):
    """One run of a prompt: (client, prompt, outputs)."""
    from comfy_host.client import Client

    client = Client(running.url)
    prompt = runs.also_save_pictures(runs.small(request.param.stem))
    return client, prompt, runs.run(client, prompt)


def test_video_holds_the_sampled_frames_in_order(made):
    client, prompt, outputs = made
    file = runs.video_file(prompt, outputs)
    video, frames = runs.film(client, file), runs.pictures(client, outputs)
    assert video.shape == frames.shape
    apart = np.array([[runs.difference(a, b) for b in frames] for a in video])
    assert apart.diagonal().max() < (PAINTED if file["codec"] == "gif" else LOSSY)
    # A frame in the wrong place would be nearer to another picture; a clip joined to itself has some of them twice.
    assert all(np.array_equal(frames[nearest], frames[number]) for number, nearest in enumerate(apart.argmin(1)))


def test_history_describes_the_file(made):
    client, prompt, outputs = made
    file, frames = runs.video_file(prompt, outputs), runs.pictures(client, outputs)
    combine = prompt[runs.of_type(prompt, "ZoetropeCombineVideo")]["inputs"]
    wired = 16.0 if runs.has(prompt, "FrameInterpolate") else 8.0  # the input video has 8 fps
    rate = wired if isinstance(combine["frame_rate"], list) else combine["frame_rate"]
    assert (file["frames"], file["width"], file["height"]) == (len(frames), runs.SIZE, runs.SIZE)
    assert file["frame_rate"] == pytest.approx(rate)
    assert file["duration"] == pytest.approx(len(frames) / rate, abs=0.01)
    assert outputs[runs.of_type(prompt, "ZoetropeCombineVideo")]["images"]


def test_clip_moves(made):
    client, _, outputs = made
    frames = runs.pictures(client, outputs)
    assert min(runs.difference(a, b) for a, b in zip(frames[1:], frames[:-1], strict=True)) > STILL


def test_progress_names_steps_and_windows(made):
    _, prompt, outputs = made
    if not runs.has(prompt, "FrameInterpolate"):  # samples nothing
        assert "KSampler: 1/" in outputs["lines"] or "KSampler: step 1/" in outputs["lines"]
    latent = next((n["inputs"]["batch_size"] for n in prompt.values() if n["class_type"] == "EmptyLatentImage"), 0)
    if runs.has(prompt, "ZoetropeContextWindows") and latent > 16:
        assert "window 1/" in outputs["lines"]


def test_mp4_carries_its_prompt(made):
    client, prompt, outputs = made
    file = runs.video_file(prompt, outputs)
    if file["filename"].endswith(".mp4"):
        embedded = runs.embedded_prompt(client.view(file))
        for node in embedded.values():
            node.pop("is_changed", None)  # the server's own note
        assert embedded == prompt


def test_interpolation_puts_frames_between_and_keeps_length_and_sound(running):
    """2N - 1 frames at twice the rate; the toy RIFE model answers with the mean of two neighbours."""
    from comfy_host.client import Client

    client, prompt = Client(running.url), runs.also_save_pictures(runs.small("interpolation"))
    outputs = runs.run(client, prompt)
    file, frames = runs.video_file(prompt, outputs), runs.pictures(client, outputs).astype(float)
    assert (len(frames), file["frame_rate"]) == (2 * VIDEO_FRAMES - 1, 16.0)
    assert file["duration"] == pytest.approx(VIDEO_FRAMES / 8, abs=1 / 16)
    assert runs.audio_seconds(client.view(file)) == pytest.approx(file["duration"], abs=0.03)
    assert np.abs(frames[1::2] - (frames[:-1:2] + frames[2::2]) / 2).max() < 2  # rounding, half precision
    assert np.abs(frames[2::2] - frames[:-2:2]).mean() > STILL


@pytest.mark.parametrize("name", sorted(runs.STREAMED))
def test_streamed_workflows_write_a_moving_clip_that_carries_its_prompt(running, name):
    from comfy_host.client import Client

    client, prompt = Client(running.url), runs.small(name)
    writer = prompt[runs.of_type(prompt, *runs.WRITERS)]["inputs"]
    if name == "endless":
        writer.update(frames=9, window=4, partitions=1)
        prompt[runs.of_type(prompt, "ZoetropePromptSchedule")]["inputs"]["frames"] = 9
    outputs = runs.run(client, prompt)
    file = runs.video_file(prompt, outputs)
    data = client.view(file)
    video = runs.decode(data, file["filename"])
    assert video.shape == (file["frames"], runs.SIZE, runs.SIZE, 3)
    assert file["frames"] == (9 if name == "endless" else VIDEO_FRAMES)
    assert min(runs.difference(a, b) for a, b in zip(video[1:], video[:-1], strict=True)) > STILL
    assert runs.embedded_prompt(data).keys() == prompt.keys()
