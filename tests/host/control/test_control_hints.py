"""Which hint reaches which frame, in every layout of windows, prompts and chains.

Nothing here runs a UNet: the control echoes the number of each hint, and the stand-in for the UNet can compare.
"""

import itertools
import logging

import comfy.latent_formats
import pytest
import torch

import nodes
from support.echo_control import FRAMES, echo, echo_adapter, hints_in, numbered, record
from support.toy_models import unet as toy
from support.toy_models.unet import with_core_handler
from zoetrope.host.control.apply import apply_per_frame
from zoetrope.host.control.residuals import added, scaled_residuals
from zoetrope.host.control.run import follow_frames
from zoetrope.host.control.spec import ControlSpec
from zoetrope.host.sampling.context_windows import apply_windows
from zoetrope.temporal.hint_policies import HINT_POLICIES, hint_indexes
from zoetrope.temporal.values.schedule import parse_value_schedule
from zoetrope.temporal.windows.settings import WindowSettings

SCHEDULES = ["standard_uniform", "standard_static", "looped_uniform", "batched"]


def with_core(net, image, conds=None):
    conds = conds or (toy.conditioning(), toy.conditioning(6))
    return nodes.ControlNetApplyAdvanced().apply_controlnet(*conds, net, image, 1.0, 0.0, 1.0)


def per_frame(net, image, schedule="0: 1", **options):
    values = parse_value_schedule(schedule)
    conds = [toy.conditioning(), toy.conditioning(6)]
    return apply_per_frame(conds, net, image, 1.0, (0.0, 1.0), values, spec=ControlSpec(**options))


def model_with(handler, schedule, split, length=5, overlap=2, stride=1, closed_loop=False):
    model = toy.toy_model_patcher(split_conds=split)
    if handler == "ours":
        return apply_windows(
            model,
            WindowSettings(
                length=length,
                overlap=overlap,
                schedule=schedule,
                fuse="pyramid",
                stride=stride,
                closed_loop=closed_loop,
            ),
        )
    model = with_core_handler(
        model, schedule, "pyramid", length, overlap, stride, closed_loop, causal_window_fix=handler == "core+anchor"
    )
    follow_frames(model)
    return model


@pytest.mark.parametrize("split", [False, True], ids=["stacked", "apart"])
@pytest.mark.parametrize("handler", ["ours", "core", "core+anchor"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_each_frame_gets_its_own_hint(schedule, handler, split):
    conds = with_core(echo_adapter(), numbered(FRAMES), with_core(echo(), numbered(FRAMES)))
    calls = record(model_with(handler, schedule, split), conds)
    assert {len(frames) for frames, _ in calls} <= {n * (1 if split else 2) for n in range(1, 7)}
    for frames, residuals in calls:
        assert hints_in(residuals, len(frames), "middle") == frames
        assert hints_in(residuals, len(frames), "input") == frames


@pytest.mark.parametrize(("stride", "closed_loop"), [(3, False), (1, True), (2, True)])
@pytest.mark.parametrize("handler", ["ours", "core+anchor"])
def test_dilated_and_closed_windows(handler, stride, closed_loop):
    model = model_with(handler, "looped_uniform", False, stride=stride, closed_loop=closed_loop)
    for frames, residuals in record(model, with_core(echo(), numbered(FRAMES))):
        assert hints_in(residuals, len(frames)) == frames


def test_the_anchor_frame_is_really_there():
    """The case above is only worth something if core does prepend a frame (since ComfyUI 0.27)."""
    model = model_with("core+anchor", "standard_static", False)
    sizes = {len(frames) for frames, _ in record(model, with_core(echo(), numbered(FRAMES)))}
    has_anchor = (
        "causal_window_fix" in with_core_handler(model, "batched", "flat").model_options["context_handler"].__dict__
    )
    assert sizes == ({10, 12} if has_anchor else {10})


def test_ad_params_of_other_packs_are_honoured():
    """AnimateDiff-Evolved slices by itself and announces the frames in ``ad_params`` only."""

    def slicing(executor, model, conds, x, t, options):
        out = [torch.zeros_like(x) for _ in conds]
        for window in ([0, 1, 2], [5, 3, 4]):
            announced = {**options["transformer_options"], "ad_params": {"sub_idxs": window, "full_length": 6}}
            part = executor(model, conds, x[window], t[window], {**options, "transformer_options": announced})
            for whole, piece in zip(out, part, strict=True):
                whole[window] = piece
        return out

    model = toy.toy_model_patcher()
    model.add_wrapper_with_key("calc_cond_batch", "test", slicing)
    follow_frames(model)
    calls = record(model, with_core(echo(), numbered(6)), frames=6)
    assert calls[1][0] == [5, 3, 4] * 2
    for frames, residuals in calls:
        assert hints_in(residuals, len(frames)) == frames


def test_fields_that_animatediff_evolved_writes_are_honoured_and_there_only_while_sampling():
    """Its sampler refuses controls without ``sub_idxs``, and fills it in for those of other packs."""
    run_control = []

    def slicing(executor, model, conds, x, t, options):
        out = [torch.zeros_like(x) for _ in conds]
        control = conds[0][0]["control"]
        assert hasattr(control, "sub_idxs")
        run_control.append(control)
        for window in ([0, 1, 2], [5, 3, 4]):
            control.sub_idxs, control.full_latent_length, control.context_length = window, 6, 3
            part = executor(model, conds, x[window], t[window], options)
            for whole, piece in zip(out, part, strict=True):
                whole[window] = piece
        return out

    model = toy.toy_model_patcher()
    model.add_wrapper_with_key("calc_cond_batch", "test", slicing)
    follow_frames(model)
    conds = per_frame(echo(), numbered(6))
    for frames, residuals in record(model, conds, frames=6):
        assert hints_in(residuals, len(frames)) == frames
    assert not any(hasattr(one, "sub_idxs") for one in (run_control[0], conds[0][0][1]["control"]))


def test_retained_latents_of_cores_windows_have_their_own_hints():
    """Core puts frame 1 at place 1 of every window; hosts that lack the option leave it out."""
    model = with_core_handler(
        toy.toy_model_patcher(), "standard_static", "flat", 5, 3, latent_retain_index_list="1", causal_window_fix=False
    )
    follow_frames(model)
    calls = record(model, with_core(echo(), numbered(FRAMES)))
    if hasattr(model.model_options["context_handler"], "latent_retain_index_list"):
        assert any(frames[:2] == [2, 1] for frames, _ in calls)
    for frames, residuals in calls:
        assert hints_in(residuals, len(frames)) == frames


@pytest.mark.newest_host
@pytest.mark.parametrize("policy", HINT_POLICIES)
@pytest.mark.parametrize("count", [4, FRAMES + 3])
def test_policies_for_clips_of_another_length_than_the_hints(policy, count):
    net = echo()
    conds = per_frame(net, numbered(count), missing_hints=policy, frame_offset=1)
    for frames, residuals in record(model_with("ours", "standard_static", False), conds, steps=1):
        expected = hint_indexes(policy, frames, count, FRAMES, 1)
        if policy == "off":
            expected = [frame + 1 if frame + 1 < count else -1 for frame in frames]
        if residuals is None:
            assert policy == "off" and min(frames) >= count - 1
        else:
            assert hints_in(residuals, len(frames)) == expected
    assert count > 4 or policy != "off" or net.control_model.batches == [2 * 3]  # frames 0, 1, 2 of the first window


@pytest.mark.newest_host
@pytest.mark.parametrize("windowed", [True, False])
def test_hints_fewer_than_frames_are_held_and_one_line_says_so(windowed, caplog):
    model = model_with("ours", "standard_uniform", False, length=5 if windowed else 32)
    with caplog.at_level(logging.WARNING, "zoetrope"):
        for frames, residuals in record(model, with_core(echo(), numbered(4))):
            assert hints_in(residuals, len(frames)) == [min(frame, 3) for frame in frames]
    lines = [r.getMessage() for r in caplog.records if r.name == "zoetrope"]
    assert len(lines) == 1 and "4 hint images for 11 frames" in lines[0] and "other 7 frames" in lines[0]


@pytest.mark.newest_host
@pytest.mark.parametrize("count", [1, 30])
def test_one_hint_is_for_all_frames_and_surplus_hints_are_left_over(count, caplog):
    for frames, residuals in record(model_with("ours", "standard_static", False), with_core(echo(), numbered(count))):
        assert hints_in(residuals, len(frames)) == ([0] * len(frames) if count == 1 else frames)
    assert caplog.records == []


def test_strength_follows_the_frames_in_any_window():
    schedule = parse_value_schedule("0: 0, 10: 1")
    for handler in ("ours", "core+anchor"):
        conds = per_frame(echo(), torch.ones(1, 8, 8, 3), "0: 0, 10: 1")
        for frames, residuals in record(model_with(handler, "standard_uniform", False), conds):
            expected = torch.tensor([schedule.at(FRAMES)[frame] for frame in frames])
            assert torch.allclose(residuals["middle"][0][:, 0, 0, 0], expected)


@pytest.mark.newest_host
def test_only_one_window_of_hints_is_prepared_at_a_time():
    net = echo()
    record(model_with("ours", "batched", False), with_core(net, numbered(FRAMES)))
    assert set(net.control_model.batches) == {2 * 5, 1}  # never all 11; a lone hint serves both prompts


def test_an_unchanged_window_is_not_prepared_again():
    net, prepared = echo(preprocess_image=lambda image: (prepared.append(len(image)), image)[1]), []
    conds = with_core(net, numbered(FRAMES))
    record(model_with("ours", "batched", False, length=32), conds, steps=4)
    assert prepared == [FRAMES]
    prepared.clear()
    record(model_with("ours", "batched", True, length=6), conds, steps=4)
    assert prepared == [6, 5] * 4


class Encoder:
    """A VAE as far as a ControlNet uses it: 8 times smaller, 4 channels."""

    def __init__(self):
        self.batches = []

    def spacial_compression_encode(self):
        return 8

    def encode(self, pixels):
        self.batches.append(len(pixels))
        return pixels[:, ::8, ::8, :1].movedim(-1, 1).repeat(1, 4, 1, 1)


class Unscaled(comfy.latent_formats.LatentFormat):
    scale_factor = 1.0


def test_hints_that_need_a_vae_are_encoded_once_each_by_the_window():
    net, vae = echo(compression_ratio=1, latent_format=Unscaled()), Encoder()
    conds = [toy.conditioning(), toy.conditioning(6)]
    conds = apply_per_frame(conds, net, numbered(FRAMES), 1.0, (0.0, 1.0), parse_value_schedule("0: 1"), vae)
    for frames, residuals in record(model_with("ours", "standard_static", False), conds):
        assert hints_in(residuals, len(frames)) == frames
    assert vae.batches == [5, 3, 3]  # windows 0-4, 3-7, 6-10 of the first step


@pytest.mark.parametrize("count", [1, FRAMES])
def test_source_masks_of_inpaint_controls_follow_the_frames(count):
    """Core's inpaint Apply nodes concatenate a mask to the hint; it may be one mask a frame."""
    net = echo(concat_mask=True)
    masks = numbered(count, unit=0.02)[..., 0].unsqueeze(1)
    conds = nodes.ControlNetApplyAdvanced().apply_controlnet(
        toy.conditioning(), toy.conditioning(6), net, numbered(FRAMES), 1.0, 0.0, 1.0, extra_concat=[masks]
    )
    for frames, residuals in record(model_with("ours", "looped_uniform", False), conds):
        mask_numbers = hints_in(residuals, len(frames), channel=3, unit=0.02)
        assert mask_numbers == ([0] * len(frames) if count == 1 else frames)
        assert hints_in(residuals, len(frames)) == frames


@pytest.mark.newest_host
def test_residuals_that_a_control_keeps_or_shares_are_not_scaled_in_place():
    kept = torch.ones(2, 1, 1, 1)
    once = scaled_residuals({"input": [], "middle": [kept], "output": [kept, None, torch.ones(1, 3, 2, 2)]}, [1.0, 0.5])
    assert kept.flatten().tolist() == [1.0, 1.0]
    assert [r.flatten().tolist() for r in (once["middle"][0], once["output"][0])] == [[1.0, 0.5]] * 2
    assert once["output"][1] is None
    assert once["output"][2].shape == (2, 3, 2, 2)  # a single image's residual becomes one per frame
    tokens = scaled_residuals({"input": [torch.ones(2, 7, 3).half()]}, [0.0, 2.0])["input"][0]
    assert tokens.dtype == torch.float16 and tokens[:, 0, 0].tolist() == [0.0, 2.0]


@pytest.mark.newest_host
def test_chained_residuals_add_up_where_both_have_one():
    one, two = torch.ones(1), torch.full((1,), 2.0)
    total = added(
        {"middle": [one], "output": [None, one]}, {"middle": [two], "output": [two, None, two], "input": [one]}
    )
    values = {part: [None if r is None else r.item() for r in residuals] for part, residuals in total.items()}
    assert values == {"middle": [3.0], "output": [2.0, 1.0, 2.0], "input": [1.0]}
    for mine, theirs in itertools.product((None, {"middle": [one]}), repeat=2):
        result = added(mine, theirs)
        assert (result is None) == (mine is None and theirs is None)
