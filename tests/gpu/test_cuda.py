"""What only a GPU can show: the kernels' grid limit, half precision, and the host's dynamic VRAM loader."""

import comfy.model_management
import comfy.model_patcher
import comfy.ops
import pytest
import torch

from support.toy_models import unet as toy
from support.toy_models.files import animate, motion_model, relative_error
from zoetrope.motion_models.checkpoints.motion_model import read_motion_checkpoint
from zoetrope.motion_models.networks.motion_module import MotionNetwork

CUDA = torch.device("cuda")


def on_cuda(patcher_class, dtype=torch.float32):
    model = toy.toy_model_patcher(dtype=dtype).model
    return patcher_class(model, load_device=CUDA, offload_device=torch.device("cpu"))


@pytest.mark.parametrize("pixels", [64, 91])
def test_more_than_65535_sequences_times_heads(pixels):
    """Two chunks of 64x64 pixels are 65,536 at 8 heads, one more than kernels launch; 91x91 is 132,496."""
    from support.toy_models.motion import motion_state_dict

    spec, weights = read_motion_checkpoint(motion_state_dict("v3"))
    network = MotionNetwork(spec, comfy.ops.manual_cast, comfy.ops.scaled_dot_product_attention).half()
    network.load_state_dict(weights)
    module = network.module_at("input", 1)
    x = torch.randn(2 * 16, 32, pixels, pixels, generator=torch.Generator().manual_seed(0))
    gpu = module.to(CUDA)(x.to(CUDA, torch.float16), 16).float().cpu()
    assert gpu.isfinite().all()
    whole = module.to("cpu").float()(x, 16)
    assert relative_error(gpu, whole) < 5e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_clip_on_cuda_matches_the_cpu(tmp_path, dtype):
    motion = motion_model(tmp_path, "v2")
    cpu = toy.sample(animate(toy.toy_model_patcher(), motion), steps=1)
    cuda = toy.sample(animate(on_cuda(comfy.model_patcher.ModelPatcher, dtype), motion), steps=1).cpu()
    assert relative_error(cuda, cpu) < (1e-3 if dtype == torch.float32 else 5e-2)


@pytest.fixture(scope="module")
def dynamic_vram():
    """What ComfyUI's main.py does at start to switch its dynamic loader on."""
    import comfy.memory_management
    import comfy_aimdo.control

    comfy_aimdo.control.init()
    assert comfy_aimdo.control.init_devices([(CUDA.index or 0, 0)])
    static = comfy.model_patcher.CoreModelPatcher
    comfy.model_patcher.CoreModelPatcher = comfy.model_patcher.ModelPatcherDynamic
    comfy.memory_management.aimdo_enabled = True
    yield
    comfy.model_patcher.CoreModelPatcher = static
    comfy.memory_management.aimdo_enabled = False


@pytest.mark.usefixtures("dynamic_vram")
def test_dynamic_vram_keeps_both_sigma_tables(tmp_path):
    """ComfyUI's ModelPatcherDynamic shares saved buffers between clones; see host/motion/noise_schedule.py."""
    dynamic = on_cuda(comfy.model_patcher.ModelPatcherDynamic)
    assert dynamic.is_dynamic()
    animated = animate(dynamic, motion_model(tmp_path))

    def table(patcher):
        return patcher.get_model_object("model_sampling").sigmas.cpu().clone()

    plain_table, own_table = table(dynamic), table(animated)
    expected = None
    for _ in range(2):
        toy.sample(dynamic, steps=1)
        clip = toy.sample(animated, steps=1)
        expected = clip if expected is None else expected
        comfy.model_management.unload_all_models()
        assert torch.equal(table(dynamic), plain_table)
        assert torch.equal(table(animated), own_table)
        assert relative_error(clip, expected) < 1e-3
