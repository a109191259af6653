"""Which frames a UNet call holds, and that everybody who asks gets the same answer."""

import pytest
import torch
from comfy.context_windows import IndexListContextWindow
from comfy.patcher_extension import WrappersMP

import nodes
from support.files.sparse import sparse_file
from support.toy_models import unet as toy
from support.toy_models.files import animate, motion_model, put, relative_error
from zoetrope.host.call import keys
from zoetrope.host.call.frames import CallFrames, call_frames, published_frames
from zoetrope.host.call.sampling_range import SamplingRange
from zoetrope.host.call.strength import Strength
from zoetrope.host.control.apply import apply_per_frame
from zoetrope.host.control.spec import ControlSpec
from zoetrope.host.lora.unet_lora import apply_lora
from zoetrope.host.sampling.context_windows import apply_windows
from zoetrope.nodes.sparse_ctrl import LoadSparseCtrl, SparseKeyframes
from zoetrope.temporal.values.schedule import parse_value_schedule
from zoetrope.temporal.windows.settings import WindowSettings

WINDOW, TOTAL = (20, 21, 22, 23), 48
RISE = parse_value_schedule("0: 0.0, -1: 2.0")  # another value at every frame, and in clips of another length


def of_core(frames=WINDOW, total=TOTAL, **fields):
    window = IndexListContextWindow(list(frames), dim=0, total_frames=total)
    for name, value in fields.items():
        setattr(window, name, value)
    return {"context_window": window}


def of_evolved(frames=WINDOW, total=TOTAL):
    return {"ad_params": {"sub_idxs": list(frames), "full_length": total, "context_length": len(frames)}}


FIRST_EIGHT = tuple(range(8))
CASES = {
    "nothing is announced": ({}, 8, CallFrames(FIRST_EIGHT, 8)),
    "two conditionings": ({"cond_or_uncond": [0, 1]}, 8, CallFrames((0, 1, 2, 3), 4, 2)),
    "core's window": (of_core(), 4, CallFrames(WINDOW, TOTAL, 1, announced=True)),
    "core's window, two conditionings": (
        of_core() | {"cond_or_uncond": [0, 1]},
        8,
        CallFrames(WINDOW, TOTAL, 2, announced=True),
    ),
    "two tiles of core's window": (of_core(), 8, CallFrames(WINDOW, TOTAL, 2, announced=True)),
    "two tiles, two conditionings": (
        of_core() | {"cond_or_uncond": [0, 1]},
        16,
        CallFrames(WINDOW, TOTAL, 4, announced=True),
    ),
    "another pack's window": (of_evolved(), 8, CallFrames(WINDOW, TOTAL, 2, announced=True)),
    "a window over another axis": (of_core(dim=2), 8, CallFrames(FIRST_EIGHT, 8)),
    "core's anchor": (of_core(causal_anchor_index=19), 5, CallFrames((19, *WINDOW), TOTAL, 1, announced=True)),
    "no anchor": (of_core(causal_anchor_index=-1), 4, CallFrames(WINDOW, TOTAL, 1, announced=True)),
    "a window that does not fit": (of_core(), 6, CallFrames(tuple(range(6)), TOTAL, 1, misfit=4)),
    "core's window wins": (
        of_core() | of_evolved((1, 2, 3, 4), 99),
        4,
        CallFrames(WINDOW, TOTAL, 1, announced=True),
    ),
    "core's window does not say how long the clip is": (
        of_core(total_frames=0) | {keys.CLIP_LENGTH: TOTAL},
        4,
        CallFrames(WINDOW, TOTAL, 1, announced=True),
    ),
    "another pack does not say how long the clip is": (
        {"ad_params": {"sub_idxs": [1, 2]}, keys.CLIP_LENGTH: TOTAL},
        2,
        CallFrames((1, 2), TOTAL, 1, announced=True),
    ),
    "another pack says less than it announces": (
        of_evolved((5, 6, 7, 8), 6),
        4,
        CallFrames((5, 6, 7, 8), 9, 1, announced=True),
    ),
    "another pack says nothing": ({"ad_params": None}, 2, CallFrames((0, 1), 2)),
    "two windows of ours that do not fit": (
        published_frames([0, 1, 2, 2, 3, 4], 12, 3, windows=2),
        4,
        CallFrames((0, 1, 2, 3), 12, misfit=6),
    ),
    "a piece of the clip of each conditioning": (
        {"cond_or_uncond": [0, 1], keys.CLIP_LENGTH: 8},
        8,
        CallFrames((0, 1, 2, 3), 8, 2),
    ),
    "the clip's length": ({keys.CLIP_LENGTH: 4}, 8, CallFrames((0, 1, 2, 3), 4, 2)),
    "two windows of ours": (
        published_frames([0, 1, 2, 2, 3, 4], 12, 3, windows=2),
        6,
        CallFrames((0, 1, 2, 2, 3, 4), 12, 1, 2, announced=True),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_frames_of_a_call(case):
    options, rows, frames = CASES[case]
    assert call_frames(options, rows) == frames


@pytest.mark.parametrize(
    "announced",
    [
        [],
        "frames",
        7,
        {"sub_idxs": "0123", "full_length": 4},
        {"sub_idxs": 3, "full_length": "many"},
        {"sub_idxs": [], "full_length": float("nan")},
        {"sub_idxs": [0.5, 1.5, 2.5, 3.5], "full_length": 1e300},
        {"sub_idxs": [-1, 0, 1, 2], "full_length": -4},
        {"sub_idxs": [0, 1, 2, 10**18], "full_length": 10**30},
        {"sub_idxs": [None, 1, 2, 3], "full_length": [4]},
        {"sub_idxs": range(10**12), "full_length": object()},
        {"sub_idxs": torch.rand(4, 2), "full_length": torch.rand(2)},
    ],
)
def test_announcements_that_make_no_sense_are_none(announced):
    assert call_frames({"ad_params": announced}, 4) == CallFrames((0, 1, 2, 3), 4)


def test_an_announcement_in_tensors_is_understood():
    announced = {"ad_params": {"sub_idxs": torch.tensor(WINDOW), "full_length": torch.tensor(TOTAL)}}
    assert call_frames(announced, 4) == CallFrames(WINDOW, TOTAL, 1, announced=True)


def test_windows_that_are_stacked_have_one_length():
    frames = call_frames(published_frames([0, 1, 2, 2, 3, 4], 12, 3, windows=2), 6)
    assert (frames.length, frames.by_window) == (3, ((0, 1, 2), (2, 3, 4)))


def test_what_a_control_was_told_counts_where_the_options_say_nothing():
    assert call_frames({}, 8, 1, WINDOW, TOTAL) == CallFrames(WINDOW, TOTAL, 2, announced=True)
    assert call_frames(of_core((1, 2), 9), 4, 1, WINDOW, TOTAL) == CallFrames((1, 2), 9, 2, announced=True)


# ------------------------------------------------------------------------------- two tiles in a call are two calls


# Float32 in a batch of another size: 0 to 1e-4 between processors. Frames of the wrong clip are 1e-2 and more away.
CLOSE, ANOTHER = 1e-3, 1e-2


def two_tiles(executor, x, t, c_concat, c_crossattn, control, transformer_options, **kwargs):
    """A pack that samples in tiles and stacks two: the batch doubles, and nobody is told."""
    x, t, c_crossattn = (torch.cat([value, value]) for value in (x, t, c_crossattn))
    first, second = executor(x, t, c_concat, c_crossattn, control, transformer_options, **kwargs).chunk(2)
    assert relative_error(first, second) < CLOSE  # both tiles hold the same frames
    return first


def with_motion(model, folder):
    return animate(model, motion_model(folder, "v2"), scale=RISE)


def with_lora(model, folder):
    layer = "diffusion_model.input_blocks.2.1.transformer_blocks.0.attn1.to_q"
    pair = {f"{layer}.lora_up.weight": torch.ones(32, 2), f"{layer}.lora_down.weight": torch.ones(2, 32)}
    name = put("loras", folder / "style.safetensors", pair)
    return apply_lora(model, name, Strength(1.0, (RISE,)), SamplingRange())


@pytest.mark.parametrize("apply", [with_motion, with_lora])
def test_motion_models_and_loras_see_the_same_frames_in_tiles(tmp_path, apply):
    plain = toy.toy_model_patcher()
    tiled = plain.clone()
    tiled.add_wrapper_with_key(WrappersMP.APPLY_MODEL, "tiles", two_tiles)
    made = {}
    for name, model in (("plain", plain), ("tiled", tiled)):
        windowed = apply_windows(apply(model, tmp_path), WindowSettings(length=4, overlap=0, schedule="batched"), 1)
        made[name] = toy.sample(windowed, noise=toy.noise_for(12, 8), steps=1)
    assert relative_error(made["tiled"], made["plain"]) < CLOSE
    # Frames 4 to 11 taken for 0 to 7 of 8, as without the announcement, would be something else.
    alone = apply_windows(apply(plain, tmp_path), WindowSettings(length=4, overlap=0, schedule="batched"), 1)
    taken_for_a_clip = toy.sample(alone, noise=toy.noise_for(12, 8)[4:], steps=1)
    assert relative_error(taken_for_a_clip, made["plain"][4:]) > ANOTHER


def control_per_frame(folder, spec=None):
    conds = (toy.conditioning(), toy.conditioning(6))
    (positive, *_), _ = apply_per_frame(
        conds, toy.toy_controlnet(), toy.hints(TOTAL, 64), 1.0, (0.0, 1.0), RISE, spec=spec
    )
    return positive[1]["control"]


def sparse_ctrl(folder):
    put("controlnet", folder / "scribble.safetensors", sparse_file("scribble"))
    (loaded,) = LoadSparseCtrl.execute("scribble.safetensors").args
    # at frame 21 of 48
    (keyed,) = SparseKeyframes.execute(loaded, "0, 0.4468", "indexes", "nearest", 1.0).args
    conds = (toy.conditioning(), toy.conditioning(6))
    positive, _ = nodes.ControlNetApplyAdvanced().apply_controlnet(*conds, keyed, toy.hints(2, 64), 1.0, 0.0, 1.0)
    return positive[0][1]["control"]


def caller_of(control):
    """A function that makes the residuals of a call that holds the window in so many tiles."""
    base = toy.toy_model_patcher().model
    control.pre_run(base, base.model_sampling.percent_to_sigma)

    def call(options, tiles, conditionings=1):
        chunks = conditionings * tiles
        x = toy.noise_for(len(WINDOW), 8).repeat(chunks, 1, 1, 1)
        cond = {"c_crossattn": toy.conditioning()[0][0].repeat(len(x), 1, 1)}
        levels = {"cond_or_uncond": list(range(conditionings)), "sigmas": torch.full((1,), 3.0)}
        given = control.get_control(x, torch.full((len(x),), 3.0), cond, conditionings, {**levels, **options})
        return [part.clone() for layers in given.values() for part in layers if part is not None]

    return call


@pytest.mark.parametrize("make", [control_per_frame, sparse_ctrl])
def test_controlnets_see_the_same_frames_in_tiles(tmp_path, make):
    """Frames 20 to 23 of 48 as two tiles: 8 rows under an announcement of 4 frames."""
    call = caller_of(make(tmp_path))
    with torch.inference_mode():
        once, twice, unknown = call(of_core(), 1), call(of_core(), 2), call({}, 2)
    assert len(once) == len(twice) > 3
    for single, double, guessed in zip(once, twice, unknown, strict=True):
        assert relative_error(double, torch.cat([single, single])) < CLOSE
        assert relative_error(double, guessed) > ANOTHER  # frames 0 to 7 of 8 would be something else


def test_the_factor_of_negative_prompts_finds_them_in_each_tile(tmp_path):
    spec = ControlSpec(uncond=0.5)
    call = caller_of(control_per_frame(tmp_path, spec))
    with torch.inference_mode():
        plain, both = caller_of(control_per_frame(tmp_path))(of_core(), 1), call(of_core(), 2, conditionings=2)
    for alone, stacked in zip(plain, both, strict=True):
        assert relative_error(stacked, torch.cat([alone, alone * 0.5, alone, alone * 0.5])) < CLOSE
