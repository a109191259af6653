"""The window handler inside real sampling.

The toy UNet treats frames independently, so windows must not change its result; a stand-in whose frames interact
shows that the same windows with the same weights as core's run.
"""

import sys
from types import SimpleNamespace

import comfy.model_management
import pytest
import torch
from comfy.conds import CONDConstant, CONDRegular
from comfy.patcher_extension import WrappersMP
from comfy_execution.utils import CurrentNodeContext
from comfy_extras import nodes_custom_sampler as custom

from support.toy_models import unet as toy
from support.toy_models.unet import same, with_core_handler
from zoetrope.host.call import keys
from zoetrope.host.call.conditioning_rows import conds_of_window
from zoetrope.host.call.sampling_range import sampling_step
from zoetrope.host.progress import window_progress as progress
from zoetrope.host.sampling import context_windows as windows
from zoetrope.host.sampling.context_windows import apply_windows
from zoetrope.temporal.windows.schedules import windows_for_step
from zoetrope.temporal.windows.settings import FUSE_METHODS, WindowSettings
from zoetrope.temporal.windows.stages import WindowStage

FRAMES, SIZE = 6, 8  # of the latent
SMALL = WindowSettings(length=4, overlap=1)
newest = pytest.mark.newest_host


@pytest.fixture(scope="module")
def model():
    return toy.toy_model_patcher()


@pytest.fixture(scope="module")
def plain(model):
    return clip_of(model)


def clip_of(model, positive=None, frames=FRAMES, **options):
    """What the sampler makes of FRAMES frames of noise."""
    return toy.sample(model, positive, noise=toy.noise_for(frames, SIZE), **options)


def mixing(model):
    """A stand-in for a UNet with motion: every frame depends on all frames of the window, in order."""

    def answer(x, control, options):
        chunks = x.chunk(len(options["cond_or_uncond"]))
        ramp = torch.linspace(0.5, 1.5, len(chunks[0])).view(-1, 1, 1, 1)
        return torch.cat([chunk * 0.5 + (chunk * ramp).mean(0) * 0.3 for chunk in chunks])

    return toy.answer_with(model, answer)


@pytest.mark.parametrize(
    "settings",
    [
        WindowSettings(length=4, overlap=1, schedule="standard_uniform", fuse="pyramid"),
        WindowSettings(length=16, overlap=4, schedule="shifted", closed_loop=True),
        pytest.param(WindowSettings(length=4, overlap=2, schedule="standard_static", fuse="relative"), marks=newest),
        pytest.param(
            WindowSettings(length=4, overlap=1, schedule="looped_uniform", fuse="overlap_linear", closed_loop=True),
            marks=newest,
        ),
        pytest.param(WindowSettings(length=4, overlap=1, schedule="batched", fuse="flat"), marks=newest),
        pytest.param(
            WindowSettings(length=5, overlap=2, schedule="standard_uniform", fuse="overlap_linear", stride=2),
            marks=newest,
        ),
        pytest.param(
            WindowSettings(length=4, overlap=2, schedule="standard_static", fuse="overlap_linear", closed_loop=True),
            marks=newest,
        ),
        pytest.param(WindowSettings(length=4, overlap=0, schedule="shifted", closed_loop=True), marks=newest),
    ],
    ids=lambda s: f"{s.schedule}-{s.fuse}-{s.length}",
)
def test_windows_change_nothing_when_frames_do_not_interact(model, plain, settings):
    assert same(clip_of(apply_windows(model, settings)), plain)


IN_ORDER = [(s, f) for s in ("standard_uniform", "standard_static", "batched") for f in FUSE_METHODS]
# core weighs windows that wrap by frame number with the other two methods, ours by position in the window
WRAPPED = [("looped_uniform", "pyramid"), ("looped_uniform", "flat")]


@pytest.mark.parametrize(("schedule", "fuse"), IN_ORDER + WRAPPED)
def test_results_equal_cores_handler(model, schedule, fuse):
    model = mixing(model)
    ours = apply_windows(model, WindowSettings(length=6, overlap=2, schedule=schedule, fuse=fuse))
    theirs = with_core_handler(model, schedule, fuse.replace("_", "-"), 6, 2, causal_window_fix=False)
    ours, theirs = (toy.sample(m, frames=17, steps=4) for m in (ours, theirs))
    assert same(ours, theirs)
    assert not same(ours, toy.sample(model, frames=17, steps=4))


def test_a_clip_that_fits_one_window_is_sampled_as_without(model, plain):
    for length in (FRAMES, 16):
        assert torch.equal(clip_of(apply_windows(model, WindowSettings(length=length, overlap=1))), plain)


def test_one_window_equals_no_windows_bit_for_bit(model, plain, monkeypatch):
    monkeypatch.setattr(windows.WindowHandler, "should_use_context", lambda *args: True)
    assert torch.equal(clip_of(apply_windows(model, WindowSettings(length=16, overlap=4))), plain)


@pytest.mark.parametrize("rows", [FRAMES, 4, 9])
def test_prompts_per_frame_follow_the_windows(model, rows):
    """Fewer rows than frames repeat over the clip, as core repeats them without windows."""
    positive = toy.conditioning(frames=rows)
    plain = clip_of(model, positive, steps=1)
    assert same(clip_of(apply_windows(model, SMALL), positive, steps=1), plain)


@pytest.mark.parametrize("rows", [FRAMES, 3, 9])
def test_masks_per_frame_and_areas_follow_the_windows(model, rows):
    masks = torch.rand((rows, 8 * toy.SIZE, 8 * toy.SIZE), generator=torch.Generator().manual_seed(9))
    left, right = toy.conditioning(7, mask=masks), toy.conditioning(8, area=(8, 16, 4, 0))
    positive = left + right + toy.conditioning()
    plain = toy.sample(model, positive, frames=FRAMES, steps=1)
    assert same(toy.sample(apply_windows(model, SMALL), positive, frames=FRAMES, steps=1), plain)


def test_a_clip_of_one_frame_keeps_what_has_no_frames():
    """A video of one frame is a run with numbered frames, too; core's CONDConstant holds a plain number."""
    cond = {"model_conds": {"count": CONDConstant(5), "prompt": CONDRegular(torch.ones(1, 4, 2))}, "strength": 1.0}
    (cut,) = conds_of_window([cond], [0], 1)
    assert cut["model_conds"]["count"].cond == 5 and cut["strength"] == 1.0
    assert torch.equal(cut["model_conds"]["prompt"].cond, torch.ones(1, 4, 2))


@pytest.mark.parametrize("sampler", ["dpm_2", "dpmpp_2s_ancestral", "lcm"])
def test_samplers_with_inner_steps(model, sampler):
    plain = clip_of(model, sampler=sampler)
    assert same(clip_of(apply_windows(model, SMALL), sampler=sampler), plain)


def test_two_stage_sampling(model):
    def two_stages(m):
        first = clip_of(m, steps=4, start_step=0, last_step=2)
        rest = {"latent": first, "start_step": 2, "last_step": 4, "disable_noise": True}
        return toy.sample(m, frames=FRAMES, steps=4, noise=torch.zeros_like(first), **rest)

    assert same(two_stages(apply_windows(model, SMALL)), two_stages(model))


def guiders(model):
    basic = custom.Guider_Basic(model)
    basic.set_conds(toy.conditioning())
    dual = custom.Guider_DualCFG(model)
    dual.set_conds(toy.conditioning(), toy.conditioning(7), toy.conditioning(8))
    dual.set_cfg(2.0, 3.0)
    return basic, dual


def test_guiders_of_samplercustomadvanced(model):
    for plain, windowed in zip(guiders(model), guiders(apply_windows(model, SMALL)), strict=True):
        assert same(*(toy.guided_sample(guider, frames=FRAMES, steps=1) for guider in (windowed, plain)))


def test_the_window_is_announced_while_it_runs_and_taken_back(model):
    seen, after = [], []

    def look(x, control, options):
        window, peers = options["context_window"], options["ad_params"]
        seen.append(window.index_list)
        assert (window.dim, window.total_frames) == (0, FRAMES)
        assert peers == {"sub_idxs": window.index_list, "full_length": FRAMES, "context_length": 4}
        assert len(x) == len(window.index_list) * len(options["cond_or_uncond"]) == 4 * 2

    def step(executor, x, timestep, model_options, seed):
        out = executor(x, timestep, model_options, seed)
        after.append({"context_window", "ad_params"} & set(model_options["transformer_options"]))
        return out

    watched = toy.watch(apply_windows(model, SMALL), look)
    watched.add_wrapper_with_key(WrappersMP.PREDICT_NOISE, "test", step)
    clip_of(watched)
    assert seen == [window for step in (0, 1) for window in windows_for_step(SMALL, FRAMES, step)]
    assert after == [set(), set()]


def test_what_was_announced_before_is_put_back():
    options = {"ad_params": {"mine": 1}, "transformer": 2}
    with windows._published(options, [1, 2], windows=1, length=4, total=5):
        assert options["ad_params"]["sub_idxs"] == [1, 2]
    assert options == {"ad_params": {"mine": 1}, "transformer": 2}


@pytest.mark.parametrize("interrupt", [True, False], ids=["interrupt", "error"])
def test_a_run_broken_inside_a_window_leaves_nothing_behind(model, plain, interrupt):
    windowed = apply_windows(model, SMALL)
    calls, kept = [], []

    def breaking(x, control, options):
        calls.append(1)
        if len(calls) == 1 and interrupt:
            comfy.model_management.interrupt_current_processing()
        elif len(calls) == 2:
            raise RuntimeError("out of patience")
        return x

    def keep(executor, x, timestep, model_options, seed):
        kept.append(model_options["transformer_options"])
        return executor(x, timestep, model_options, seed)

    broken = toy.answer_with(windowed, breaking)
    broken.add_wrapper_with_key(WrappersMP.PREDICT_NOISE, "test", keep)
    error = comfy.model_management.InterruptProcessingException if interrupt else RuntimeError
    with pytest.raises(error):
        clip_of(broken)
    assert len(calls) == (1 if interrupt else 2)  # the second window of the same step does not start
    assert not {"context_window", "ad_params"} & set(kept[0])
    assert same(clip_of(windowed), plain)


def asked_for(windowed, frames):
    """Frames for which core is asked to reserve memory."""
    asked = []

    def note(executor, patcher, shape, *args, **kwargs):
        asked.append(shape[0])
        return executor(patcher, shape, *args, **kwargs)

    windowed = toy.answer_with(windowed, lambda x, control, options: x)
    windowed.add_wrapper_with_key(WrappersMP.PREPARE_SAMPLING, "zz_test", note)
    toy.sample(windowed, frames=frames, steps=1)
    return asked


def test_memory_is_asked_for_the_frames_of_one_call(model):
    assert asked_for(apply_windows(model, SMALL), FRAMES) == [4]
    assert asked_for(apply_windows(model, SMALL), 2) == [2]
    assert asked_for(apply_windows(model, SMALL, windows_per_batch=3), 30) == [12]
    assert asked_for(apply_windows(model, SMALL, windows_per_batch=9), FRAMES) == [12]  # at most three at any step
    assert asked_for(apply_windows(model, SMALL, end=0.5), FRAMES) == [FRAMES]  # the rest samples the clip whole


def test_video_latents_are_refused(model):
    with pytest.raises(ValueError, match=r"four axes.*\(1, 4, 9, 16, 16\).*ComfyUI's own Context Windows"):
        toy.sample(apply_windows(model, SMALL), noise=torch.zeros(1, 4, 9, toy.SIZE, toy.SIZE))


def test_the_model_that_came_in_is_untouched_and_twice_is_once(model, plain):
    once = apply_windows(model, SMALL)
    twice = apply_windows(once, WindowSettings(length=5, overlap=1))
    assert "context_handler" not in model.model_options
    assert once.model_options["context_handler"].context_length == 4
    wrappers = [(WrappersMP.OUTER_SAMPLE, key) for key in (keys.CONTEXT_WINDOWS, keys.CONTROL)]
    for kind, key in [(WrappersMP.PREPARE_SAMPLING, keys.MEMORY), *wrappers]:
        assert len(twice.get_wrappers(kind, key)) == 1
        assert len(model.get_wrappers(kind, key)) == 0
    assert torch.equal(clip_of(model), plain)


def test_cores_own_handler_can_replace_ours(model, plain):
    model = with_core_handler(apply_windows(model, SMALL), "standard_static", "pyramid")
    assert same(clip_of(model), plain)


def test_wrong_settings_are_refused(model):
    with pytest.raises(ValueError, match="context_overlap 4 must be smaller than context_length 4"):
        apply_windows(model, WindowSettings(length=4, overlap=4))


@newest
@pytest.mark.parametrize(
    ("sigma", "step"),
    [(14.0, 0), (14.0005, 0), (20.0, 0), (10.0, 0), (8.0, 1), (7.9995, 1), (5.0, 1), (3.0, 2), (0.5, 2), (0.0, 2)],
)
def test_inner_steps_belong_to_the_step_that_encloses_them(sigma, step):
    options = {"sample_sigmas": torch.tensor([14.0, 8.0, 3.0, 0.0])}
    assert sampling_step(options, torch.full((5,), sigma)) == (step, 3)


@newest
def test_half_precision_results_are_summed_in_full_and_given_back_in_half(model):
    x = toy.noise_for(2 * FRAMES).half()
    run = {"transformer_options": {}}
    out = windows.WindowHandler(
        (WindowStage(settings=WindowSettings(length=4, overlap=3)),)
    ).execute(  # inner frames are in three windows
        lambda m, conds, x_in, t, options: [x_in * 0.5 for _ in conds],
        model.model,
        [[], []],
        x,
        torch.ones(len(x)),
        run,
    )
    assert len(out) == 2 and out[0].dtype == torch.float16
    assert torch.equal(out[0], (x.float() * 0.5).half())


@pytest.mark.parametrize(("interval", "seen"), [(0.0, [0, 1, 0, 1]), (1e9, [0, 0])], ids=["all", "at most one a step"])
def test_progress_counts_windows_for_the_node_that_runs(model, monkeypatch, interval, seen):
    sent = []
    lines = []
    server = SimpleNamespace(
        client_id="me",
        send_sync=lambda *message: sent.append(message),
        send_progress_text=lambda *line: lines.append(line),
    )
    windowed = toy.answer_with(apply_windows(model, SMALL), lambda x, control, options: x)
    monkeypatch.setitem(sys.modules, "server", SimpleNamespace(PromptServer=SimpleNamespace(instance=server)))
    monkeypatch.setattr(progress, "INTERVAL", interval)
    clip_of(windowed)
    assert sent == []
    with CurrentNodeContext("prompt", "12"):
        clip_of(windowed)
    assert {event for event, _, _ in sent} == {"zoetrope.progress"} and {sid for _, _, sid in sent} == {"me"}
    first = {"node": "12", "step": 0, "steps": 2, "window": 0, "windows": 2, "frames": FRAMES}
    assert sent[0][1] == first
    assert [message["window"] for _, message, _ in sent] == seen
    assert {message["step"] for _, message, _ in sent} == {0, 1}
    assert lines[0] == ("step 1 of 2, window 1 of 2", "12", "me")
    assert len(lines) == len(sent)
