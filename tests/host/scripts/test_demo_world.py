"""The demo's narrow networks and the published ones that they are widened to compute the same."""

import comfy.ops
import pytest
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from demo_world import narrow, widen
from demo_world.layout import UNET, WIDE

from support.files.motion import motion_file
from zoetrope.motion_models.checkpoints.motion_lora import read_motion_lora
from zoetrope.motion_models.checkpoints.motion_model import read_motion_checkpoint
from zoetrope.motion_models.networks.motion_module import MotionNetwork

pytestmark = pytest.mark.newest_host
MOST = 1e-4  # of what the network puts out


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


def awake(network, seed):
    """No weight is zero, so that nothing can be lost unseen."""
    generator = torch.Generator().manual_seed(seed)
    for weight in network.parameters():
        weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.05)
    return network.eval()


def difference(wide, small):
    return ((wide - small).abs().max() / small.abs().max()).item()


def test_widened_unet_computes_the_same():
    small = awake(narrow.image_network(3), 4)
    weights = widen.wide_unet({UNET + name: weight for name, weight in small.state_dict().items()})
    depths = {"transformer_depth": [1] * 6 + [0] * 2, "transformer_depth_output": [1] * 9 + [0] * 3}
    wide = UNetModel(**{**narrow.CONFIG, **depths, "model_channels": WIDE}, operations=comfy.ops.disable_weight_init)
    wide.load_state_dict({name.removeprefix(UNET): weight for name, weight in weights.items()})
    generator = torch.Generator().manual_seed(5)
    x, context = torch.randn(1, 4, 8, 8, generator=generator), torch.randn(1, 5, 768, generator=generator)
    steps = torch.tensor([741.0])
    expected = small(x, steps, context=context)
    assert expected.std() > 0.1
    assert difference(wide(x, steps, context=context), expected) < MOST


def narrow_motion(seed=6):
    """A narrow motion file in the published layout, its positions left out."""
    file = motion_file(widths=(64,) * 4, positions=None, seed=seed)
    return {name: weight for name, weight in file.items() if "mid_block" not in name}


def network_of(file):
    spec, weights = read_motion_checkpoint(file)
    network = MotionNetwork(spec)
    network.load_state_dict(weights)
    return network.eval()


def test_widened_motion_modules_compute_the_same():
    file = narrow_motion()
    small = network_of(widen.with_positions(file, widen.narrow_positions()))
    wide = network_of(widen.wide_motion({f"motion.{name}": weight for name, weight in file.items()}, "motion."))
    assert wide.spec.family.name == "v3"
    assert len(wide.spec.sites) == 20
    x = torch.randn(6, 64, 3, 2, generator=torch.Generator().manual_seed(7))
    for part, index in (("input", 1), ("output", 11)):
        expected = small.module_at(part, index)(x, 6)
        assert difference(expected, x) > 0.05
        found = wide.module_at(part, index)(widen.copied(x.transpose(0, 1)).transpose(0, 1), 6)
        assert difference(found[:, :: WIDE // 64], expected) < MOST


def test_widened_motion_lora_changes_the_same():
    generator = torch.Generator().manual_seed(8)
    key = "down_blocks.0.motion_modules.0.temporal_transformer.transformer_blocks.0.attention_blocks.0.processor."
    small, shapes = {}, {"down": (4, 64), "up": (64, 4)}
    for part in ("to_q", "to_k", "to_v", "to_out"):
        for half, shape in shapes.items():
            small[f"{key}{part}_lora.{half}.weight"] = torch.randn(shape, generator=generator)
    wide = read_motion_lora(
        widen.wide_motion_lora({f"right.{name}": weight for name, weight in small.items()}, "right.")
    )
    for pair, own in zip(wide.pairs, read_motion_lora(small).pairs, strict=True):
        expected = widen.widened("to_q.weight" if pair.slice and pair.slice[0] == 0 else "x", own.up @ own.down)
        assert torch.allclose(pair.up @ pair.down, expected, atol=1e-5)
    assert not wide.unmatched
