"""Several windows in one UNet call, windows that change while sampling, and closed loops, in real sampling."""

from dataclasses import replace

import pytest
import torch

from support.seam import seam, turning_noise
from support.toy_models import unet as toy
from support.toy_models.files import animate, motion_model, relative_error
from zoetrope.host.call import keys
from zoetrope.host.call.context_handler import frames_at_once
from zoetrope.host.call.frames import call_frames
from zoetrope.host.motion import memory
from zoetrope.host.sampling.context_windows import apply_windows
from zoetrope.temporal.windows.schedules import windows_for_step
from zoetrope.temporal.windows.settings import WindowSettings

SMALL = WindowSettings(length=4, overlap=1)


@pytest.fixture(scope="module")
def model():
    return toy.toy_model_patcher()


def calls_of(windowed, frames, steps=1, **options):
    """Frames, number of windows and images of a chunk in each UNet call of a run with a stand-in for the UNet."""
    calls = []

    def note(x, control, options):
        window = options.get("context_window")
        listed = None if window is None else window.index_list
        assert listed is None or options["ad_params"]["sub_idxs"] == listed
        calls.append((listed, call_frames(options, len(x)).windows, len(x) // len(options["cond_or_uncond"])))
        return x * 0.5

    toy.sample(toy.answer_with(windowed, note), frames=frames, steps=steps, **options)
    return calls


def test_windows_of_one_length_are_stacked_and_announced(model):
    settings = WindowSettings(length=4, overlap=0, schedule="batched")
    calls = calls_of(apply_windows(model, settings, windows_per_batch=2), frames=14)
    assert calls == [
        (list(range(8)), 2, 8),
        (list(range(8, 12)), 1, 4),
        ([12, 13], 1, 2),  # of another length, so alone
    ]
    assert [windows for _, windows, _ in calls_of(apply_windows(model, settings, 9), frames=14)] == [3, 1]


@pytest.mark.parametrize("split", [False, True], ids=["together", "split"])
def test_stacked_windows_equal_one_at_a_time(tmp_path, split):
    """With a motion model, prompts and masks per frame, a ControlNet, and a frame that two stacked windows share."""
    animated = animate(toy.toy_model_patcher(split_conds=split), motion_model(tmp_path, "v3"))
    size, noise = 8, toy.noise_for(7, 8)
    masks = torch.rand((7, 8 * size, 8 * size), generator=torch.Generator().manual_seed(9))
    control = toy.toy_controlnet().set_cond_hint(toy.hints(7, 8 * size).movedim(-1, 1), 0.7, (0.0, 1.0))
    positive = toy.conditioning(frames=7, mask=masks, control=control) + toy.conditioning(8, control=control)
    negative = toy.conditioning(6, control=control)
    settings = WindowSettings(length=4, overlap=2, schedule="looped_uniform", closed_loop=True)
    one, three = (
        toy.sample(apply_windows(animated, settings, together), positive, negative, noise=noise, steps=1)
        for together in (1, 3)
    )
    assert relative_error(three, one) < 5e-5


def test_number_of_stacked_windows_follows_free_memory(model, monkeypatch):
    base, shape = model.model, [16, 4, 8, 8]
    monkeypatch.setattr(base, "current_patcher", model, raising=False)
    needed = base.memory_required(shape)
    for share, windows in ((0.1, 1), (1.6, 1), (3.1, 2), (4.6, 3), (1000.0, memory.MOST_WINDOWS)):
        monkeypatch.setattr(model, "get_free_memory", lambda device, free=share * needed: free)
        assert memory.windows_that_fit(base, shape, torch.device("cuda:0")) == windows  # core's factor is 1.5
    assert memory.windows_that_fit(base, shape, torch.device("cpu")) == 1


def test_motion_modules_count_when_windows_are_stacked(model, tmp_path, monkeypatch):
    animated, shape = animate(model, motion_model(tmp_path)), [16, 4, 8, 8]
    base = animated.model
    monkeypatch.setattr(base, "current_patcher", animated, raising=False)
    needed = base.memory_required(shape) + memory.motion_bytes(animated, 16 * 8 * 8)
    for spare, windows in ((-1000, 1), (1000, 2)):  # at toy size the modules' bytes are few beside the UNet's
        monkeypatch.setattr(animated, "get_free_memory", lambda device, free=3 * needed + spare: free)
        assert memory.windows_that_fit(base, shape, torch.device("cuda:0")) == windows


def test_free_memory_is_asked_about_a_window_with_the_conditionings_that_run(model, monkeypatch):
    asked = []

    def two(base, shape, device):
        asked.append(shape)
        return 2

    monkeypatch.setattr(memory, "windows_that_fit", two)
    windowed, positive = (
        apply_windows(model, WindowSettings(length=4, overlap=0, schedule="batched")),
        toy.conditioning() + toy.conditioning(8),
    )
    calls = calls_of(windowed, frames=14, positive=positive)
    assert [windows for _, windows, _ in calls] == [2, 1, 1]
    calls_of(windowed, frames=14, positive=positive, cfg=1.0)
    assert asked == [[4 * 3, 4, toy.SIZE, toy.SIZE], [4 * 2, 4, toy.SIZE, toy.SIZE]]  # at cfg 1 no negative runs
    assert len(calls_of(windowed, frames=4)) == 1 and len(asked) == 2  # without windows nobody asks


@pytest.mark.newest_host
def test_shifted_windows_cost_one_pass_and_overlapping_ones_a_third_more(model):
    def passes(schedule, total=64, steps=4):
        calls = calls_of(apply_windows(model, WindowSettings(length=16, overlap=4, schedule=schedule)), total, steps)
        return sum(images for _, _, images in calls) / total / steps

    assert passes("shifted") == 1.0
    assert passes("standard_uniform", total=240) == pytest.approx(16 / 12, rel=0.05)


def test_two_nodes_use_their_windows_early_and_late(model):
    wide = WindowSettings(length=6, overlap=0, schedule="batched")
    staged = apply_windows(apply_windows(model, SMALL), wide, start=0.5)
    lengths = [images for _, _, images in calls_of(staged, frames=12, steps=4)]
    early = [len(window) for step in (0, 1) for window in windows_for_step(SMALL, 12, step)]
    # "normal" spaces the steps evenly in the training schedule: at 0, 1/3, 2/3 and 1 of it
    assert lengths == [*early, 6, 6, 6, 6]
    replaced = apply_windows(staged, SMALL)
    assert [stage.settings for stage in replaced.model_options["context_handler"].stages] == [SMALL]


def test_outside_every_stage_the_clip_is_sampled_whole(model):
    early = apply_windows(model, WindowSettings(length=6, overlap=0, schedule="batched"), end=0.5)
    calls = calls_of(early, frames=12, steps=4)
    assert [images for _, _, images in calls] == [6, 6, 6, 6, 12, 12]
    assert calls[-1] == (None, 1, 12)
    assert frames_at_once(early.model_options["context_handler"], 12) == (12, 0)


def test_a_clip_that_a_gap_samples_whole_is_refused_up_front(model, tmp_path):
    animated = apply_windows(animate(model, motion_model(tmp_path, "v1")), SMALL, end=0.9)
    with pytest.raises(ValueError, match=r"positions for 24 frames, but 30 .*must cover start_percent 0 to end_perc"):
        toy.sample(animated, frames=30, steps=1)
    covered = apply_windows(animated, WindowSettings(length=6, overlap=0, schedule="batched"), start=0.9)
    assert toy.sample(covered, noise=toy.noise_for(30, 8), steps=1).shape[0] == 30


def test_a_closed_loop_in_one_window_turns_at_every_step(model):
    turned = apply_windows(model, WindowSettings(length=16, overlap=4, closed_loop=True))
    seen = [frames for frames, _, _ in calls_of(turned, frames=4, steps=4)]
    assert seen == [[0, 1, 2, 3], [2, 3, 0, 1], [1, 2, 3, 0], [3, 0, 1, 2]]
    assert [frames for frames, _, _ in calls_of(turned, frames=1)] == [None]


@pytest.mark.newest_host
@pytest.mark.parametrize(
    ("frames", "settings", "change"),
    [
        (8, WindowSettings(length=16, overlap=4), 0.01),
        (8, WindowSettings(length=4, overlap=1, schedule="standard_static"), 0.01),
        (12, WindowSettings(length=6, overlap=0, schedule="shifted"), 0.1),
    ],
    ids=["one window", "wrapped", "shifted"],
)
def test_a_closed_loop_has_no_seam(model, tmp_path, frames, settings, change):
    """The noise turns evenly through a circle and all steps are alike, so the windows alone can tell pairs apart.

    An open clip has a seam, because the motion module knows its ends by their positions. The noise turns so little
    that it shows.
    """
    animated = animate(model, motion_model(tmp_path))
    noise, sigmas = turning_noise(frames, 8, change), torch.linspace(2.0, 0.0, 9)
    opened, closed = (
        seam(toy.sample(apply_windows(animated, chosen), noise=noise, sigmas=sigmas, steps=8, cfg=1.0))
        for chosen in (settings, replace(settings, closed_loop=True))
    )
    assert closed == pytest.approx(1.0, abs=0.1)
    assert opened > 1.2


def test_settings_of_a_stage_are_refused_in_words(model):
    with pytest.raises(ValueError, match=r"end_percent 0.2 lies before start_percent 0.8"):
        apply_windows(model, SMALL, start=0.8, end=0.2)
    with pytest.raises(ValueError, match="windows_per_batch -1"):
        apply_windows(model, SMALL, windows_per_batch=-1)


def test_the_number_of_windows_is_taken_back(model):
    kept = []

    def note(x, control, options):
        kept.append(options)
        return x

    stacked = toy.answer_with(apply_windows(model, SMALL, windows_per_batch=2), note)
    toy.sample(stacked, frames=7, steps=1)
    assert kept[0][keys.WINDOWS_PER_CHUNK] == 2
    assert keys.WINDOWS_PER_CHUNK not in stacked.model_options["transformer_options"]
