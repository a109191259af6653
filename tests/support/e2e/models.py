"""Toy files for the shipped workflows beyond those of the demo: the demo's drawing motion module in other published forms.

What is added to it is faint, so that clips stay smooth enough to be compared with their videos.
"""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from toy_models.motion import motion_module
from toy_models.unet import TEXT, C

from support.files.camera import camera_file
from support.files.motion import fill
from support.files.sparse import sparse_file
from support.toy_models.image_encoder import image_encoder_shapes

WIDTHS = (C,) * 4  # the demo's UNet has one width at every level
FAINT = 0.02
PICTURE = "zoetrope_example.png"
VIDEO_FRAMES = 20
ATTENDING = [f"down_blocks.{level}.attentions.{block}" for level in range(3) for block in range(2)]


def faint(weights: dict, only: str = "") -> dict:
    return {key: weight * FAINT if only in key else weight for key, weight in weights.items()}


def pia() -> dict:
    return motion_module() | faint(fill({"conv_in.weight": (C, 9, 3, 3), "conv_in.bias": (C,)}))


def animatelcm() -> dict:
    return motion_module(length=64, positions_in_file=False)


def animatelcm_i2v() -> dict:
    return animatelcm() | faint(fill(image_encoder_shapes(WIDTHS)))


def camera() -> dict:
    return faint(camera_file(WIDTHS), "qkv_merge")


def domain_adapter() -> dict:
    """The key layout of v3_sd15_adapter.ckpt, for the way down only."""
    shapes = {}
    for place in ATTENDING:
        for attention, width in (("attn1", C), ("attn2", TEXT)):
            for part in ("to_q", "to_k", "to_v", "to_out"):
                layer = f"{place}.transformer_blocks.0.{attention}.processor.{part}_lora."
                shapes[layer + "down.weight"] = (4, width if part in ("to_k", "to_v") else C)
                shapes[layer + "up.weight"] = (C, 4)
    return faint(fill(shapes))


def image_lora() -> dict:
    """An ordinary LoRA in kohya's layout, as AnimateLCM's is."""
    layer = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q."
    shapes = {layer + "lora_down.weight": (4, C), layer + "lora_up.weight": (C, 4)}
    return faint(fill(shapes)) | {layer + "alpha": torch.tensor(4.0)}


def sparse_ctrl(kind: str) -> dict:
    """A SparseCtrl encoder in the original layout, whose outputs are faint enough to leave the demo's picture."""
    outputs = ("controlnet_down_blocks", "controlnet_mid_block")
    weights = sparse_file(kind, widths=WIDTHS, context=TEXT)
    return {key: weight * FAINT / 8 if key.startswith(outputs) else weight for key, weight in weights.items()}


def blending_rife(width: int = 4) -> dict:
    """A RIFE model in the layout that core detects, all zeros: no flow and a mask of one half, so a new frame is the mean
    of its neighbours.
    """
    shapes = {"encode.cnn0": (16, 3, 3, 3), "encode.cnn1": (16, 16, 3, 3), "encode.cnn2": (16, 16, 3, 3)}
    for block in range(5):
        name = f"blocks.{block}"
        shapes[f"{name}.conv0.0.0"] = (width // 2, 28 if block else 15, 3, 3)
        shapes[f"{name}.conv0.1.0"] = (width, width // 2, 3, 3)
        shapes |= {f"{name}.convblock.{layer}.conv": (width, width, 3, 3) for layer in range(8)}
    weights = {f"{name}.weight": torch.zeros(shape) for name, shape in shapes.items()}
    weights |= {f"{name}.bias": torch.zeros(shape[0]) for name, shape in shapes.items()}
    ups = {"encode.cnn3": (16, 4)} | {f"blocks.{block}.lastconv.0": (width, 52) for block in range(5)}
    weights |= {f"{name}.weight": torch.zeros(*sizes, 4, 4) for name, sizes in ups.items()}
    weights |= {f"{name}.bias": torch.zeros(sizes[1]) for name, sizes in ups.items()}
    betas = [f"blocks.{block}.convblock.{layer}.beta" for block in range(5) for layer in range(8)]
    return weights | {name: torch.ones(1, width, 1, 1) for name in betas}


# file below models -> function that returns its state dict
FILES = {
    "animatediff_models/pia.ckpt": pia,
    "animatediff_models/AnimateLCM_sd15_t2v.ckpt": animatelcm,
    "animatediff_models/AnimateLCM_sd15_i2v.ckpt": animatelcm_i2v,
    "animatediff_models/CameraCtrl_pruned.safetensors": camera,
    "loras/v3_sd15_adapter.ckpt": domain_adapter,
    "loras/AnimateLCM_sd15_t2v_lora.safetensors": image_lora,
    "loras/add_detail.safetensors": image_lora,
    "loras/AnimateLCM_sd15_i2v_lora.safetensors": image_lora,
    "frame_interpolation/rife_v4.26.safetensors": blending_rife,
    "controlnet/v3_sd15_sparsectrl_rgb.ckpt": partial(sparse_ctrl, "rgb"),
    "controlnet/v3_sd15_sparsectrl_scribble.ckpt": partial(sparse_ctrl, "scribble"),
}


def write_models(models: Path) -> None:
    """Write every file in half precision; ``.ckpt`` in torch's own format with a ``state_dict`` entry."""
    for name, make in FILES.items():
        target = models / name
        target.parent.mkdir(parents=True, exist_ok=True)
        tensors = {key: tensor.to(torch.float16).contiguous() for key, tensor in make().items()}
        if target.suffix == ".safetensors":
            save_file(tensors, target)
        else:
            torch.save({"state_dict": tensors}, target)


def write_picture(folder: Path, size: int = 96) -> None:
    """A picture to animate: a bright disc over a gradient."""
    folder.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:size, :size] / size
    disc = (np.hypot(x - 0.4, y - 0.4) < 0.25)[..., None]
    picture = np.where(disc, [240, 220, 160], np.stack((60 + 80 * y, 90 + 60 * x, 140 - 60 * y), axis=-1))
    Image.fromarray(picture.astype(np.uint8)).save(folder / PICTURE)
