"""Strength over frames, steps, picture, layers and prompts; what is computed, and how much memory it takes."""

import comfy.controlnet
import comfy.hooks
import comfy.samplers
import comfy.t2i_adapter.adapter
import psutil
import pytest
import torch
from comfy.cldm.control_types import UNION_CONTROLNET_TYPES
from comfy.patcher_extension import WrappersMP
from comfy_extras import nodes_custom_sampler as custom
from comfy_extras.nodes_controlnet import SetUnionControlNetType
from comfy_extras.nodes_perpneg import Guider_PerpNeg

import nodes
from support.echo_control import echo
from support.toy_models import sdxl as toy_sdxl
from support.toy_models import unet as toy
from support.toy_models.unet import same
from zoetrope.host.control.compatibility import elements
from zoetrope.host.control.frame_control import FrameControl
from zoetrope.host.control.run import follow_frames
from zoetrope.host.sampling.context_windows import apply_windows
from zoetrope.nodes.control import ApplyControlNetPerFrame, ControlNetPerFrame
from zoetrope.temporal.windows.settings import WindowSettings

FRAMES = 4
SMALL = WindowSettings(length=3, overlap=1)
KINDS = {"controlnet": toy.toy_controlnet, "t2i": toy.toy_t2i_adapter, "controllora": toy.toy_control_lora}
kinds = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def model():
    return toy.toy_model_patcher()


@pytest.fixture
def installed(model):
    clone = model.clone()
    follow_frames(clone)
    return clone


def per_frame(net, schedule="0: 1", missing_hints="hold", **options):
    return ControlNetPerFrame.execute(net, schedule, missing_hints, **options)[0]


def applied(net, image=None, strength=0.7, conds=None):
    """Core's own Apply node."""
    image = toy.hints(FRAMES) if image is None else image
    conds = conds or (toy.conditioning(), toy.conditioning(6))
    return nodes.ControlNetApplyAdvanced().apply_controlnet(*conds, net, image, strength, 0.0, 1.0)


def run(model, conds, steps=1):
    return toy.sample(model, *conds, frames=FRAMES, steps=steps)


def residuals(model, conds, frames=FRAMES, steps=1):
    """Control of each UNet call; the UNet is not run."""
    seen = []

    def answer(x, control, options):
        seen.append(control)
        return torch.zeros_like(x)

    toy.sample(toy.answer_with(model, answer), *conds, frames=frames, steps=steps)
    return seen


def flat(control):
    return [r for part in ("input", "middle", "output") for r in control.get(part, ()) if r is not None]


@kinds
def test_core_applies_the_wrapped_control_bit_for_bit_alike(model, kind):
    net = KINDS[kind]()
    assert torch.equal(run(model, applied(per_frame(net))), run(model, applied(net)))


def test_cores_union_type_reaches_the_network(model):
    net, types = echo(), []
    net.control_model.register_forward_pre_hook(
        lambda module, args, kwargs: types.append(kwargs["control_type"]), with_kwargs=True
    )
    (typed,) = SetUnionControlNetType.execute(per_frame(net), "depth").args
    residuals(model, applied(typed))
    assert types == [[UNION_CONTROLNET_TYPES["depth"]]]


@kinds
@pytest.mark.newest_host
@pytest.mark.parametrize("options", [{}, {"uncond_multiplier": 0.5, "frames_per_batch": 1}, {"uncond_multiplier": 0.0}])
def test_each_frame_is_as_core_makes_it_with_that_strength(model, kind, options):
    net, factors = KINDS[kind](), [0.5, 0.0, 1.0, 1.0]
    out = run(model, applied(per_frame(net, "0: 0.5 hold, 1: 0 hold, 2: 1", **options)))

    def core(factor):
        strengths = [0.7 * factor, 0.7 * factor * options.get("uncond_multiplier", 1.0)]
        return run(model, [applied(net, strength=strength)[place] for place, strength in enumerate(strengths)])

    references = {factor: core(factor) for factor in set(factors)}
    assert same(out, torch.stack([references[factor][frame] for frame, factor in enumerate(factors)]))


def control_batches(net, conds_of, model):
    """Images in each run of the network."""
    batches = []
    hook = net.control_model.register_forward_pre_hook(
        lambda module, args, kwargs: batches.append(len(kwargs["x"])), with_kwargs=True
    )
    run(model, conds_of(net))
    hook.remove()
    return batches


@pytest.mark.newest_host
@pytest.mark.parametrize(
    ("options", "batches"),
    [
        ({"schedule": "0: 0.5 hold, 1: 0 hold, 2: 1"}, [2 * 3]),
        ({"uncond_multiplier": 0.0}, [4]),
        ({"frames_per_batch": 3}, [2 * 3, 2]),
        ({"missing_hints": "off", "frame_offset": 1}, [2 * 3]),
        ({"mask": torch.tensor([1.0, 0.0, 0.0, 1.0]).view(4, 1, 1)}, [2 * 2]),
        ({"schedule": "0: 0"}, []),
    ],
)
def test_only_frames_and_prompts_with_strength_are_computed(model, options, batches):
    assert control_batches(toy.toy_controlnet(), lambda net: applied(per_frame(net, **options)), model) == batches


@pytest.mark.newest_host
def test_controls_whose_frames_interact_always_see_whole_windows(model):
    seen = []

    class Interacting(FakeInner):
        frames_interact = True

        def get_control(self, x, t, cond, chunks, options):
            seen.append(len(x))
            return {"middle": [torch.ones(len(x), toy.WIDTH, 2, 2)]}

    wrapped = per_frame(Interacting(), "0: 0, -1: 1", frames_per_batch=1, uncond_multiplier=0.0)
    (call,) = residuals(model, applied(wrapped))
    assert seen == [2 * FRAMES]
    expected = [0.0] * FRAMES + [0.0, 1 / 3, 2 / 3, 1.0]  # core stacks the negative prompt first
    assert torch.allclose(call["middle"][0][:, 0, 0, 0], torch.tensor(expected))


class FakeInner(comfy.controlnet.ControlBase):
    def copy(self):
        c = type(self)()
        self.copy_to(c)
        return c


@kinds
@pytest.mark.newest_host
def test_masks_are_resized_to_each_residual_and_taken_frame_by_frame(model, kind):
    mask = torch.zeros(3, 32, 32)
    mask[0, :, :16] = 1.0  # left half
    mask[1] = 0.5
    mask[2, 16:] = 1.0  # lower half, held for frame 3
    net = KINDS[kind]()
    (full,), (masked,) = (residuals(model, applied(n)) for n in (net, per_frame(net, mask=mask)))
    assert len(flat(full)) == len(flat(masked)) == {"controlnet": 13, "t2i": 4, "controllora": 13}[kind]
    for whole, part in zip(flat(full), flat(masked), strict=True):
        side = whole.shape[-1]
        expected = torch.zeros(4, 1, side, side)
        expected[0, :, :, : side // 2] = 1
        expected[1] = 0.5
        expected[2:, :, side // 2 :] = 1
        assert torch.allclose(part, whole * expected.repeat(2, 1, 1, 1), atol=1e-5)


@pytest.mark.newest_host
def test_masks_follow_the_frames_into_windows(model):
    mask = torch.rand(FRAMES, 16, 16, generator=torch.Generator().manual_seed(2))
    conds = applied(per_frame(toy.toy_controlnet(), mask=mask))
    assert same(run(apply_windows(model, SMALL), conds), run(model, conds))


@pytest.mark.newest_host
@pytest.mark.parametrize(("kind", "layers"), [("controlnet", 13), ("t2i", 4)])
def test_layer_weights_go_from_the_finest_to_the_coarsest_layer(model, kind, layers):
    net = KINDS[kind]()
    (full,), (soft,) = (residuals(model, applied(n)) for n in (net, per_frame(net, soft_weights=0.5)))
    ratios = sorted(
        ((part / whole).nanmedian().item(), whole.shape[-1]) for whole, part in zip(flat(full), flat(soft), strict=True)
    )
    assert [ratio for ratio, _ in ratios] == pytest.approx([0.5**n for n in reversed(range(layers))], rel=1e-3)
    assert [side for _, side in ratios] == sorted((side for _, side in ratios), reverse=True)


@pytest.mark.newest_host
def test_layer_weights_by_part(model, caplog):
    net = toy.toy_controlnet()
    (full,) = residuals(model, applied(net))
    (part,) = residuals(model, applied(per_frame(net, layer_weights="middle: 2, output: 1, 0, input: 3")))
    assert torch.allclose(part["middle"][0], 2 * full["middle"][0])
    assert torch.allclose(part["output"][0], full["output"][0]) and not part["output"][-1].any()
    assert "layer_weights name 'input', but" in caplog.text


def keyframes(*points):
    group = comfy.hooks.HookKeyframeGroup()
    for percent, strength in points:
        group.add(comfy.hooks.HookKeyframe(strength=strength, start_percent=percent))
    return group


@pytest.mark.parametrize(
    ("by_step", "expected"),
    # Step 2 of 4 is at 0.5 by count. With 'normal' the steps are spaced evenly in training steps, from 999 to 0 over
    # 3 intervals, so that step 2 is at 0.67 of the noise schedule and step 1 at 0.33.
    [(True, [1.0, 1.0, 0.5, 0.0]), (False, [1.0, 1.0, 0.0, 0.0])],
)
def test_keyframes_over_the_noise_schedule_or_over_the_steps(installed, by_step, expected):
    group = keyframes((0.5, 0.5), (0.66, 0.0))
    wrapped = per_frame(echo(), timestep_keyframes=group, by_step=by_step)
    conds = applied(wrapped, torch.ones(1, 8, 8, 3), strength=1.0)
    factors = [0.0 if c is None else c["middle"][0][0, 0, 0, 0].item() for c in residuals(installed, conds, steps=4)]
    assert factors == pytest.approx(expected)
    assert group._current_used_steps == 0  # read as data, not run


@pytest.mark.parametrize(
    ("percents", "options", "expected"),
    [
        ((0.0, 0.5), {}, [0.0, 0.0, 1.0, 1.0]),
        ((0.3, 1.0), {}, [1.0, 1.0, 1.0, 0.0]),
        ((0.9, 1.0), {}, None),
        ((0.0, 1.0), {"timestep_keyframes": ((0.5, 0.25),)}, [0.25, 0.25, 1.0, 1.0]),
    ],
)
def test_in_a_queue_each_frame_has_its_own_place_in_the_noise_schedule(model, percents, options, expected):
    """Sample Endless: the first frame is the cleanest. Core looks at it alone and would switch all of them off."""
    if options:
        options = {"timestep_keyframes": keyframes(*options["timestep_keyframes"])}
    (net,), base = ControlNetPerFrame.execute(echo(), "0: 1", "hold", **options).args, model.model
    net.set_cond_hint(torch.ones(1, 3, 8, 8), 1.0, percents)
    to_sigma = base.model_sampling.percent_to_sigma
    net.pre_run(base, to_sigma)
    t = torch.tensor([to_sigma(percent) for percent in (0.8, 0.6, 0.4, 0.2)])
    cond = {"c_crossattn": torch.zeros(2 * FRAMES, 1, 16)}
    x = torch.zeros(2 * FRAMES, 4, toy.SIZE, toy.SIZE)
    out = net.get_control(x, t.repeat(2), cond, 2, {"sigmas": t, "sample_sigmas": t})
    assert (out and out["middle"][0][:, 0, 0, 0].tolist()) == (expected and expected * 2)


@pytest.mark.parametrize("guider", ["dual", "perpneg", "cfg"])
@pytest.mark.parametrize("windowed", [False, True])
def test_the_uncond_multiplier_finds_negative_prompts_in_any_guider(guider, windowed):
    """Core stacks [negative, middle, positive] for dual prompts and [positive, negative, empty] for PerpNeg."""
    seen = {}

    def answer(x, control, options):
        parts = control["middle"][0][:, 0, 0, 0].expand(len(x)).chunk(len(options["cond_or_uncond"]))
        seen.update((place, part.unique().item()) for place, part in zip(options["cond_or_uncond"], parts, strict=True))
        return x * 0.1

    model = toy.answer_with(toy.toy_model_patcher(), answer)
    follow_frames(model)
    model = apply_windows(model, SMALL) if windowed else model
    net = per_frame(echo(), uncond_multiplier=0.25)
    conds = [entry for seed in (3, 6) for entry in applied(net, torch.ones(1, 8, 8, 3), 1.0)][:3]
    if guider == "dual":
        made = custom.Guider_DualCFG(model)
        made.set_conds(*conds)
        made.set_cfg(2.0, 3.0)
    elif guider == "perpneg":
        made = Guider_PerpNeg(model)
        made.set_conds(*conds)
        made.set_cfg(2.0, 0.5)
    else:
        made = comfy.samplers.CFGGuider(model)
        made.set_conds(*conds[:2])
        made.set_cfg(2.0)
    toy.guided_sample(made, frames=FRAMES, steps=1)
    assert (
        seen
        == {
            "dual": {0: 0.25, 1: 1.0, 2: 1.0},
            "perpneg": {0: 1.0, 1: 0.25, 2: 0.25},
            "cfg": {0: 1.0, 1: 0.25},
        }[guider]
    )


def test_without_our_nodes_on_the_model_the_second_prompt_is_the_negative(model):
    conds = applied(per_frame(echo(), uncond_multiplier=0.25), torch.ones(1, 8, 8, 3), 1.0)
    (call,) = residuals(model, conds)
    assert call["middle"][0][:, 0, 0, 0].tolist() == [0.25] * FRAMES + [1.0] * FRAMES


@pytest.mark.newest_host
def test_two_nodes_multiply_and_wrap_once(model):
    once = per_frame(toy.toy_controlnet(), "0: 0.5", frame_offset=2, missing_hints="loop", uncond_multiplier=0.5)
    conds = toy.conditioning(), toy.conditioning(6)
    mask = torch.ones(1, 4, 4)
    out = ApplyControlNetPerFrame.execute(*conds, once, toy.hints(2), 1.0, "0: 1, -1: 0", 0.0, 1.0, mask=mask)
    twice = out.args[0][0][1]["control"]
    assert not isinstance(twice.inner, FrameControl) and once.cond_hint_original is None
    assert twice.spec.at((0, 2), 3, 2) == [0.5, 0.0]
    assert (twice.spec.frame_offset, twice.spec.missing_hints, twice.spec.uncond) == (2, "loop", 0.5)
    assert len(twice.spec.masks) == 1


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (lambda: toy.toy_controlnet(), "has 12 layers .SD1.5 or SD2., but the checkpoint's UNet has 9 .SDXL."),
        (lambda: toy.toy_t2i_adapter(), "has layers for more blocks than the 9 "),
    ],
)
def test_a_control_for_another_checkpoint_says_so(net, words):
    sdxl = toy_sdxl.toy_sdxl_patcher()
    follow_frames(sdxl)
    conds = applied(net(), conds=(toy_sdxl.conditioning(), toy_sdxl.conditioning(6)))
    with pytest.raises(ValueError, match=words):
        toy.sample(sdxl, *conds, frames=2, steps=1)


def test_prompt_widths_of_control_and_checkpoint_are_compared_before_sampling(installed):
    conds = applied(toy.toy_controlnet(context_dim=24))
    with pytest.raises(ValueError, match=r"made for another model .prompt width 24., but the checkpoint .* width 16"):
        run(toy.watch(installed, lambda *_: pytest.fail("sampled")), conds)


def test_an_adapter_for_other_widths_says_so(installed):
    adapter = toy.toy_t2i_adapter()
    adapter.t2i_model = toy.fill(
        comfy.t2i_adapter.adapter.Adapter(
            channels=[16] * 4, nums_rb=2, cin=3 * 64, ksize=1, sk=True, use_conv=False, xl=False
        ),
        2,
    )
    with pytest.raises(ValueError, match=r"gives 16 channels where the checkpoint's UNet .* has 32"):
        run(installed, applied(adapter))


@pytest.mark.newest_host
def test_sizes_that_are_no_multiples_of_64_are_fine(installed):
    noise = toy.noise_for(2, 18)
    assert torch.isfinite(toy.sample(installed, *applied(toy.toy_t2i_adapter()), noise=noise, steps=1)).all()


@pytest.mark.newest_host
def test_sd15_residuals_are_counted_as_they_are():
    """6.72 million numbers a frame at 512x512: 320 * (3 * 64^2 + 32^2) + 640 * (2 * 32^2 + 16^2) + 1280 * ..."""
    unet = toy.toy_model_patcher().model.diffusion_model
    unet.model_channels, unet.channel_mult = 320, [1, 2, 4, 4]
    own = 320 * (3 * 64**2 + 32**2) + 640 * (2 * 32**2 + 16**2) + 1280 * (2 * 16**2 + 8**2 + 2 * 8**2 + 8**2)
    assert elements(unet, 1, 64, 64) == own + 3 * 512 * 512
    assert own == 6_717_440


def test_the_host_is_asked_for_memory_of_one_window(installed):
    asked = []

    def look(executor, model, shape, conds, *args, **kwargs):
        asked.append(conds["positive"][0]["control"].inference_memory_requirements(torch.float16))
        return executor(model, shape, conds, *args, **kwargs)

    model = apply_windows(installed, WindowSettings(length=3, overlap=1))
    model.add_wrapper_with_key(WrappersMP.PREPARE_SAMPLING, "zz_test", look)
    toy.sample(model, *applied(toy.toy_controlnet()), frames=12, steps=1)
    assert asked == [2 * elements(model.model.diffusion_model, 2 * 3, toy.SIZE, toy.SIZE)]


@pytest.mark.newest_host
def test_a_thousand_hints_add_less_than_two_windows_of_memory():
    """Hints of 512x512 in windows of 12 frames: resident memory while the control runs. Core alone resizes all hints.

    The images are views of one, so that only copies of them count.
    """
    length, frames, before, used = 12, 36, [], []  # windows too large for the C library to keep their memory
    memory, net = psutil.Process().memory_info, echo()
    net.control_model.register_forward_pre_hook(lambda *_: used.append(memory().rss - before[0]))

    def note(executor, *args):
        before.append(memory().rss)
        return executor(*args)

    model = apply_windows(
        toy.answer_with(toy.toy_model_patcher(), lambda x, c, o: x * 0.5), WindowSettings(length=length, overlap=0)
    )
    model.model.memory_required = lambda *args, **kwargs: 0  # prompts stacked
    model.add_wrapper_with_key("calc_cond_batch", "test", note)
    conds = applied(per_frame(net, frame_offset=900), torch.rand(1, 512, 512, 3).expand(1000, -1, -1, -1))
    toy.sample(model, *conds, noise=toy.noise_for(frames, 64), steps=1)
    window = 2 * length * 3 * 512 * 512 * 4  # bytes, both prompts
    assert len(used) == frames // length and max(used) < 2 * window
