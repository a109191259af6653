"""A motion model on a MODEL: what it does to a clip, and that it does nothing else."""

import comfy.ldm.modules.diffusionmodules.openaimodel as openaimodel
import comfy.samplers
import pytest
import torch

from support.toy_models import unet as toy
from support.toy_models.files import animate, motion_model, relative_error


@pytest.fixture
def model():
    return toy.toy_model_patcher()


@pytest.fixture(params=["v1", "v2", "v3"])
def motion(request, tmp_path):
    return motion_model(tmp_path, request.param)


def sample(animated, frames=4, **options):
    """A small clip, (frames, 4, 8, 8), where rounding grows more than at 16 x 16: for equal and for distant clips."""
    return toy.sample(animated, **{"noise": toy.noise_for(frames, 8), **options})


def test_frames_of_a_clip_interact(model, motion):
    """Changing the noise of the last frame changes the first frame, which a plain SD model never does."""
    noise = toy.noise_for(4)
    other = noise.clone()
    other[-1] += 1.0
    plain = [toy.sample(model, noise=n) for n in (noise, other)]
    animated = [toy.sample(animate(model, motion), noise=n) for n in (noise, other)]
    assert torch.equal(plain[0][0], plain[1][0])
    assert (animated[0][0] - animated[1][0]).abs().max() > 1e-3


def test_effect_zero_is_the_plain_model_bit_for_bit(model, motion):
    still = animate(model, motion, schedule="use_existing", effect=0.0)
    assert torch.equal(sample(still), sample(model))


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_zero_proj_out_is_the_plain_model_bit_for_bit(model, tmp_path, version):
    untrained = motion_model(tmp_path, version, gain=0.0)
    assert torch.equal(sample(animate(model, untrained, schedule="use_existing")), sample(model))


def test_v1_norms_differ_even_when_proj_out_is_zero(model, tmp_path):
    """The v1 family takes GroupNorm statistics over the clip, so it is not the plain model."""
    untrained = motion_model(tmp_path, "v1", gain=0.0)
    assert relative_error(sample(animate(model, untrained, schedule="use_existing")), sample(model)) > 1e-3


def test_single_frame_bypasses_the_motion_model(model, motion, caplog):
    still = animate(model, motion, schedule="use_existing")
    with caplog.at_level("INFO", "zoetrope"):
        out = sample(still, frames=1)
    assert torch.equal(out, sample(model, frames=1))
    assert "one frame" in caplog.text


@pytest.mark.parametrize(("version", "limit"), [("v1", 24), ("v2", 32), ("v3", 32)])
def test_frames_beyond_the_positions_are_refused_in_words(model, tmp_path, version, limit):
    animated = animate(model, motion_model(tmp_path, version))
    assert sample(animated, frames=limit, steps=1).shape[0] == limit
    with pytest.raises(ValueError, match=f"positions for {limit} frames, but {limit + 1} .*Context Windows"):
        sample(animated, frames=limit + 1, steps=1)


def test_conditionings_together_or_apart_give_the_same_clip(motion):
    batches = []

    def note(executor, x, *args, **kwargs):
        batches.append(x.shape[0])
        return executor(x, *args, **kwargs)

    models = [animate(toy.toy_model_patcher(split_conds=split), motion) for split in (False, True)]
    for animated in models:
        animated.add_wrapper_with_key("diffusion_model", "note", note)
    together, apart = (toy.sample(animated, frames=4) for animated in models)
    assert batches == [8] * 2 + [4] * 4
    assert relative_error(together, apart) < 5e-5


def test_order_of_conditionings_does_not_matter(model, motion):
    """Two positive prompts averaged are the same whichever comes first in the batch."""
    first, second = toy.conditioning(3), toy.conditioning(7)
    animated = animate(model, motion)
    one = toy.sample(animated, first + second, frames=4)
    two = toy.sample(animated, second + first, frames=4)
    assert relative_error(one, two) < 5e-5


def test_percent_range_limits_the_steps(model, motion):
    """A range that ends before sampling starts is the plain model; the full range is the animated one."""
    full = sample(animate(model, motion, schedule="use_existing"))
    late = sample(animate(model, motion, schedule="use_existing", start_percent=0.5))
    never = sample(animate(model, motion, schedule="use_existing", start_percent=0.999, end_percent=0.9995))
    plain = sample(model)
    assert torch.equal(never, plain)
    assert relative_error(late, plain) > 1e-5  # the last of two steps only, where the noise is almost gone
    assert relative_error(late, full) > 1e-3


def test_empty_range_is_refused(model, motion):
    with pytest.raises(ValueError, match="end_percent 0.2 lies before start_percent 0.8"):
        animate(model, motion, start_percent=0.8, end_percent=0.2)


def test_two_motion_models_run_in_the_order_they_were_applied(model, tmp_path):
    one, two = motion_model(tmp_path, "v2"), motion_model(tmp_path, "v3", seed=21)
    ab = sample(animate(animate(model, one), two))
    ba = sample(animate(animate(model, two), one))
    assert relative_error(ab, ba) > 1e-3
    off = sample(animate(animate(model, one), two, effect=0.0))
    assert torch.equal(off, sample(animate(model, one)))


def test_the_same_file_applied_twice_has_weights_of_its_own(model, tmp_path):
    motion = motion_model(tmp_path, "v3")
    twice = animate(animate(model, motion), motion)
    networks = [patcher.model for patcher in twice.get_additional_models()]
    assert networks[0] is not networks[1]
    assert relative_error(sample(twice), sample(animate(model, motion))) > 1e-3


def test_other_packs_layer_patches_still_run_and_get_our_motion(model, motion):
    """A pack that registered for the same layer class earlier is neither silenced nor doubled."""
    calls = []

    def handler(layer, x, emb, *rest):
        calls.append(layer)
        return layer(x, emb)

    patched = model.clone()
    patched.set_model_patch((openaimodel.ResBlock, handler), "forward_timestep_embed_patch")
    out = sample(animate(patched, motion), steps=1)
    blocks = [m for m in model.model.diffusion_model.modules() if isinstance(m, openaimodel.ResBlock)]
    assert len(calls) == len(blocks)
    assert torch.equal(out, sample(animate(model, motion), steps=1))


def test_left_out_modules_are_a_loud_error(model, motion):
    """A node that skips a block must not give a still clip without a word."""

    def skip(executor, x, *args, **kwargs):
        class Skipped(torch.nn.Module):
            def forward(self, x, *args, **kwargs):
                return x

        unet = model.model.diffusion_model
        block = unet.output_blocks[11]
        kept = block[1]
        block[1] = Skipped()
        try:
            return executor(x, *args, **kwargs)
        finally:
            block[1] = kept

    animated = animate(model, motion)
    animated.add_wrapper_with_key("diffusion_model", "skipper", skip)
    with pytest.raises(RuntimeError, match="modules of motion model .* ran; another node"):
        sample(animated, steps=1)


def test_dual_cfg_guider_and_custom_sampling(model, motion):
    """Guiders that do not go through core's sampling_function animate too."""
    results = []
    for patcher in (model, animate(model, motion, schedule="use_existing")):
        from comfy_extras.nodes_custom_sampler import Guider_DualCFG

        guider = Guider_DualCFG(patcher)
        guider.set_cfg(2.0, 1.5)
        guider.set_conds(toy.conditioning(3), toy.conditioning(7), toy.conditioning(6))
        results.append(toy.guided_sample(guider, frames=6))
    assert relative_error(*results) > 1e-3


def test_two_stages_of_ksampler_advanced_equal_one(model, motion):
    """Sampling steps 0-2 and 2-4 in two nodes is the same clip as 0-4 in one (euler has no memory)."""
    animated = animate(model, motion)
    whole = toy.sample(animated, frames=4, steps=4)
    first = toy.sample(animated, frames=4, steps=4, start_step=0, last_step=2, force_full_denoise=False)
    second = toy.sample(
        animated, steps=4, start_step=2, last_step=4, latent=first, noise=torch.zeros_like(first), disable_noise=True
    )
    assert relative_error(second, whole) < 5e-5


def test_effect_zero_takes_clips_of_any_length(model, tmp_path):
    still = animate(model, motion_model(tmp_path, "v1"), schedule="use_existing", effect=0.0)
    assert sample(still, frames=26, steps=1).shape[0] == 26


def test_cure_names_the_anchor_frame_of_cores_windows(model, tmp_path):
    """Core's Context Windows node (0.27 and newer) puts a frame in front of a window, which may be one too many."""
    animated = animate(model, motion_model(tmp_path, "v1"))
    handler = toy.with_core_handler(animated, "standard_static", "pyramid", length=24, overlap=4)
    if not hasattr(handler.model_options["context_handler"], "causal_window_fix"):
        assert sample(handler, frames=30, steps=1).isfinite().all()
        return
    with pytest.raises(ValueError, match="25 would be sampled together; set .* to at most 23 or switch its causal"):
        sample(handler, frames=30, steps=1)


def test_calls_that_a_caching_node_answers_are_no_error(model, motion):
    """EasyCache skips the UNet in some steps; there is no motion to miss then."""
    results = []

    def answer_from_memory(executor, x, *args, **kwargs):
        results.append(results[0] if len(results) == 1 else executor(x, *args, **kwargs))
        return results[-1]

    animated = animate(model, motion)
    animated.add_wrapper_with_key("diffusion_model", "cache", answer_from_memory)
    assert sample(animated, steps=3).isfinite().all()
    assert results[1] is results[0] and results[2] is not results[0]


def test_frames_sent_one_by_one_are_a_loud_error(model, motion):
    def one_by_one(apply, call):
        def one(i):
            options = {**call["c"]["transformer_options"], "cond_or_uncond": [0]}
            context = call["c"]["c_crossattn"][i : i + 1]
            return apply(
                call["input"][i : i + 1], call["timestep"][i : i + 1], c_crossattn=context, transformer_options=options
            )

        return torch.cat([one(i) for i in range(len(call["input"]))])

    animated = animate(model, motion)
    animated.set_model_unet_function_wrapper(one_by_one)
    with pytest.raises(RuntimeError, match="4 frames of this clip to the UNet one by one"):
        sample(animated, steps=1)


def test_image_latents_only(model, motion):
    guider = comfy.samplers.CFGGuider(animate(model, motion))
    guider.set_conds(toy.conditioning(), toy.conditioning(6))
    video = torch.zeros(1, 4, 3, 16, 16)
    with pytest.raises(
        ValueError, match=r"four axes, frames first, but this model samples a latent of shape \(1, 4, 3, 16, 16\)"
    ):
        guider.sample(video, video, comfy.samplers.sampler_object("euler"), torch.tensor([14.0, 0.0]), seed=1)
