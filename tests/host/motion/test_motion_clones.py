"""A motion model lives on its MODEL as data: clones keep it, other MODELs never see it."""

import gc

import comfy.model_management
import comfy.model_sampling
import pytest
import torch

from support.toy_models import unet as toy
from support.toy_models.files import animate, motion_lora, motion_model, relative_error


@pytest.fixture
def model():
    return toy.toy_model_patcher()


@pytest.fixture
def motion(tmp_path):
    return motion_model(tmp_path, "v2")


def sample(animated, frames=4, **options):
    """A small clip, (frames, 4, 8, 8), where rounding grows more than at 16 x 16: for equal and for distant clips."""
    return toy.sample(animated, **{"noise": toy.noise_for(frames, 8), **options})


def lora_clone(model):
    """What LoraLoader does to a MODEL."""
    clone = model.clone()
    key = "diffusion_model.input_blocks.1.0.in_layers.2.weight"
    weight = model.model.state_dict()[key]
    assert clone.add_patches({key: ("diff", (torch.full_like(weight, 0.01),))}, 1.0) == [key]
    return clone


def free_u_clone(model):
    from comfy_extras.nodes_freelunch import FreeU

    result = (
        FreeU.execute(model, 1.1, 1.2, 0.9, 0.2)
        if hasattr(FreeU, "execute")
        else FreeU().patch(model, 1.1, 1.2, 0.9, 0.2)
    )
    return result[0]


def sampling_clone(model):
    from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete

    node = ModelSamplingDiscrete
    result = node.execute(model, "eps", False) if hasattr(node, "execute") else node().patch(model, "eps", False)
    return result[0]


@pytest.mark.parametrize("other_node", [lora_clone, free_u_clone, sampling_clone])
def test_motion_survives_other_nodes(model, motion, other_node):
    """Frames still interact after another node cloned the MODEL."""
    changed = other_node(animate(model, motion))
    noise = toy.noise_for(4)
    shifted = noise.clone()
    shifted[-1] += 1.0
    one, two = toy.sample(changed, noise=noise), toy.sample(changed, noise=shifted)
    assert (one[0] - two[0]).abs().max() > 1e-3


@pytest.mark.parametrize("other_node", [lora_clone, free_u_clone])
def test_node_order_does_not_matter(model, motion, other_node):
    before = sample(animate(other_node(model), motion))
    after = sample(other_node(animate(model, motion)))
    assert torch.equal(before, after)


def test_the_unpatched_model_stays_bit_exact(model, motion):
    plain = sample(model)
    animated = animate(model, motion)
    sample(animated)
    assert torch.equal(sample(model), plain)
    sample(animated)
    assert torch.equal(sample(model), plain)


def test_garbage_collected_clones_change_nothing(model, motion):
    """A throw-away clone made in the middle of a run must not switch the motion off."""
    animated = animate(model, motion)
    expected = sample(animated)

    def drop_a_clone(executor, *args, **kwargs):
        animated.clone()
        gc.collect()
        return executor(*args, **kwargs)

    watched = animated.clone()
    watched.add_wrapper_with_key("predict_noise", "dropper", drop_a_clone)
    assert torch.equal(sample(watched), expected)
    del watched
    gc.collect()
    assert torch.equal(sample(animated), expected)


def test_a_checkpoint_saved_after_sampling_holds_no_motion(model, motion):
    before = {key: weight.clone() for key, weight in model.model.diffusion_model.state_dict().items()}
    animated = animate(model, motion)
    sample(animated)
    saved = {k.removeprefix("model.diffusion_model."): v for k, v in animated.state_dict_for_saving().items()}
    assert saved.keys() == before.keys()
    assert all(torch.equal(torch.as_tensor(saved[key]), before[key]) for key in before)


def test_no_hooks_stay_on_the_unet(model, tmp_path):
    sample(animate(model, motion_model(tmp_path, "v1")))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.model.diffusion_model.modules())


def test_interrupt_then_a_clean_second_run(model, tmp_path):
    animated = animate(model, motion_model(tmp_path, "v1"))
    expected = sample(animated)

    def interrupt(step, *rest):
        comfy.model_management.interrupt_current_processing(True)

    with pytest.raises(comfy.model_management.InterruptProcessingException):
        sample(animated, callback=interrupt, steps=4)
    comfy.model_management.interrupt_current_processing(False)
    assert torch.equal(sample(animated), expected)


def test_error_in_the_unet_then_a_clean_second_run(model, tmp_path):
    animated = animate(model, motion_model(tmp_path, "v1"))
    expected = sample(animated)
    broken = animated.clone()

    def fail(h, hsp, extra_options):
        raise ArithmeticError("a node failed")

    broken.set_model_output_block_patch(fail)
    with pytest.raises(ArithmeticError):
        sample(broken)
    assert not any(m._forward_hooks for m in model.model.diffusion_model.modules())
    assert torch.equal(sample(animated), expected)


def test_motion_loras_add_up_and_opposite_strengths_cancel(model, motion, tmp_path):
    up, down = motion_lora(tmp_path, 0.7), motion_lora(tmp_path, -0.7)
    both = toy.sample(animate(model, motion, loras=(up, down)), frames=4)
    assert relative_error(both, toy.sample(animate(model, motion), frames=4)) < 1e-4


def test_a_v2_lora_on_v3_says_what_was_left_out(model, tmp_path, caplog):
    v3 = motion_model(tmp_path, "v3")
    with caplog.at_level("WARNING", "zoetrope"):
        animate(model, v3, loras=(motion_lora(tmp_path, mid=True),))
    assert "8 of 168 layers are not in this motion model" in caplog.text
