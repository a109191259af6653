"""Lines in the log about runs that work but look odd. What the UNet answers does not matter, so it answers nothing."""

import comfy.sample
import pytest
import torch
from comfy_extras.nodes_advanced_samplers import SamplerLCMUpscale

from support.toy_models import unet as toy
from support.toy_models.files import animate, motion_lora, put
from support.toy_models.motion import lora_state_dict, motion_state_dict
from zoetrope.host.loading import model_files as files
from zoetrope.host.lora import motion_lora as lora
from zoetrope.host.motion.load import load_motion_model
from zoetrope.host.sampling.context_windows import apply_windows
from zoetrope.temporal.windows.settings import WindowSettings

LONG_64 = "long_64"  # LongAnimateDiff's second file: v2 with 128 positions


@pytest.fixture(scope="module")
def model():
    return toy.answer_with(toy.toy_model_patcher(), lambda x, *_: torch.zeros_like(x))


@pytest.fixture(scope="module")
def motions(tmp_path_factory):
    """Motion models by family, each loaded once."""
    directory, loaded = tmp_path_factory.mktemp("advice"), {}

    def get(family):
        if family not in loaded:
            weights = motion_state_dict("v2" if family == LONG_64 else family)
            if family == LONG_64:
                weights = {k: w.repeat(1, 4, 1) if k.endswith(".pe") else w for k, w in weights.items()}
            loaded[family] = load_motion_model(put(files.MOTION_MODELS, directory / f"{family}.safetensors", weights))
            assert loaded[family].spec.family.name == family
        return loaded[family]

    return get


def lines_of_run(caplog, animated, frames=16, sampler="euler"):
    caplog.clear()
    with caplog.at_level("WARNING", "zoetrope"):
        toy.sample(animated, frames=frames, steps=1, sampler=sampler, noise=toy.noise_for(frames, 8))
    return advice(caplog)


def advice(caplog):
    """Lines of ours, without the one that says that this UNet is none."""
    lines = [record.getMessage() for record in caplog.records if record.name == "zoetrope"]
    return [line for line in lines if "another node answers in place of the UNet" not in line]


@pytest.mark.parametrize(
    ("family", "frames", "sampler", "words"),
    [
        ("v2", 7, "euler", "7 frames are sampled together and it was trained on 16;"),
        ("animatelcm", 33, "lcm", "33 frames are sampled together and it was trained on 16;"),
        (LONG_64, 7, "euler", "7 frames are sampled together and it was trained on 16 to 64;"),
        ("animatelcm", 16, "euler", "distilled for the sampler lcm and this run uses another; choose lcm, 6 steps"),
        ("animatelcm", 16, "ddim", "distilled for the sampler lcm and this run uses another; choose lcm, 6 steps"),
        ("v2", 8, "euler", None),
        ("v1", 24, "ddim", None),
        ("v2", 32, "euler", None),
        ("v3", 32, "euler", None),
        ("long", 64, "euler", None),
        (LONG_64, 16, "euler", None),
        (LONG_64, 64, "euler", None),
        ("animatelcm", 32, "lcm", None),
    ],
)
def test_frames_and_sampler(model, motions, caplog, family, frames, sampler, words):
    lines = lines_of_run(caplog, animate(model, motions(family)), frames, sampler)
    assert len(lines) == (words is not None)
    assert words is None or (words in lines[0] and family in lines[0])


def test_cores_variant_of_lcm_is_lcm(model, motions, caplog):
    (sampler,) = SamplerLCMUpscale.execute(1.0, -1, "nearest-exact").args
    noise, sigmas = toy.noise_for(16, 8), torch.tensor([5.0, 0.0])
    prompts = toy.conditioning(), toy.conditioning(6)
    animated = animate(model, motions("animatelcm"))
    with caplog.at_level("WARNING", "zoetrope"):
        comfy.sample.sample_custom(animated, noise, 1.0, sampler, sigmas, *prompts, noise, disable_pbar=True)
    assert not advice(caplog)


def test_what_counts_is_the_window(model, motions, caplog):
    animated = animate(model, motions("v2"))
    assert not lines_of_run(caplog, apply_windows(animated, WindowSettings(length=16, overlap=4)), frames=40)
    (line,) = lines_of_run(caplog, apply_windows(animated, WindowSettings(length=6, overlap=2)), frames=40)
    assert "6 frames are sampled together" in line


def model_sampling(model, *arguments):
    """Core's ModelSamplingDiscrete node."""
    from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete

    node = ModelSamplingDiscrete
    return (node.execute(model, *arguments) if hasattr(node, "execute") else node().patch(model, *arguments))[0]


def test_a_schedule_set_behind_the_motion_model(model, motions, caplog):
    (line,) = lines_of_run(caplog, model_sampling(animate(model, motions("v2")), "lcm", False))
    assert "replaced by a later node" in line and "leave beta_schedule on auto" in line


def test_the_cure_for_it_works(model, motions, caplog):
    """The node in front, beta_schedule on auto: the schedule the motion model was trained with."""
    cured = animate(model_sampling(model, "eps", False), motions("v2"))
    sigmas = cured.get_model_object("model_sampling").sigmas
    assert torch.equal(sigmas, animate(model, motions("v2")).get_model_object("model_sampling").sigmas)
    assert not lines_of_run(caplog, cured)


@pytest.mark.parametrize(
    ("other", "words"), [("v3", None), ("animatelcm", "that of the motion model applied before; the later one wins")]
)
def test_a_stack_speaks_up_only_where_schedules_disagree(model, motions, caplog, other, words):
    with caplog.at_level("WARNING", "zoetrope"):
        stacked = animate(animate(model, motions("v2")), motions(other))
    assert [words in record.getMessage() for record in caplog.records] == [True] * (words is not None)
    alone = animate(model, motions(other)).get_model_object("model_sampling").sigmas
    assert torch.equal(stacked.get_model_object("model_sampling").sigmas, alone)


def test_a_motion_lora_of_another_version(model, motions, tmp_path, caplog):
    with caplog.at_level("WARNING", "zoetrope"):
        animate(model, motions("v3"), loras=(motion_lora(tmp_path, name="zoom.safetensors"),))
    (line,) = [record.getMessage() for record in caplog.records]
    # The middle block's module has two attentions of q, k, v and out.
    assert "'zoom.safetensors' was trained for another version: 8 of 168 layers" in line


def test_weights_of_a_motion_lora_that_are_of_no_layer(tmp_path, caplog):
    name = (
        "up_blocks.0.motion_modules.0.temporal_transformer.transformer_blocks.0.attention_blocks.0.processor.to_x_lora"
    )
    extra = {f"{name}.{half}.weight": torch.zeros(4, 4) for half in ("up", "down")}
    put(files.MOTION_LORAS, tmp_path / "odd.safetensors", lora_state_dict() | extra)
    with caplog.at_level("WARNING", "zoetrope"):
        lora.load_motion_lora("odd.safetensors", lora.Strength())
    (line,) = [record.getMessage() for record in caplog.records]
    assert "'odd.safetensors': 2 weights are of no known layer" in line and name[:70] in line


def test_a_motion_lora_that_fits_is_silent(model, motions, tmp_path, caplog):
    with caplog.at_level("WARNING", "zoetrope"):
        animated = animate(model, motions("v2"), loras=(motion_lora(tmp_path),))
    assert not caplog.records and not lines_of_run(caplog, animated)


def test_latents_that_are_not_finite_are_no_silent_black_clip(motions):
    broken = toy.answer_with(animate(toy.toy_model_patcher(), motions("v2")), lambda x, *_: x * float("nan"))
    with pytest.raises(ValueError, match=r"^The sampled latents hold numbers that are none .*; lower them, or start"):
        toy.sample(broken, frames=16, steps=1)
