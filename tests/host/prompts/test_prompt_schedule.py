"""Prompt Schedule: what its conditioning holds, and that sampling gives every frame its own prompt.

The toy UNet treats frames independently, so a frame of a clip must be the picture that its prompt alone gives.
"""

import logging

import comfy.hooks
import comfy.model_base
import comfy.model_patcher
import comfy.samplers
import pytest
import torch
from comfy.patcher_extension import WrappersMP
from comfy_extras.nodes_hooks import SetClipHooks

import nodes as core
from support.toy_models import sdxl as toy_sdxl
from support.toy_models import unet as toy
from support.toy_models.clip import SDXL_CONTEXT, toy_clip, toy_sdxl_clip
from support.toy_models.files import animate, motion_model
from support.toy_models.unet import same, with_core_handler
from zoetrope.host.call import keys
from zoetrope.host.call.clip_part import part_options
from zoetrope.host.sampling.context_windows import apply_windows
from zoetrope.nodes.prompt_schedule import EncodePromptSchedule
from zoetrope.temporal.windows.settings import WindowSettings

FRAMES = 6
SMALL = WindowSettings(length=4, overlap=1)
TRAVEL = '"0": "a (red:1.3) cat", "4": "a dog in the snow"'
LONG = ", ".join(["a very long prompt"] * 25)  # 100 words and 24 commas: two chunks of CLIP's 77 tokens


@pytest.fixture(scope="module")
def model():
    return toy.toy_model_patcher()


@pytest.fixture(scope="module")
def clip():
    return toy_clip()


def schedule(clip, text, frames=FRAMES, **options):
    return EncodePromptSchedule.execute(clip, text, frames, **options).args[0]


def encode(clip, text):
    return core.CLIPTextEncode().encode(clip, text)[0]


def row(conditioning, frame):
    """The conditioning of one frame, on its own."""
    return [[tokens[frame : frame + 1], {**options, keys.SCHEDULE_FRAMES: 1}] for tokens, options in conditioning]


def test_frames_lie_between_what_core_encodes(clip):
    (tokens, options), *others = schedule(clip, TRAVEL)
    cat, dog = (encode(clip, text)[0] for text in ("a (red:1.3) cat", "a dog in the snow"))
    assert not others and tokens.shape == (FRAMES, 77, toy.CONTEXT) and options[keys.SCHEDULE_FRAMES] == FRAMES
    for frame, share in enumerate([0, 0.25, 0.5, 0.75, 1, 1]):
        torch.testing.assert_close(tokens[frame], torch.lerp(cat[0], dog[0], share)[0])
        pooled = torch.lerp(cat[1]["pooled_output"], dog[1]["pooled_output"], share)[0]
        torch.testing.assert_close(options["pooled_output"][frame], pooled)
    assert torch.equal(tokens[0], cat[0][0]) and torch.equal(tokens[5], dog[0][0])
    assert not torch.allclose(tokens[0], encode(clip, "a red cat")[0][0][0])


def test_each_prompt_is_encoded_once_and_one_alone_is_cores(clip, monkeypatch):
    texts, tokenize = [], clip.tokenize
    monkeypatch.setattr(clip, "tokenize", lambda text: texts.append(text) or tokenize(text))
    schedule(clip, '"0": "a", "2": "b", "4": "a", "90": "b"', prepend="best,", append="4k")
    assert texts == ["best, a, 4k", "best, b, 4k"]
    constant = schedule(clip, '"0": "a cat", "3": "a cat", "90:99": "never"', interpolation="hold")
    assert texts[2:] == ["a cat"]
    (tokens, options), (cores, cores_options) = constant[0], encode(clip, "a cat")[0]
    assert torch.equal(tokens, cores) and options.keys() == cores_options.keys()


@pytest.mark.newest_host
def test_hold_and_slerp(clip):
    held, mixed, turned = (schedule(clip, TRAVEL, interpolation=way)[0][0] for way in ("hold", "linear", "slerp"))
    assert torch.equal(held, mixed[[0, 0, 0, 0, 4, 5]])
    assert torch.equal(turned[[0, 4]], mixed[[0, 4]])
    norms = [tokens[2].norm(dim=-1) for tokens in (mixed, turned)]
    ends = (mixed[0].norm(dim=-1) + mixed[4].norm(dim=-1)) / 2
    torch.testing.assert_close(norms[1], ends)
    assert (norms[0] < ends - 0.01).any()


@pytest.fixture(scope="module")
def travelled(model, clip):
    return toy.sample(model, schedule(clip, TRAVEL), frames=FRAMES)


def test_every_frame_is_the_picture_of_its_own_prompt(model, clip, travelled):
    travel = schedule(clip, TRAVEL)
    for frame in (0, 2, 5):
        alone = toy.sample(model, row(travel, frame), noise=toy.noise_for(FRAMES)[frame : frame + 1])
        assert same(travelled[frame : frame + 1], alone)
    assert not same(travelled[2:3], toy.sample(model, row(travel, 0), noise=toy.noise_for(FRAMES)[2:3]))


def test_windows_give_each_frame_its_prompt(model, clip, travelled):
    travel = schedule(clip, TRAVEL)
    assert same(toy.sample(apply_windows(model, SMALL), travel, frames=FRAMES), travelled)
    theirs = with_core_handler(model, "standard_static", "pyramid", 4, 1)
    assert same(toy.sample(theirs, travel, frames=FRAMES), travelled)


def test_areas_masks_and_controlnet_follow_in_windows(model, clip):
    mask = torch.rand((FRAMES, 8 * toy.SIZE, 8 * toy.SIZE), generator=torch.Generator().manual_seed(9))
    left = core.ConditioningSetArea().append(schedule(clip, TRAVEL), 64, 128, 0, 0, 1.0)[0]
    right = core.ConditioningSetMask().append(schedule(clip, "0: a bird\n-1: a fish"), mask, "default", 1.0)[0]
    positive = core.ConditioningCombine().combine(left, right)[0]
    guided = core.ControlNetApplyAdvanced().apply_controlnet(
        positive, encode(clip, "blurry"), toy.toy_controlnet(), toy.hints(FRAMES), 1.0, 0.0, 1.0
    )
    plain = toy.sample(model, *guided, frames=FRAMES, steps=1)
    assert same(toy.sample(apply_windows(model, SMALL), *guided, frames=FRAMES, steps=1), plain)
    # frame 3 on its own: its rows of both prompts, its mask and its hint
    alone, negative = row(guided[0], 3), row(guided[1], 0)
    alone[1][1]["mask"] = mask[3:4]
    hint = toy.hints(FRAMES)[3:4].movedim(-1, 1)
    for _, options in (*alone, *negative):
        options["control"] = options["control"].copy().set_cond_hint(hint, 1.0, (0.0, 1.0))
    assert same(plain[3:4], toy.sample(model, alone, negative, noise=toy.noise_for(FRAMES)[3:4], steps=1))


@pytest.mark.newest_host
def test_prompts_of_different_lengths_are_not_diluted(model, clip):
    """At its key a short prompt gives the picture it gives without the long one."""
    travel = schedule(clip, f'"0": "a cat", "1": "{LONG}"', frames=2)
    assert travel[0][0].shape == (2, 154, toy.CONTEXT)
    both = toy.sample(model, travel, frames=2)
    for frame, text in enumerate(("a cat", LONG)):
        assert same(both[frame : frame + 1], toy.sample(model, encode(clip, text), noise=toy.noise_for(2)[[frame]]))


def test_sdxl_has_a_pooled_prompt_per_frame():
    config = {**toy_sdxl.toy_sdxl_unet_config(), "context_dim": SDXL_CONTEXT}
    network = toy.fill(comfy.model_base.SDXL(toy_sdxl.ToySDXL(config), device=toy.CPU), 0)
    model = comfy.model_patcher.CoreModelPatcher(network, load_device=toy.CPU, offload_device=toy.CPU)
    clip = toy_sdxl_clip()
    travel, negative = schedule(clip, TRAVEL), encode(clip, "")
    assert travel[0][0].shape == (FRAMES, 77, SDXL_CONTEXT)
    plain = toy.sample(model, travel, negative, frames=FRAMES)
    # one channel a norm group makes the toy UNet blind to the pooled prompt, so look at what reaches it
    windowed, seen = apply_windows(model, SMALL), {}

    def look(executor, x, t, c_concat, c_crossattn, control, transformer_options, y, **rest):
        positive = y.chunk(2)[transformer_options["cond_or_uncond"].index(0)]
        seen.update(zip(transformer_options["context_window"].index_list, positive, strict=True))
        return executor(x, t, c_concat, c_crossattn, control, transformer_options, y=y, **rest)

    windowed.add_wrapper_with_key(WrappersMP.APPLY_MODEL, "test", look)
    assert same(toy.sample(windowed, travel, negative, frames=FRAMES), plain)
    cat, dog = (encode(clip, text)[0][1]["pooled_output"][0] for text in ("a (red:1.3) cat", "a dog in the snow"))
    for frame, share in enumerate([0, 0.25, 0.5, 0.75, 1, 1]):
        torch.testing.assert_close(seen[frame][: toy_sdxl.POOLED], torch.lerp(cat, dog, share))


def test_a_clip_with_scheduled_hooks_keeps_its_ranges(clip):
    weights = clip.patcher.model_state_dict()
    key = "clip_l.transformer.text_model.final_layer_norm.weight"
    hooks = comfy.hooks.create_hook_model_as_lora(None, {key: weights[key] * 3}, 0.0, 1.0)
    keyframes = comfy.hooks.HookKeyframeGroup()
    keyframes.add(comfy.hooks.HookKeyframe(1.0, start_percent=0.0))
    keyframes.add(comfy.hooks.HookKeyframe(0.0, start_percent=0.5))
    hooks.set_keyframes_on_hooks(keyframes)
    hooked = SetClipHooks().apply_hooks(clip, True, True, hooks)[0]
    travel = schedule(hooked, TRAVEL)
    cats, dogs = (encode(hooked, text) for text in ("a (red:1.3) cat", "a dog in the snow"))
    assert [(o["clip_start_percent"], o["clip_end_percent"]) for _, o in travel] == [(0.0, 0.5), (0.5, 1.0)]
    for entry, cat, dog in zip(travel, cats, dogs, strict=True):
        torch.testing.assert_close(entry[0][1], torch.lerp(cat[0], dog[0], 0.25)[0])
        assert entry[1]["hooks"] is hooks
    assert not torch.allclose(travel[0][0], travel[1][0])


class ListingClip:
    """A text encoder of another family, which gives what cannot be interpolated."""

    def tokenize(self, text):
        return text

    def encode_from_tokens_scheduled(self, tokens, show_pbar):
        return [[torch.ones(1, 4, 8), {"pooled_output": None, "attention_mask": torch.ones(1, len(tokens)).long()}]]


def test_other_text_encoders_are_interpolated_or_refused_in_words():
    assert schedule(ListingClip(), "0: a\n1: b")[0][0].shape == (FRAMES, 4, 8)
    with pytest.raises(ValueError, match="gives 'attention_mask' with a prompt, which cannot differ from frame"):
        schedule(ListingClip(), "0: a\n1: longer")
    with pytest.raises(ValueError, match="clip is missing: the checkpoint holds no text encoder"):
        schedule(None, "0: a")


def test_the_latents_length_wins_and_video_latents_are_refused(clip):
    latent = {"samples": torch.zeros(4, 4, 8, 8)}
    tokens = schedule(clip, "0: a cat\n-1: a dog", frames=99, latent=latent)[0][0]
    assert len(tokens) == 4 and torch.equal(tokens[3], encode(clip, "a dog")[0][0][0])
    with pytest.raises(ValueError, match=r"latent has the shape \(1, 4, 9, 8, 8\)"):
        schedule(clip, TRAVEL, latent={"samples": torch.zeros(1, 4, 9, 8, 8)})


def test_a_wrong_schedule_is_refused_before_anything_runs():
    assert EncodePromptSchedule.validate_inputs() is True
    assert EncodePromptSchedule.validate_inputs(TRAVEL) is True
    assert EncodePromptSchedule.validate_inputs("0: a\nb").startswith("Line 2 of the prompt schedule: b does not start")


@pytest.mark.parametrize("windowed", [True, False], ids=["windows", "motion"])
def test_a_clip_of_another_length_is_told(model, clip, caplog, tmp_path, windowed):
    ready = apply_windows(model, SMALL) if windowed else animate(model, motion_model(tmp_path, "v2"))
    travel = schedule(clip, TRAVEL)
    with pytest.raises(
        ValueError, match=r"made for 6 frames, but the clip has 7; set frames of Prompt Schedule to 7, or connect"
    ):
        toy.sample(ready, travel, frames=7)
    with caplog.at_level(logging.WARNING, logger="zoetrope"):
        toy.sample(ready, encode(clip, "a cat"), travel, frames=FRAMES, steps=1)
        assert "prompt schedule" not in caplog.text
        toy.sample(ready, travel, frames=5, steps=1)
    assert "made for 6 frames, but the clip has 5, so its prompts after frame 4 are not reached" in caplog.text


def test_a_run_of_some_frames_of_a_clip_is_measured_by_the_clip(model, clip, caplog, travelled):
    """As FIFO and samplers in segments make them: frames 2 to 5 of 6, announced and cut by a handler."""
    guider = comfy.samplers.CFGGuider(apply_windows(model, SMALL))
    guider.set_conds(schedule(clip, TRAVEL), toy.conditioning(seed=6))
    guider.set_cfg(2.0)
    guider.model_options = part_options(guider.model_options, range(2, FRAMES), FRAMES)
    with caplog.at_level(logging.WARNING, logger="zoetrope"):
        sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "normal", 2)
        noise = toy.noise_for(FRAMES)[2:]
        euler = comfy.samplers.sampler_object("euler")
        part = guider.sample(noise, torch.zeros_like(noise), euler, sigmas, seed=1)
        # a schedule that is too long is told of in the first part only, whose own length does not matter
        guider.set_conds(schedule(clip, TRAVEL, FRAMES + 2), toy.conditioning(seed=6))
        guider.sample(noise, noise, euler, sigmas[-2:], seed=1)
        guider.set_conds(schedule(clip, TRAVEL), toy.conditioning(seed=6))
        guider.model_options = part_options(guider.model_options, range(4), FRAMES)
        guider.sample(noise, noise, euler, sigmas[-2:], seed=1)
    assert "prompt schedule" not in caplog.text
    assert same(part, travelled[2:])
