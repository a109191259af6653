"""SparseCtrl's whole encoder against diffusers' SparseControlNetModel with the same weights.

The motion norms of diffusers take all frames of a clip; the published code's take each frame, so they are made so here,
as in test_unet_families.py.

B = clips, F = frames, H = size of the hint, h = size of the latents.
"""

import comfy.cldm.cldm
import comfy.ops
import comfy.utils
import pytest
import torch
from diffusers import SparseControlNetModel
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D

from support.files.motion import fill
from support.files.sparse import IN_COMFY, comfy_name, diffusers_layout, sparse_file
from support.references.diffusers_unets import PerFrameNorm
from support.toy_models import unet as toy
from zoetrope.host.control.sparse_ctrl.network import SparseCall, SparseNetwork
from zoetrope.motion_models.checkpoints.sparse_ctrl import read_sparse_checkpoint

WIDTHS = (32, 64, 64, 128)
FRAMES, CHUNKS = 7, 2
KEYS = {1: 0, 4: 1}  # frame: key image
KINDS = pytest.mark.parametrize("kind", ["rgb", "scribble"])


def reference(kind, weights=None):
    rgb = kind == "rgb"
    model = SparseControlNetModel(
        block_out_channels=WIDTHS,
        cross_attention_dim=toy.CONTEXT,
        conditioning_channels=4 if rgb else 3,
        use_simplified_condition_embedding=rgb,
    )
    shapes = {name: tuple(weight.shape) for name, weight in model.state_dict().items() if not name.endswith(".pe")}
    model.load_state_dict(fill(shapes, seed=31) if weights is None else weights, strict=False)
    return model.eval().requires_grad_(False)


def ours_from(state_dict):
    spec, weights = read_sparse_checkpoint(state_dict)
    network = SparseNetwork(spec, comfy.ops.manual_cast, toy.CPU, torch.float32)
    network.load_state_dict(weights, strict=True)
    return network.eval().requires_grad_(False)


def inputs(kind):
    generator = torch.Generator().manual_seed(3)
    channels, scale = (4, 1) if kind == "rgb" else (3, 8)
    keys = torch.rand((len(KEYS), channels, scale * toy.SIZE, scale * toy.SIZE), generator=generator)
    context = torch.randn((CHUNKS, 4, toy.CONTEXT), generator=generator).repeat_interleave(FRAMES, 0)
    timesteps = torch.tensor([900.0, 300.0]).repeat_interleave(FRAMES)
    return keys, context, timesteps


def run_ours(network, keys, context, timesteps):
    hints = torch.cat((keys, torch.ones_like(keys[:, :1])), dim=1)
    rows = [KEYS.get(frame, -1) + 1 for frame in range(FRAMES)] * CHUNKS
    noise = torch.randn(FRAMES * CHUNKS, 4, toy.SIZE, toy.SIZE)
    sparse = SparseCall(hints, torch.tensor(rows), FRAMES)
    out = network(noise, torch.zeros_like(hints[:1]), timesteps, context, sparse)
    return [*out["output"], *out["middle"]]


def run_theirs(model, keys, context, timesteps, per_frame=True):
    if per_frame:
        for module in model.modules():
            if isinstance(module, AnimateDiffTransformer3D):
                module.norm = PerFrameNorm(module.norm)
    hints = keys.new_zeros((CHUNKS, keys.shape[1], FRAMES, *keys.shape[2:]))
    mask = hints.new_zeros((CHUNKS, 1, FRAMES, *keys.shape[2:]))
    for frame, image in KEYS.items():
        hints[:, :, frame], mask[:, :, frame] = keys[image], 1.0
    sample = torch.ones(CHUNKS, 4, FRAMES, toy.SIZE, toy.SIZE)
    down, middle = model(
        sample, timesteps[::FRAMES], context, hints, conditioning_mask=mask, return_dict=False, guess_mode=False
    )
    return [*down, middle]


@KINDS
def test_residuals_equal_diffusers(kind, relative_error):
    """The weights are those of diffusers' own state dict, so its layout is read as well."""
    model = reference(kind)
    weights = {name: weight for name, weight in model.state_dict().items() if not name.endswith("pos_embed.pe")}
    ours, given = ours_from(weights), inputs(kind)
    results, expected = run_ours(ours, *given), run_theirs(model, *given)
    assert len(results) == len(expected) == 13
    for mine, theirs in zip(results, expected, strict=True):
        assert mine.shape == theirs.shape
        reference_name = "diffusers SparseControlNetModel, motion norm per frame"
        assert relative_error(f"sparse {kind}", reference_name, mine, theirs) < 2e-5


def test_stock_norms_would_differ():
    model = reference("rgb")
    weights = {name: weight for name, weight in model.state_dict().items() if not name.endswith("pos_embed.pe")}
    given = inputs("rgb")
    mine, theirs = run_ours(ours_from(weights), *given)[-1], run_theirs(model, *given, per_frame=False)[-1]
    assert (mine - theirs).norm() / theirs.norm() > 1e-3


@KINDS
def test_original_layout_is_diffusers_with_other_names(kind):
    """The toy file of the other tests has every weight of diffusers' model, and no other."""
    file = diffusers_layout(sparse_file(kind, widths=WIDTHS, context=toy.CONTEXT))
    theirs = {name: w.shape for name, w in reference(kind).state_dict().items() if not name.endswith("pos_embed.pe")}
    assert {name: weight.shape for name, weight in file.items()} == theirs


def test_names_of_image_layers_are_cores():
    """Source: ``comfy.utils.unet_to_diffusers``, which core reads diffusers' ControlNets with."""
    theirs = comfy.utils.unet_to_diffusers(toy.toy_sd15_unet_config())
    image = [name for name in sparse_file("rgb") if name.startswith(tuple(IN_COMFY)) and "motion" not in name]
    names = {name: comfy_name(name) for name in image if "controlnet" not in name}
    assert len(names) > 200
    assert names == {name: theirs[name] for name in names}


@KINDS
def test_encoder_is_cores_controlnet(kind, relative_error):
    """With motion modules off and noise of zero it computes what core's class does with the hint of every frame."""
    network, (keys, context, timesteps) = ours_from(sparse_file(kind, widths=WIDTHS, context=toy.CONTEXT)), inputs(kind)
    for module in network.motion.values():
        for weight in module.proj_out.parameters():
            weight.zero_()
    mine = run_ours(network, keys, context, timesteps)
    hints = torch.cat((keys, torch.ones_like(keys[:, :1])), dim=1)
    rows = torch.stack([hints[KEYS[f]] if f in KEYS else torch.zeros_like(hints[0]) for f in range(FRAMES)])
    zeros = torch.zeros(FRAMES * CHUNKS, 4, toy.SIZE, toy.SIZE)
    out = comfy.cldm.cldm.ControlNet.forward(network, zeros, rows.repeat(CHUNKS, 1, 1, 1), timesteps, context)
    for ours, theirs in zip(mine, [*out["output"], *out["middle"]], strict=True):
        assert relative_error(f"sparse {kind}", "core's ControlNet, motion modules off", ours, theirs) < 1e-5
