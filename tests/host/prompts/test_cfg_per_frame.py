"""Guidance per frame against runs of core's samplers and guiders at the same number."""

import comfy.samplers
import pytest
import torch
from comfy_extras.nodes_custom_sampler import BasicGuider, DualCFGGuider
from comfy_extras.nodes_model_advanced import RescaleCFG
from comfy_extras.nodes_pag import PerturbedAttentionGuidance
from comfy_extras.nodes_perpneg import PerpNegGuider

from support.toy_models import unet as toy
from support.toy_models.files import relative_error
from zoetrope.host.call.clip_part import part_options
from zoetrope.host.call.sampling_range import SamplingRange
from zoetrope.host.prompts.cfg_per_frame import FrameScale, apply_guidance, guidance_of
from zoetrope.host.sampling.context_windows import apply_windows
from zoetrope.temporal.windows.settings import WindowSettings

RAMP = [1.0, 4.5, 7.0, 0.0]
FRAMES = len(RAMP)


@pytest.fixture(scope="module")
def unet():
    return toy.toy_model_patcher()


@pytest.fixture(scope="module")
def model(unet):
    """Guidance only sees predictions, so all but two tests do without the UNet's time."""
    return toy.answer_with(unet, answer)


def answer(x, control, options):
    """A prediction that differs between the conditionings of a call."""
    kinds = options["cond_or_uncond"]
    parts = [
        torch.tanh(part * (1 + kind)).roll(kind, -1) for part, kind in zip(x.chunk(len(kinds)), kinds, strict=True)
    ]
    return torch.cat(parts)


def guided(model, value, start=0.0, end=1.0, mask=None):
    return apply_guidance(model, guidance_of(value, SamplingRange(start, end), mask))


def sample(model, cfg, **options):
    return toy.sample(model, frames=FRAMES, cfg=cfg, **options)


def assert_frames_are_of_their_own_runs(ours, run_at):
    for frame, value in enumerate(RAMP):
        assert relative_error(ours[frame], run_at(value)[frame]) < 1e-4


@pytest.mark.parametrize("cfg", [1.0, 3.0])
def test_a_number_is_the_samplers_cfg(unet, cfg):
    expected = sample(unet, 7.0, steps=1)
    assert torch.equal(sample(guided(unet, 7.0), cfg, steps=1), expected)
    assert torch.equal(sample(guided(unet, [7.0]), cfg, steps=1), expected)
    assert relative_error(sample(unet, cfg, steps=1), expected) > 1e-2


def test_each_frame_is_that_of_a_run_at_its_number_in_windows_as_well(model):
    windows = apply_windows(model, WindowSettings(length=3, overlap=1, schedule="standard_static", fuse="pyramid"))
    for base, cfg in ((model, 1.0), (windows, 3.0)):
        assert_frames_are_of_their_own_runs(sample(guided(base, RAMP), cfg), lambda value, m=base: sample(m, value))


def test_nodes_that_change_cfg_follow_whichever_comes_first(unet):
    def changed(model):
        rescaled = RescaleCFG().patch(model, 0.7)[0]
        return PerturbedAttentionGuidance.execute(rescaled, 3.0)[0]

    expected = {value: sample(changed(unet), value, steps=1) for value in RAMP}
    for ours in (changed(guided(unet, RAMP)), guided(changed(unet), RAMP)):
        assert_frames_are_of_their_own_runs(sample(ours, 2.0, steps=1), expected.get)
    assert relative_error(expected[7.0], sample(unet, 7.0, steps=1)) > 1e-2


def prompts():
    return toy.conditioning(3), toy.conditioning(6), toy.conditioning(9)


@pytest.mark.parametrize(
    "guider_at",
    [
        lambda model, cfg: PerpNegGuider.execute(model, *prompts(), cfg, 0.5)[0],
        lambda model, cfg: DualCFGGuider.execute(model, *prompts(), cfg, 2.0, "regular")[0],
        lambda model, cfg: DualCFGGuider.execute(model, *prompts(), cfg, 2.0, "nested")[0],
    ],
    ids=["perp_neg", "dual", "dual_nested"],
)
def test_other_guiders_follow(model, guider_at):
    guider = guider_at(guided(model, RAMP), 1.0)
    ours = toy.guided_sample(guider, frames=FRAMES, steps=1)
    assert_frames_are_of_their_own_runs(ours, lambda v: toy.guided_sample(guider_at(model, v), frames=FRAMES, steps=1))
    assert guider.cfg == 1.0
    assert getattr(guider, "cfg1", 1.0) == 1.0


def test_without_a_negative_prompt_nothing_happens_and_the_log_says_so(model, caplog):
    ours = toy.guided_sample(BasicGuider.execute(guided(model, RAMP), toy.conditioning())[0])
    assert torch.equal(ours, toy.guided_sample(BasicGuider.execute(model, toy.conditioning())[0]))
    assert "no negative prompt" in caplog.text


@pytest.mark.newest_host
def test_in_a_range_and_the_last_applied_first(model):
    """At the first of four steps the noise level is that of 0, at the last one beyond 0.5."""
    both = guided(guided(model, 6.0), RAMP, start=0.5)
    first, later = toy.predictions(both, frames=FRAMES)[::3]
    at_six = toy.predictions(model, frames=FRAMES, cfg=6.0)
    assert torch.equal(first, at_six[0])
    assert relative_error(later, at_six[3]) > 1e-3
    assert torch.equal(sample(guided(model, RAMP, end=0.0), 2.0, denoise=0.5), sample(model, 2.0, denoise=0.5))


def test_a_run_of_some_frames_of_a_clip_takes_their_values(model):
    """As FIFO and samplers in segments make them: frames 2 and 3 of 4, announced by a handler."""
    guider = comfy.samplers.CFGGuider(guided(model, RAMP))
    guider.set_conds(toy.conditioning(), toy.conditioning(seed=6))
    guider.model_options = part_options(guider.model_options, range(2, FRAMES), FRAMES)
    expected = toy.sample(guided(model, RAMP[2:]), frames=2, steps=1)
    assert relative_error(toy.guided_sample(guider, frames=2, steps=1), expected) < 1e-5


@pytest.mark.newest_host
def test_keyframes_are_factors_of_the_guidance_not_of_the_samplers(model):
    half, expected = SamplingRange(keyframes=((0.0, 0.5),)), sample(model, 3.0, steps=1)
    for value, mask in ((6.0, None), ([6.0], None), (6.0, torch.ones(1, 8, 8))):
        ours = sample(apply_guidance(model, guidance_of(value, half, mask)), 2.0, steps=1)
        assert relative_error(ours, expected) < 1e-5


def test_the_negative_prompt_runs_only_where_a_frame_needs_it(unet):
    rows = []
    watched = toy.watch(unet, lambda x, control, options: rows.append(len(options["cond_or_uncond"])))
    watched = toy.answer_with(watched, answer)
    for value in (1.0, [1.0, 1.0], [1.0, 2.0]):
        sample(guided(watched, value), 5.0, steps=1)
    assert rows == [1, 1, 2]


@pytest.mark.newest_host
def test_masks(model):
    """One Euler step to noise level 0 gives the prediction itself, so pixels can be compared."""
    own, other, one = (sample(model, cfg, steps=1) for cfg in (2.0, 6.0, 1.0))
    right = torch.zeros(1, toy.SIZE, toy.SIZE)
    right[..., 8:] = 1.0
    there = sample(guided(model, 6.0, mask=right), 2.0, steps=1)
    assert relative_error(there[..., :8], own[..., :8]) < 1e-5
    assert relative_error(there[..., 8:], other[..., 8:]) < 1e-5
    as_value = sample(guided(model, right), 2.0, steps=1)
    assert relative_error(as_value[..., :8], one[..., :8]) < 1e-5
    assert relative_error(as_value[..., 8:], own[..., 8:]) < 1e-5


def test_bad_input_is_named(model):
    with pytest.raises(ValueError, match="guidance is 'much'"):
        guided(model, "much")

    with pytest.raises(ValueError, match=r"four axes.*\(1, 4, 5, 8, 8\)"):
        sample(guided(model, RAMP), 2.0, noise=torch.zeros(1, 4, 5, 8, 8))


def test_a_scale_reads_as_one_only_if_all_of_it_is():
    assert float(torch.tensor([1.0, 1.0]).as_subclass(FrameScale)) == 1.0
    assert float(torch.tensor([0.5, 1.0]).as_subclass(FrameScale)) == 0.5
    assert float(torch.tensor([1.0, 0.5, 3.0]).as_subclass(FrameScale)) == 3.0
    assert type(torch.tensor([1.0]).as_subclass(FrameScale) * torch.ones(1)) is torch.Tensor
