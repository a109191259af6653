import math

import pytest
import torch
from torch import nn
from torch.autograd.profiler import profile
from torch.nn.functional import scaled_dot_product_attention

from support.files.motion import CastingOperations, motion_file
from support.toy_models.modules import CHANNELS, FRAMES, build, clip
from zoetrope.motion_models.checkpoints.motion_model import read_motion_checkpoint
from zoetrope.motion_models.networks.module_call import ModuleCall
from zoetrope.motion_models.networks.motion_module import (
    MAX_BATCH_HEADS,
    MotionModule,
    MotionNetwork,
    sequences_per_pass,
)

TOLERANCE = 1e-5  # of float32 sums in another order; outputs are about 1


@pytest.fixture(scope="module")
def module() -> MotionModule:
    return build().module_at("input", 4)


def operators(call):
    """Names of the operators that torch runs in ``call``, with the size of their first input."""
    with torch.no_grad(), profile(record_shapes=True) as profiler:
        call()
    return [
        (event.name, math.prod(event.input_shapes[0]) if event.input_shapes else 0)
        for event in profiler.function_events
    ]


def test_module_at_each_site_and_nowhere_else():
    network = build()
    assert network.module_at("input", 4) is network.sites["input_4"]
    assert network.module_at("input", 3) is None
    assert network.module_at("middle", 0) is None
    assert build(motion_file(middle=True)).module_at("middle", 0) is not None


def test_frames_see_each_other(module):
    x = clip()
    changed = x.clone()
    changed[2] += torch.randn(x[2].shape, generator=torch.Generator().manual_seed(4))
    difference = (module(changed, FRAMES) - module(x, FRAMES)).abs().amax(dim=(1, 2, 3))
    assert (difference > 1e-3).all()


def test_order_of_frames_matters(module):
    x = clip()
    assert (module(x.flip(0), FRAMES).flip(0) - module(x, FRAMES)).abs().max() > 1e-3


def test_two_chunks_equal_each_alone(module):
    x = clip(chunks=2)
    alone = torch.cat([module(half, FRAMES) for half in x.chunk(2)])
    torch.testing.assert_close(module(x, FRAMES), alone, rtol=0, atol=TOLERANCE)


def test_effect_zero_returns_the_input_itself(module):
    x = clip()
    assert module(x, FRAMES, ModuleCall(effect=0.0)) is x


def test_effect_blends_input_and_output(module):
    x = clip()
    full = module(x, FRAMES)
    torch.testing.assert_close(module(x, FRAMES, ModuleCall(effect=0.3)), torch.lerp(x, full, 0.3), rtol=0, atol=1e-6)


def test_zero_proj_out_changes_nothing():
    file = motion_file()
    file |= {name: torch.zeros_like(weight) for name, weight in file.items() if ".proj_out." in name}
    x = clip()
    assert torch.equal(build(file).module_at("input", 4)(x, FRAMES), x)


def test_scale_multiplies_the_keys(module):
    file = motion_file()
    scaled = {name: weight * 1.7 if ".to_k." in name else weight for name, weight in file.items()}
    expected = build(scaled).module_at("input", 4)(clip(), FRAMES)
    torch.testing.assert_close(module(clip(), FRAMES, ModuleCall(scale=1.7)), expected, rtol=0, atol=TOLERANCE)
    assert (module(clip(), FRAMES) - expected).abs().max() > 1e-3


def test_scale_and_effect_of_one_add_no_work(module):
    def names(**options):
        return [name for name, _ in operators(lambda: module(clip(), FRAMES, ModuleCall(**options)))]

    plain = names()
    assert names(scale=1.0, effect=1.0) == plain
    assert names(effect=0.5) == plain  # the blend is the factor of the sum that ends the module
    assert names(scale=2.0).count("aten::mul") == plain.count("aten::mul") + 2  # the keys of two attentions


@pytest.mark.parametrize("chunks", [1, 2])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_one_layout_change(module, chunks, memory_format):
    x = clip(chunks=chunks).to(memory_format=memory_format)
    copies = ("aten::clone", "aten::cat", "aten::_to_copy")
    assert [name for name, size in operators(lambda: module(x, FRAMES)) if name in copies and size >= x.numel()] == [
        "aten::clone"
    ]
    out = module(x, FRAMES)
    assert out.is_contiguous(memory_format=memory_format)
    torch.testing.assert_close(out, module(x.contiguous(), FRAMES), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("limit", [1, 5, 7, 24])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_passes_give_the_same_result(module, limit, memory_format):
    x = clip(chunks=2).to(memory_format=memory_format)
    sizes = []

    def attention(q, k, v):
        sizes.append(q.shape[0])
        return scaled_dot_product_attention(q, k, v)

    out = build(attention=attention, max_sequences=limit).module_at("input", 4)(
        x, FRAMES, ModuleCall(scale=1.3, effect=0.6)
    )
    torch.testing.assert_close(out, module(x, FRAMES, ModuleCall(scale=1.3, effect=0.6)), rtol=0, atol=TOLERANCE)
    assert out.is_contiguous(memory_format=memory_format)
    assert max(sizes) <= max(limit, 2)  # a pass holds at least one pixel of each of the two chunks
    assert sum(sizes) == 2 * 2 * 24  # attentions * chunks * pixels


@pytest.mark.parametrize(("frames", "channels"), [(16, 320), (16, 1280), (32, 320), (1, 320), (128, 1280)])
def test_passes_stay_under_the_grid_limit(frames, channels):
    on_gpu, on_cpu = (sequences_per_pass(frames, channels, 8, on_cpu) for on_cpu in (False, True))
    assert 1 <= on_cpu <= on_gpu <= MAX_BATCH_HEADS // 8


def test_gradients_flow_through_passes():
    whole, parts = (build(max_sequences=limit).module_at("input", 4) for limit in (None, 5))
    gradients = []
    for module in (whole, parts):
        x = clip().requires_grad_()
        module(x, FRAMES).square().sum().backward()
        gradients.append(x.grad)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("positions", [24, 32])
def test_as_many_frames_as_positions_and_no_more(positions):
    module = build(motion_file(positions=positions)).module_at("input", 4)
    assert module(clip(positions), positions).shape == (positions, CHANNELS, 4, 6)
    with pytest.raises(
        ValueError, match=rf"positions for {positions} frames, but {positions + 1} .*; add Context Windows"
    ):
        module(clip(positions + 1), positions + 1)


def test_a_batch_that_is_no_whole_number_of_clips(module):
    with pytest.raises(ValueError, match="batch of 6 latents.*clips of 4 frames"):
        module(clip(), 4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2])
def test_stored_weights_work_with_wider_activations(dtype):
    file = motion_file(dtype=dtype)
    stored = build(file, operations=CastingOperations, dtype=dtype).module_at("input", 4)
    widened = build({name: weight.float() for name, weight in file.items()}).module_at("input", 4)
    assert stored.proj_in.weight.dtype == dtype
    out = stored(clip(), FRAMES)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, widened(clip(), FRAMES), rtol=0, atol=TOLERANCE)


def test_positions_follow_the_activations():
    module = build(operations=CastingOperations).module_at("input", 4)
    assert module.attentions[0].positions.dtype == torch.float32
    assert module(clip().half(), FRAMES).dtype == torch.float16
    assert module.attentions[0].positions.dtype == torch.float32


def test_positions_of_the_file_win():
    file = motion_file()
    moved = {name: weight + 1.0 if name.endswith("pos_encoder.pe") else weight for name, weight in file.items()}
    x = clip()
    assert (
        build(moved).module_at("input", 4)(x, FRAMES) - build(file).module_at("input", 4)(x, FRAMES)
    ).abs().max() > 1e-3


def test_assigned_weights_keep_every_dtype_of_the_file():
    file = {name: weight.half() if weight.ndim == 2 else weight for name, weight in motion_file().items()}
    spec, weights = read_motion_checkpoint(file)
    network = MotionNetwork(spec, operations=CastingOperations, dtype=torch.float16)
    network.load_state_dict(weights, assign=True)
    assert {name: weight.dtype for name, weight in network.state_dict().items()} == {
        name: weight.dtype for name, weight in weights.items()
    }


def test_modules_hold_weights_only():
    network = build()
    names = {name for name, _ in network.named_buffers()}
    assert names == {name for name in network.state_dict() if name.endswith(".positions")}
    before = {
        name: dict(module.__dict__) for name, module in network.named_modules() if not isinstance(module, nn.ModuleDict)
    }
    network.module_at("input", 4)(clip(), FRAMES, ModuleCall(scale=1.2, effect=0.5))
    assert before == {name: dict(network.get_submodule(name).__dict__) for name in before}
