"""ControlNets that follow the frames, with real toy networks.

The toy UNet treats frames independently, so that windows must not change a frame: the reference is always a run of
core alone without windows. Which hint reaches which frame in every layout is read off in test_control_hints.py.
"""

import comfy.controlnet
import comfy.model_management
import pytest
import torch
from comfy.patcher_extension import WrappersMP
from comfy_extras import nodes_custom_sampler as custom

import nodes
from support.toy_models import unet as toy
from support.toy_models.unet import same, with_core_handler
from zoetrope.host.control.apply import apply_per_frame
from zoetrope.host.control.frame_control import FrameControl
from zoetrope.host.control.run import follow_frames, following_copy
from zoetrope.host.control.spec import ControlSpec
from zoetrope.host.sampling.context_windows import apply_windows
from zoetrope.nodes.control import ApplyControlNetPerFrame
from zoetrope.temporal.values.schedule import parse_value_schedule
from zoetrope.temporal.windows.settings import WindowSettings

FRAMES = 4
SMALL = WindowSettings(length=3, overlap=1)
KINDS = {"controlnet": toy.toy_controlnet, "t2i": toy.toy_t2i_adapter, "controllora": toy.toy_control_lora}
kinds = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def model():
    return toy.toy_model_patcher()


@pytest.fixture(scope="module")
def plain(model):
    return toy.sample(model, frames=FRAMES, steps=1)


@pytest.fixture(scope="module")
def plain_two_steps(model):
    return toy.sample(model, frames=FRAMES, steps=2)


def prompts():
    return toy.conditioning(), toy.conditioning(6)


def with_core(net, image=None, strength=0.7, percents=(0.0, 1.0), conds=None):
    image = toy.hints(FRAMES) if image is None else image
    return nodes.ControlNetApplyAdvanced().apply_controlnet(*(conds or prompts()), net, image, strength, *percents)


def per_frame(net, schedule="0: 1.0", image=None, strength=0.7, percents=(0.0, 1.0), conds=None):
    image = toy.hints(FRAMES) if image is None else image
    values = parse_value_schedule(schedule)
    return apply_per_frame(list(conds or prompts()), net, image, strength, percents, values)


def run(model, conds, **options):
    return toy.sample(model, *conds, frames=FRAMES, steps=options.pop("steps", 1), **options)


def installed(model):
    model = model.clone()
    follow_frames(model)
    return model


@kinds
def test_strength_one_is_bit_for_bit_core(model, plain_two_steps, kind):
    net = KINDS[kind]()
    theirs = run(model, with_core(net), steps=2)
    assert torch.equal(run(model, per_frame(net), steps=2), theirs)
    assert torch.equal(run(installed(model), with_core(net), steps=2), theirs)
    assert not same(theirs, plain_two_steps)


def test_a_chain_of_three_is_bit_for_bit_core(model):
    nets = [toy.toy_controlnet(seed) for seed in (1, 11)] + [toy.toy_t2i_adapter()]
    images = [toy.hints(FRAMES, seed=seed) for seed in (4, 5, 6)]
    core_conds, our_conds, mixed_conds = prompts(), prompts(), prompts()
    for number, (net, image) in enumerate(zip(nets, images, strict=True)):
        core_conds = with_core(net, image, conds=core_conds)
        our_conds = per_frame(net, image=image, conds=our_conds)
        mixed_conds = (with_core if number == 1 else per_frame)(net, image=image, conds=mixed_conds)
    theirs = run(model, core_conds)
    assert torch.equal(run(model, our_conds), theirs)
    assert torch.equal(run(installed(model), core_conds), theirs)
    assert torch.equal(run(installed(model), mixed_conds), theirs)
    assert same(run(apply_windows(model, SMALL), mixed_conds), theirs)


@kinds
def test_plain_controls_follow_our_windows_and_cores(model, kind):
    conds = with_core(KINDS[kind]())
    theirs = run(model, conds)
    assert same(run(apply_windows(model, SMALL), conds), theirs)
    assert same(run(installed(with_core_handler(model, "standard_static", "pyramid")), conds), theirs)


def test_core_alone_gives_every_window_the_first_hints(model):
    """Why ``install`` exists; when this fails, core has learnt to slice hints."""
    conds = with_core(toy.toy_controlnet())
    assert not same(run(with_core_handler(model, "standard_static", "pyramid"), conds), run(model, conds))


def test_frames_of_strength_zero_are_as_without_control(model, plain):
    conds = per_frame(toy.toy_controlnet(), "0: 1 hold, 1: 0.5 hold, 3: 0")
    full = run(model, with_core(toy.toy_controlnet()))
    half = run(model, with_core(toy.toy_controlnet(), strength=0.35))
    for out in (run(model, conds), run(apply_windows(model, SMALL), conds)):
        assert same(out[:1], full[:1])
        assert same(out[1:3], half[1:3])
        assert same(out[3:], plain[3:])
    assert not same(full[3:], plain[3:])


@pytest.mark.newest_host
def test_two_controls_with_opposite_ramps(model):
    def both(rise, fall):
        conds = per_frame(toy.toy_controlnet(1), rise)
        return per_frame(toy.toy_t2i_adapter(), fall, image=toy.hints(FRAMES, seed=8), conds=conds)

    ramps = both("0: 0, -1: 1", "0: 1, -1: 0")
    out = run(model, ramps)
    assert same(run(apply_windows(model, SMALL), ramps), out)
    only_t2i = per_frame(toy.toy_t2i_adapter(), image=toy.hints(FRAMES, seed=8))
    assert same(out[:1], run(model, only_t2i)[:1])
    assert same(out[-1:], run(model, per_frame(toy.toy_controlnet(1)))[-1:])


def test_percent_range(model):
    late = with_core(toy.toy_controlnet(), percents=(0.5, 1.0))
    theirs = run(model, late, steps=2)
    assert torch.equal(run(model, per_frame(toy.toy_controlnet(), percents=(0.5, 1.0)), steps=2), theirs)
    assert same(run(apply_windows(model, SMALL), late, steps=2), theirs)


def count_control_runs(net):
    calls = []
    net.control_model.register_forward_pre_hook(
        lambda module, args, kwargs: calls.append(len(kwargs["x"])), with_kwargs=True
    )
    return calls


@pytest.mark.newest_host
def test_a_window_of_strength_zero_does_not_run_the_control(model):
    net = toy.toy_controlnet()
    calls = count_control_runs(net)
    windows = apply_windows(model, WindowSettings(length=2, overlap=0, schedule="standard_static"))
    run(windows, per_frame(net, "0: 1 hold, 2: 0"))
    assert calls == [2 * 2]  # the first of two windows, both prompts stacked


@pytest.mark.newest_host
def test_nothing_is_applied_at_strength_zero(model):
    for options in ({"strength": 0.0}, {"schedule": "0: 0, 8: 0"}):
        conds = list(prompts())
        out = per_frame(toy.toy_controlnet(), conds=conds, **options)
        assert out[0] is conds[0] and out[1] is conds[1]


def test_positive_and_negative_share_one_control_and_one_call(model):
    conds = per_frame(toy.toy_controlnet())
    assert conds[0][0][1]["control"] is conds[1][0][1]["control"]
    chunks = []
    windows = toy.watch(apply_windows(model, SMALL), lambda x, c, options: chunks.append(options["cond_or_uncond"]))
    run(windows, with_core(toy.toy_controlnet()))
    assert chunks == [[1, 0]] * 2


def test_prompts_apart_or_stacked_by_turns(model):
    """Free memory decides whether prompts run stacked; a T2I-Adapter must not keep residuals of the other batch."""
    net = toy.toy_t2i_adapter()
    theirs = run(model, with_core(net), steps=3)
    fickle = toy.toy_model_patcher()
    need, answers = fickle.model.memory_required, iter([False] + [True, False] * 50)
    fickle.model.memory_required = lambda *a, **k: 2.0**80 if next(answers) else need(*a, **k)
    sizes = set()
    watched = toy.watch(installed(fickle), lambda x, c, options: sizes.add(len(x)))
    assert same(run(watched, with_core(net), steps=3), theirs)
    assert sizes == {FRAMES, 2 * FRAMES}


def snapshot(net):
    return {key: value for key, value in vars(net).items() if key not in {"extra_args", "extra_conds"}}


@kinds
def test_the_users_controls_are_untouched(model, kind):
    net = KINDS[kind]()
    conds = per_frame(toy.toy_controlnet(11), conds=with_core(net))
    newest = conds[0][0][1]["control"]
    chain = [net, newest, newest.inner, newest.previous_controlnet]
    before = [snapshot(control) for control in chain]
    run(apply_windows(model, SMALL), conds)
    assert [snapshot(control) for control in chain] == before
    assert conds[0][0][1]["control"] is conds[1][0][1]["control"] is newest


def test_copies_made_for_a_run_let_go_when_it_breaks(model):
    """Core cleans controls up only after runs that end well."""
    used = []

    def look(executor, *args, **kwargs):
        used.append(executor.class_obj.conds["positive"][0]["control"])
        return executor(*args, **kwargs)

    def breaking(x, c, options):
        assert used[0].inner.cond_hint is not None and used[0].inner.timestep_range is not None
        raise RuntimeError("broken")

    broken = toy.watch(installed(model), breaking)
    broken.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, "zz_test", look)
    with pytest.raises(RuntimeError, match="broken"):
        run(broken, with_core(toy.toy_controlnet()))
    assert used[0].inner.cond_hint is None and used[0].inner.timestep_range is None


@pytest.mark.parametrize("interrupt", [True, False], ids=["interrupt", "error"])
def test_a_broken_run_then_a_clean_one(model, interrupt):
    net = toy.toy_t2i_adapter()
    conds = per_frame(net, "0: 1, -1: 0.5")
    clean = run(model, conds)
    calls = []

    def breaking(x, c, options):
        calls.append(1)
        if len(calls) == 1 and interrupt:
            comfy.model_management.interrupt_current_processing()
        elif len(calls) == 2:
            raise RuntimeError("broken")

    with pytest.raises(comfy.model_management.InterruptProcessingException if interrupt else RuntimeError):
        run(toy.watch(apply_windows(model, SMALL), breaking), conds)
    inner = conds[0][0][1]["control"].inner
    assert inner.cond_hint is None and inner.control_input is None and len(inner.cond_hint_original) == FRAMES
    assert same(run(apply_windows(model, SMALL), conds), clean)


def test_an_error_before_the_run_starts_is_the_one_that_shows(model):
    """A Control-LoRA cannot clean up what it has not started."""
    failing = installed(model)
    failing.add_wrapper_with_key(
        WrappersMP.PREPARE_SAMPLING, "test", lambda *a, **k: (_ for _ in ()).throw(RuntimeError("no memory"))
    )
    with pytest.raises(RuntimeError, match="no memory"):
        run(failing, with_core(toy.toy_control_lora()))


@pytest.mark.parametrize("sampler", ["dual", "basic"])
def test_guiders(model, sampler):
    def guider(m):
        positive, negative = with_core(toy.toy_controlnet())
        if sampler == "basic":
            out = custom.Guider_Basic(m)
            out.set_conds(positive)
        else:
            out = custom.Guider_DualCFG(m)
            out.set_conds(positive, toy.conditioning(7), negative)
            out.set_cfg(2.0, 3.0)
        return out

    theirs = toy.guided_sample(guider(model), frames=FRAMES, steps=1)
    assert same(toy.guided_sample(guider(apply_windows(model, SMALL)), frames=FRAMES, steps=1), theirs)


def test_cores_single_apply_node_reaches_the_negative_prompt_too(model):
    (positive,) = nodes.ControlNetApply().apply_controlnet(
        toy.conditioning(), toy.toy_controlnet(), toy.hints(FRAMES), 0.7
    )
    conds = (positive, toy.conditioning(6))
    assert same(run(apply_windows(model, SMALL), conds), run(model, conds))


class PicksHints(comfy.controlnet.ControlBase):
    """Stands in for ComfyUI-Advanced-ControlNet, whose controls choose their hints themselves."""

    sub_idxs = None

    def copy(self):
        return PicksHints()


@pytest.mark.newest_host
def test_controls_that_pick_their_hints_are_left_alone():
    alone, plain = PicksHints(), toy.toy_controlnet()
    plain.set_cond_hint(toy.hints(2).movedim(-1, 1))
    copies = {}
    assert following_copy(alone, copies) is alone
    without_hints = toy.toy_controlnet()
    assert following_copy(without_hints, copies) is without_hints
    above = PicksHints().set_previous_controlnet(plain)
    copy = following_copy(above, copies)
    assert copy is not above and isinstance(copy.previous_controlnet, FrameControl)
    assert copy.previous_controlnet.inner is not plain and above.previous_controlnet is plain
    assert following_copy(above, copies) is copy


def test_what_core_asks_of_a_control_is_answered_by_the_inner_one():
    net, earlier = toy.toy_controlnet(), toy.toy_controlnet(11)
    wrapped = FrameControl(net.copy(), ControlSpec()).set_previous_controlnet(earlier)
    assert wrapped.get_models() == [earlier.control_model_wrapped, net.control_model_wrapped]
    wrapped.set_extra_arg("control_type", [3])
    wrapped.set_cond_hint(torch.zeros(2, 3, 8, 8), 0.4, (0.1, 0.9))
    copy = wrapped.copy()
    assert copy.extra_args == {"control_type": [3]} and copy.strength == 0.4
    assert copy.timestep_percent_range == (0.1, 0.9) and copy.previous_controlnet is None
    assert (copy.concat_mask, copy.latent_format, copy.get_extra_hooks()) == (False, None, [])
    lora = FrameControl(toy.toy_control_lora(), ControlSpec()).set_previous_controlnet(toy.toy_control_lora())
    assert lora.inference_memory_requirements(torch.float32) == 2 * lora.inner.inference_memory_requirements(
        torch.float32
    )


if hasattr(comfy.controlnet.ControlBase, "deepclone_multigpu"):  # since ComfyUI 0.23

    def test_a_clone_for_another_device_has_its_own_network():
        wrapped = FrameControl(toy.toy_controlnet(), ControlSpec(values=(parse_value_schedule("0: 0.5"),)))
        clone = wrapped.deepclone_multigpu(torch.device("cpu"), autoregister=True)
        assert wrapped.get_instance_for_device(torch.device("cpu")) is clone and clone.spec == wrapped.spec
        assert clone.control_model is not wrapped.control_model
        assert clone.control_model_wrapped in wrapped.get_models()


@pytest.mark.newest_host
def test_node_takes_what_the_contract_says():
    conds = prompts()
    out = ApplyControlNetPerFrame.execute(*conds, toy.toy_controlnet(), toy.hints(2), 0.5, "0: 1, -1: 0", 0.1, 0.8)
    wrapped = out.args[0][0][1]["control"]
    assert (wrapped.strength, wrapped.timestep_percent_range) == (0.5, (0.1, 0.8))
    assert wrapped.spec.values[0].at(3) == [1.0, 0.5, 0.0]
    assert "control" not in conds[0][0][1]
    with pytest.raises(ValueError, match="Schedule piece 'x'"):
        ApplyControlNetPerFrame.execute(*conds, toy.toy_controlnet(), toy.hints(2), 0.5, "x", 0.1, 0.8)
    with pytest.raises(ValueError, match="control_net is empty"):
        ApplyControlNetPerFrame.execute(*conds, None, toy.hints(2), 0.5, "0: 1", 0.0, 1.0)
