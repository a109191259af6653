"""torch.compile beside motion: compiled runs give the clips of uncompiled ones, in any order, and graphs are shared.

Tracing is what costs here, so the UNet has one level: four blocks with motion modules. Core's compile node is real.
"""

from contextlib import contextmanager

import comfy.model_base
import comfy.model_patcher
import comfy.ops
import comfy.supported_models
import pytest
import torch
import torch._dynamo
from comfy.ldm.modules import attention
from comfy.weight_adapter.lora import LoRAAdapter
from comfy_extras.nodes_torch_compile import TorchCompileModel
from torch._dynamo.utils import counters

from support.toy_models import unet as toy
from support.toy_models.files import animate, motion_lora, relative_error
from zoetrope.host.call.sampling_range import SamplingRange
from zoetrope.host.call.strength import strength_of
from zoetrope.host.lora.bypass import apply_patches
from zoetrope.host.motion.conditioner import Conditions
from zoetrope.host.motion.load import MotionModel
from zoetrope.host.motion.view_windows import apply_views
from zoetrope.host.sampling.context_windows import apply_windows
from zoetrope.motion_models.families import FAMILIES
from zoetrope.motion_models.networks.motion_module import MotionNetwork
from zoetrope.motion_models.spec import MotionSpec, Site
from zoetrope.temporal.values.frame_values import listed_values
from zoetrope.temporal.windows.settings import WindowSettings

FRAMES = 4
ONE_LEVEL = {
    "num_res_blocks": [1],
    "channel_mult": [1],
    "transformer_depth": [1],
    "transformer_depth_output": [1, 1],
}
PLACES = (("input", 1), ("middle", 0), ("output", 0), ("output", 1))
PARTS = WindowSettings(length=3, overlap=1)
LAYER = "diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight"
newest = pytest.mark.newest_host


def tiny_model(**options):
    config = {**toy.toy_sd15_unet_config(), **ONE_LEVEL, **options}
    base = toy.fill(comfy.model_base.BaseModel(comfy.supported_models.SD15(config), device=toy.CPU), 0)
    return comfy.model_patcher.CoreModelPatcher(base, load_device=toy.CPU, offload_device=toy.CPU)


def tiny_motion(name="v2", seed=1):
    family = next(family for family in FAMILIES if family.name == name)
    sites = tuple(Site(*place, toy.WIDTH) for place in PLACES if place[0] != "middle" or family.middle)
    spec = MotionSpec(family, sites, family.positions)
    network = MotionNetwork(spec, comfy.ops.manual_cast, comfy.ops.scaled_dot_product_attention, toy.CPU, torch.float32)
    patcher = comfy.model_patcher.CoreModelPatcher(toy.fill(network, seed), toy.CPU, toy.CPU)
    return MotionModel(f"{name}.safetensors", spec, patcher, path="")


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def motion():
    return tiny_motion()


@pytest.fixture(scope="module")
def moving(model, motion):
    return animate(model, motion)


@pytest.fixture(scope="module")
def traced(model, moving):
    """Graphs of the plain and of the moving model are there."""
    for traced in (model, moving):
        clip(compiled(traced))


@contextmanager
def new_graphs(number):
    """A block in which so many graphs are made."""
    before = counters["stats"]["unique_graphs"]
    yield
    assert counters["stats"]["unique_graphs"] - before == number


def compiled(model, backend="eager"):
    return TorchCompileModel.execute(model, backend).args[0]


def clip(model, **options):
    return toy.sample(model, **{"noise": toy.noise_for(FRAMES, 8), **options})


def assert_right(model, reference, most=1e-5, **options):
    """Two queues of a compiled MODEL give the clip of the uncompiled one."""
    expected = clip(reference, **options)
    for _ in range(2):
        assert relative_error(clip(model, **options), expected) < most


def test_motion_beside_plain_runs_in_any_order(model, motion, moving):
    assert relative_error(clip(moving), clip(model)) > 0.1
    torch._dynamo.reset()
    with new_graphs(2):
        assert_right(compiled(model), model)
        assert_right(compiled(moving), moving)
        assert_right(animate(compiled(model), motion), moving)
        assert_right(compiled(model), model)
        assert_right(compiled(animate(model, motion, scale=1.5)), animate(model, motion, scale=1.5))


@newest
@pytest.mark.usefixtures("traced")
def test_steps_with_and_without_motion_share_the_graphs(model, motion, moving):
    for part in ({"end_percent": 0.5}, {"start_percent": 0.5}):
        partly = animate(model, motion, **part)
        assert relative_error(clip(partly, steps=4), clip(model, steps=4)) > 1e-3
        assert relative_error(clip(partly, steps=4), clip(moving, steps=4)) > 1e-3
        with new_graphs(0):
            assert_right(compiled(partly), partly, steps=4)


@newest
@pytest.mark.usefixtures("traced")
def test_what_acts_inside_the_modules_shares_the_graph(model, motion, moving, tmp_path):
    lora = motion_lora(tmp_path, listed_values([0.0, 1.0, 0.5, 0.2]), when=SamplingRange(0.0, 0.6))
    variants = (
        animate(model, motion, scale=listed_values([1.0, 1.5, 0.5, 2.0])),
        animate(model, motion, effect=torch.rand(FRAMES, 8, 8)),
        animate(model, motion, loras=(lora,)),
        apply_views(moving, PARTS),
        animate(model, tiny_motion(seed=2)),
        animate(moving, tiny_motion(seed=2)),
    )
    for variant in variants:
        assert relative_error(clip(variant), clip(moving)) > 1e-3
        with new_graphs(0):
            assert_right(compiled(variant), variant)


class Offset:
    """A conditioner that adds rows to the UNet's first convolution, as PIA does."""

    patcher = None

    def prepare(self, network, own, call):
        return Conditions(first_block=toy.noise_for(FRAMES, 8, seed=3).repeat(1, toy.WIDTH // 4, 1, 1))


@newest
@pytest.mark.usefixtures("traced")
def test_other_places_have_a_graph_of_their_own(model, motion, moving):
    for other in (animate(model, tiny_motion("v3")), animate(model, motion, conditioners=(Offset(),))):
        assert relative_error(clip(other), clip(moving)) > 1e-3
        with new_graphs(1):
            assert_right(compiled(other), other)
    with new_graphs(0):
        assert_right(compiled(moving), moving)


@newest
@pytest.mark.usefixtures("traced")
def test_windows_have_a_graph_of_their_own(moving):
    windowed = apply_windows(moving, PARTS)
    with new_graphs(1):  # of another number of frames
        assert_right(compiled(windowed), windowed)


@newest
def test_a_controlnet_beside(moving):
    control = toy.toy_controlnet(**ONE_LEVEL)
    hinted = control.copy().set_cond_hint(toy.hints(FRAMES, 64).movedim(-1, 1), 1.0, (0.0, 1.0))
    prompts = [toy.conditioning(control=hinted, control_apply_to_uncond=True), toy.conditioning(6)]
    assert relative_error(clip(moving, positive=prompts[0]), clip(moving)) > 1e-3
    assert_right(compiled(moving), moving, positive=prompts[0], negative=prompts[1])


def lora_per_frame(model):
    weights = [torch.randn(shape, generator=torch.Generator().manual_seed(2)) for shape in ((32, 4), (4, 32))]
    patches = {LAYER: LoRAAdapter({LAYER}, (*weights, None, None, None, None))}
    strength = strength_of(listed_values([0.0, 1.0, 0.5, 0.2]), "strength")
    return apply_patches(model, "lora.safetensors", patches, strength, SamplingRange())


@newest
def test_a_lora_per_frame_in_any_order(model, motion, moving, caplog):
    reference = lora_per_frame(moving)
    assert relative_error(clip(reference), clip(moving)) > 1e-3
    for order in (
        compiled(reference),
        animate(lora_per_frame(compiled(model)), motion),
        animate(compiled(lora_per_frame(model)), motion),
        lora_per_frame(animate(compiled(model), motion)),
    ):
        caplog.clear()
        assert_right(order, reference)
        lines = [line for line in said(caplog) if "a LoRA whose strength changes" in line]
        assert len(lines) == 2  # one a run
    assert_right(compiled(lora_per_frame(model)), lora_per_frame(model))


def said(caplog):
    return [record.getMessage() for record in caplog.records if "torch.compile" in record.getMessage()]


class Deaf(torch.nn.Module):
    """A compiled UNet that still uses the graph of a plain call."""

    def __init__(self, unet):
        super().__init__()
        self._orig_mod = unet

    def __getattr__(self, name):
        return super().__getattr__(name) if name == "_orig_mod" else getattr(self._orig_mod, name)

    def forward(self, x, t, context, control, transformer_options, **_others):
        return self._orig_mod(x, t, context=context, control=control, transformer_options={})


def test_a_graph_without_the_modules_is_run_again(motion, caplog):
    model = tiny_model()
    moving = animate(model, motion)
    expected = clip(moving)
    model.model.diffusion_model = Deaf(model.model.diffusion_model)
    assert torch.equal(clip(moving), expected)
    (line,) = said(caplog)
    assert "its graph left motion modules out" in line


def of_cuda_graphs(model):
    """Compiled by core's node with its backend cudagraphs, which exists on CUDA only."""
    model = compiled(model)
    model.model_options["torch_compile_kwargs"]["backend"] = "cudagraphs"
    return model


@newest
def test_what_cannot_run_in_graphs_runs_without(model, moving, caplog):
    from comfy_extras.nodes_easycache import EasyCacheNode

    across = animate(model, tiny_motion("v1"))
    cached = EasyCacheNode.execute(moving, 0.2, 0.0, 1.0, False).args[0]
    rows = (
        (compiled(across), across, "norms"),
        (of_cuda_graphs(moving), moving, "CUDA graphs"),
        (compiled(cached), cached, "EasyCache"),
    )
    for row, reference, why in rows:
        caplog.clear()
        with new_graphs(0):
            assert_right(row, reference)
        assert len(said(caplog)) == 2 and all(why in line for line in said(caplog))


@newest
def test_attention_that_leaves_the_graph_in_pieces(moving, monkeypatch, caplog):
    monkeypatch.setattr(attention, "optimized_attention", attention.attention_sub_quad)
    with new_graphs(0):
        assert_right(compiled(moving), moving)
    assert "--use-pytorch-cross-attention" in said(caplog)[0]


@newest
def test_a_unet_compiled_in_place(motion):
    torch._dynamo.reset()
    model, reference = tiny_model(), tiny_model()
    model.model.diffusion_model.compile(backend="eager")
    assert_right(animate(model, motion), animate(reference, motion))
    assert_right(lora_per_frame(model), lora_per_frame(reference))
    unet = model.model.diffusion_model
    unet._compiled_call_impl = None
    unet.forward = torch.compile(unet.forward, backend="eager")
    assert_right(animate(model, motion), animate(reference, motion))
    assert_right(animate(model, tiny_motion("v1")), animate(reference, tiny_motion("v1")))


@newest
def test_inductor(motion):
    """Without transformers, whose kernels take half a minute to compile."""
    torch._dynamo.reset()
    bare = {"transformer_depth": [0], "transformer_depth_middle": -1, "transformer_depth_output": [0, 0]}
    moving = animate(tiny_model(**bare), motion)
    with new_graphs(1):
        assert_right(compiled(moving, "inductor"), moving, most=1e-3)


@newest
def test_a_run_without_motion_says_why(model, motion, caplog):
    clip(animate(model, motion, start_percent=0.999), steps=1)
    assert "at no step of this run is it switched on" in caplog.text
    caplog.clear()
    clip(toy.answer_with(animate(model, motion), lambda x, *_: x))
    assert "'v2.safetensors' did not act in this run" in caplog.text and "another node answers" in caplog.text
