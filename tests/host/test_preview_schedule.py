"""The schedule preview against what really reaches the UNet in a run of the same MODEL."""

import pytest
import torch

from support.toy_models import files as toy_files
from support.toy_models import unet as toy
from zoetrope.host.call.sampling_range import SamplingRange
from zoetrope.host.call.strength import Strength
from zoetrope.host.lora.unet_lora import apply_lora
from zoetrope.host.motion.view_windows import apply_views
from zoetrope.host.preview_schedule import chart_of, planned_steps, schedule_image
from zoetrope.host.prompts.cfg_per_frame import apply_guidance, guidance_of
from zoetrope.host.sampling.context_windows import apply_windows
from zoetrope.nodes.preview_schedule import PreviewSchedule
from zoetrope.temporal.values.frame_values import listed_values
from zoetrope.temporal.values.schedule import parse_value_schedule
from zoetrope.temporal.windows.blending import blend_shares
from zoetrope.temporal.windows.schedules import windows_for_step
from zoetrope.temporal.windows.settings import WindowSettings

FRAMES, STEPS = 11, 5
SMALL = WindowSettings(length=4, overlap=1)


@pytest.fixture(scope="module")
def model():
    return toy.toy_model_patcher()


def staged(model):
    """Whole clip after 60 %, a loop in the first 30 %, one window a call so that they can be told apart."""
    base = apply_windows(model, SMALL, 1, end=0.6)
    return apply_windows(
        base, WindowSettings(length=6, overlap=2, schedule="looped_uniform", fuse="flat", closed_loop=True), 1, end=0.3
    )


def cores(model, **options):
    return toy.with_core_handler(model, "standard_uniform", "relative", 4, 1, **options)


MODELS = {
    "none": lambda model: model,
    "ours": lambda model: apply_windows(model, SMALL, 1),
    "stages": staged,
    "core": lambda model: cores(model, causal_window_fix=False),
    "core with anchors": cores,
}


@pytest.mark.parametrize("name", MODELS)
def test_what_is_drawn_is_what_runs(model, name):
    """Windows by their announcement, and frames by the size of the batches, of every step."""
    model = MODELS[name](model)
    windows, frames = {}, {}

    def answer(x, control, options):
        step = int((options["sample_sigmas"] > options["sigmas"][0] * 1.0001).sum())
        window = options.get("context_window")
        windows.setdefault(step, []).append(list(range(FRAMES)) if window is None else list(window.index_list))
        frames[step] = frames.get(step, 0) + len(x) // len(options["cond_or_uncond"])
        return x

    plan = list(planned_steps(model, FRAMES, STEPS))
    toy.sample(toy.answer_with(model, answer), frames=FRAMES, steps=STEPS)
    assert [step.windows for step in plan] == [windows[step] for step in range(STEPS)]
    assert [step.frames for step in plan] == [frames[step] for step in range(STEPS)]
    for step in plan:
        sums = torch.zeros(FRAMES)
        for window, shares in zip(step.windows, step.shares, strict=True):
            sums[window] += torch.tensor(shares)
        assert torch.allclose(sums, torch.ones(FRAMES))


@pytest.mark.newest_host
def test_shares_are_those_of_the_stage_at_work(model):
    plan = list(planned_steps(staged(model), FRAMES, STEPS))
    windows = windows_for_step(SMALL, FRAMES, 2)
    assert plan[2].windows == windows
    assert plan[2].shares == blend_shares(SMALL, windows, FRAMES)
    (step,) = planned_steps(cores(model, causal_window_fix=False), FRAMES, 1)
    relative = WindowSettings(length=4, overlap=1, schedule="standard_uniform", fuse="relative")
    assert step.shares == blend_shares(relative, step.windows, FRAMES) != blend_shares(SMALL, step.windows, FRAMES)
    assert [step.plan.split(",")[0] for step in plan] == ["windows of 6"] * 2 + ["windows of 4"] + [
        "all frames at once"
    ] * 2


@pytest.mark.newest_host
def test_the_chart_says_how_much_work_it_is(model):
    chart = chart_of(apply_windows(model, WindowSettings(length=4, overlap=1, schedule="standard_static")), 10, 3, None)
    # three windows of four frames over ten
    assert {row.note for row in chart.rows} == {"3 windows, 1.20 passes"}
    assert chart.lines == [
        "windows of 4, overlap 1, standard_static, pyramid",
        "1.20 passes of each frame through the UNet in a step, on average",
    ]
    assert len(chart_of(model, 8, 250, None).rows) == 84  # every third


@pytest.mark.newest_host
def test_views_lie_within_their_windows(model):
    viewed = apply_views(
        apply_windows(model, WindowSettings(length=6, overlap=2, schedule="standard_static")),
        WindowSettings(length=4, overlap=2),
    )
    first, second = chart_of(viewed, 10, 1, None).rows[0].bars
    assert [list(view) for view in first.views] == [[0, 1, 2, 3], [2, 3, 4, 5]]
    assert [list(view) for view in second.views] == [[4, 5, 6, 7], [6, 7, 8, 9]]


@pytest.mark.newest_host
def test_values_over_the_frames_are_those_the_model_carries(model, tmp_path):
    rise, mask = parse_value_schedule("0: 0, -1: 1"), torch.zeros(2, 8, 8)
    mask[1, :4] = 1.0  # its second frame, which later frames hold
    animated = toy_files.animate(model, toy_files.motion_model(tmp_path), scale=rise, effect=mask)
    curves = chart_of(animated, 5, 1, parse_value_schedule("0: 2")).curves
    assert [list(curve.values) for curve in curves] == [[2.0] * 5, [0, 0.25, 0.5, 0.75, 1], [0, 0.5, 0.5, 0.5, 0.5]]
    assert [curve.name.split()[0] for curve in curves] == ["frame_values", "scale", "effect"]
    assert chart_of(toy_files.animate(model, toy_files.motion_model(tmp_path)), 5, 1, None).curves == []


@pytest.mark.newest_host
def test_guidance_and_loras_per_frame_are_drawn_and_constants_are_not(model, tmp_path):
    layer = "diffusion_model.input_blocks.2.1.transformer_blocks.0.attn1.to_q"
    pair = {f"{layer}.lora_up.weight": torch.ones(32, 2), f"{layer}.lora_down.weight": torch.ones(2, 32)}
    name = toy_files.put("loras", tmp_path / "style.safetensors", pair)
    always, fall = SamplingRange(), parse_value_schedule("0: 1, -1: 0")
    led = apply_lora(model, name, Strength(2.0, (fall,)), always)
    led = apply_guidance(led, guidance_of(fall, always, None))
    led = apply_guidance(led, guidance_of(7.0, always, None))
    drawn = {curve.name: list(curve.values) for curve in chart_of(led, 3, 1, None).curves}
    assert drawn == {"strength of style.safetensors": [2.0, 1.0, 0.0], "guidance": [1.0, 0.5, 0.0]}


@pytest.mark.newest_host
def test_given_values_may_be_a_list_and_other_things_are_named(model):
    assert torch.equal(schedule_image(model, 3, 1, [1, 2, 3]), schedule_image(model, 3, 1, listed_values([1, 2, 3])))
    with pytest.raises(ValueError, match="frame_values is 'x'; connect FRAME_VALUES"):
        schedule_image(model, 3, 1, "x")


def test_windows_over_another_axis_and_of_unknown_packs_leave_the_clip_whole(model):
    other = model.clone()
    other.model_options["context_handler"] = object()
    for strange in (other, cores(model, dim=2)):
        (step,) = planned_steps(strange, FRAMES, 1)
        assert step.windows == [list(range(FRAMES))]
    assert chart_of(other, FRAMES, 1, None).lines[0] == "all frames at once (object of another pack)"


def test_contradicting_windows_of_core_are_refused(model):
    with pytest.raises(ValueError, match="context_overlap 4 of Context Windows must be smaller than context_length 4"):
        chart_of(toy.with_core_handler(model, "standard_static", "flat", 4, 4), FRAMES, STEPS, None)


def test_the_node_gives_the_picture_and_shows_it(model, tmp_path, monkeypatch):
    monkeypatch.setattr("folder_paths.get_temp_directory", lambda: str(tmp_path))
    output = PreviewSchedule.execute(apply_windows(model, SMALL), FRAMES, STEPS)
    (image,) = output.result
    assert image.ndim == 4 and image.shape[0] == 1 and image.shape[-1] == 3
    assert image.dtype == torch.float32 and 0 <= image.min() < 0.2 and 0.8 < image.max() <= 1
    (shown,) = output.ui.as_dict()["images"]
    assert (tmp_path / shown["filename"]).is_file() and shown["type"] == "temp"
