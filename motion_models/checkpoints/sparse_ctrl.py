"""Reading a SparseCtrl file: a ControlNet encoder of SD1.5 with a motion module behind each block of the way down.

Three layouts are published: the original (image layers named as in diffusers, motion modules as in AnimateDiff), A1111's
(image layers named as in ComfyUI) and that of diffusers' SparseControlNetModel, which stores no positional encoding.

Our names are ComfyUI's for the image layers, and ``motion.input_<block>.`` before those of `weight_names` for a
motion module.

Shapes: C = channels of a level, F = frames of the positional encoding.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from ...inputs.quoting import plain
from ..errors import MotionFileError
from ..families import FAMILIES
from ..spec import GROUPS, HEADS, LATENT_CHANNELS, MotionSpec, Site
from .convert import convert_module, size_of
from .identify import SPARSE_CTRL, require_kind
from .layouts import to_original
from .state_dict import sound, tensors, unwrap
from .weight_names import ORIGINAL, module_name, unet_block

Kind = Literal["rgb", "scribble"]

SPARSE_CTRL_FILE = "SparseCtrl file"
LEVELS, BLOCKS = 4, 2  # of SD1.5's way down
PIXEL_CHANNELS, MASK_CHANNELS = 3, 1  # of a hint: what a picture has, and whether there is one
WIDEST_CONTEXT = 4096  # of any published text encoder; each block of the network is built as wide
PROMPT_WEIGHT = "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
HINT_WEIGHT = "input_hint_block.0.weight"
SPARSE_TRAINED_WITH = next(family for family in FAMILIES if family.name == "v3")

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_DOWN = r"down_blocks\.(\d+)\."
_HINT = r"(?:controlnet_cond_embedding|input_hint_block\.0)\."


def _block(match: re.Match[str]) -> int:
    """ComfyUI's number of an input block, from level and block within it."""
    return unet_block("down_blocks", int(match[1]), int(match[2]))[1]


# (pattern of a name, its ComfyUI name); a name that matches none is ComfyUI's already.
_RENAMED: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (r"time_embedding\.linear_([12])\.", lambda m: f"time_embed.{2 * int(m[1]) - 2}."),
    (r"conv_in\.", lambda m: "input_blocks.0.0."),
    (_DOWN + r"resnets\.(\d+)\.(\w+)\.", lambda m: f"input_blocks.{_block(m)}.0.{_RESNET.get(m[3], m[3])}."),
    (_DOWN + r"attentions\.(\d+)\.", lambda m: f"input_blocks.{_block(m)}.1."),
    (_DOWN + r"downsamplers\.0\.conv\.", lambda m: f"input_blocks.{3 * int(m[1]) + 3}.0.op."),
    (r"mid_block\.resnets\.([01])\.(\w+)\.", lambda m: f"middle_block.{2 * int(m[1])}.{_RESNET.get(m[2], m[2])}."),
    (r"mid_block\.attentions\.0\.", lambda m: "middle_block.1."),
    (r"controlnet_down_blocks\.(\d+)\.", lambda m: f"zero_convs.{m[1]}.0."),
    (r"controlnet_mid_block\.", lambda m: "middle_block_out.0."),
    (_HINT + r"conv_in\.", lambda m: "input_hint_block.0."),
    (_HINT + r"blocks\.(\d+)\.", lambda m: f"input_hint_block.{2 * int(m[1]) + 2}."),
    (_HINT + r"conv_out\.", lambda m: "input_hint_block.14."),
    (r"controlnet_cond_embedding\.(?=weight|bias)", lambda m: "input_hint_block.0."),
)
_NAMES = tuple((re.compile(pattern), name) for pattern, name in _RENAMED)


@dataclass(frozen=True)
class SparseSpec:
    """What is needed to build the network of a SparseCtrl file.

    Attributes:
        kind: ``rgb`` takes latents of pictures, ``scribble`` drawings of white lines on black.
        widths: C of each level.
        context: width of the prompt's tokens.
        motion: of the motion modules behind the blocks of the way down.
    """

    kind: Kind
    widths: tuple[int, ...]
    context: int
    motion: MotionSpec

    @property
    def hint_channels(self) -> int:
        """Channels of a hint with its mask."""
        return (LATENT_CHANNELS if self.kind == "rgb" else PIXEL_CHANNELS) + MASK_CHANNELS


def read_sparse_checkpoint(content: object) -> tuple[SparseSpec, dict[str, Tensor]]:
    """Recognise a SparseCtrl file and bring its weights to our names.

    Args:
        content: what ``torch.load`` or safetensors returned, in any of the three layouts; it is not changed.

    Returns:
        The description and our state dict, with the file's own tensors and dtypes.

    Raises:
        MotionFileError: the file is something else, or incomplete. Shapes of image layers are for the network to check.

    Source:
        guoyww/AnimateDiff ``animatediff/models/sparse_controlnet.py``; diffusers
        ``scripts/convert_animatediff_sparsectrl_to_diffusers.py``; ComfyUI ``comfy.utils.unet_to_diffusers``.
    """
    entries = unwrap(content)
    require_kind(entries, SPARSE_CTRL)
    weights, modules = _split(tensors(to_original(entries)))
    labels = [module_name("down_blocks", level, block) for level in range(LEVELS) for block in range(BLOCKS)]
    found = {label: modules.pop(label, {}) for label in labels}
    if modules:
        raise MotionFileError(
            f"this SparseCtrl file has a motion module that the published ones do not have, {plain(min(modules))}; choose "
            "v3_sd15_sparsectrl_rgb.ckpt or v3_sd15_sparsectrl_scribble.ckpt."
        )
    widths = [
        size_of(f"{label}.norm.weight", module.get("norm.weight"), 0, 1, SPARSE_CTRL_FILE, multiple=GROUPS)
        for label, module in found.items()
    ]
    name = ORIGINAL.positions.format(n=0)
    stored = name in found[labels[0]]
    spec = _spec(weights, widths, size_of(name, found[labels[0]][name], 1, 3, SPARSE_CTRL_FILE) if stored else None)
    for (label, module), site in zip(found.items(), spec.motion.sites, strict=True):
        ours = convert_module(module, label, site.channels, spec.motion, ORIGINAL, stored)
        weights |= {f"motion.{site.part}_{site.index}.{name}": tensor for name, tensor in ours.items()}
    return spec, weights


def _split(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]:
    """Image layers by ComfyUI's names, and weights of motion modules by the published name of the module."""
    image: dict[str, Tensor] = {}
    modules: dict[str, dict[str, Tensor]] = {}
    for name, tensor in weights.items():
        if match := ORIGINAL.site.match(name):
            place = module_name(match["part"], int(match["level"] or 0), int(match["block"]))
            modules.setdefault(place, {})[name[match.end() :]] = tensor
        else:
            image[_image_name(name)] = sound(name, tensor)
    return image, modules


def _image_name(name: str) -> str:
    for pattern, renamed in _NAMES:
        if match := pattern.match(name):
            return renamed(match) + name[match.end() :]
    return name


def _spec(weights: Mapping[str, Tensor], widths: list[int], positions: int | None) -> SparseSpec:
    """The description, from the shapes of a few weights.

    Args:
        weights: image layers.
        widths: C of each motion module.
        positions: F, or None where the file has no positional encoding.
    """
    context = size_of(PROMPT_WEIGHT, weights.get(PROMPT_WEIGHT), 1, 2, SPARSE_CTRL_FILE)
    hint = size_of(HINT_WEIGHT, weights.get(HINT_WEIGHT), 1, 4, SPARSE_CTRL_FILE)
    sites = (unet_block("down_blocks", level, block) for level in range(LEVELS) for block in range(BLOCKS))
    motion = MotionSpec(
        family=SPARSE_TRAINED_WITH,
        sites=tuple(Site(place, index, width) for (place, index), width in zip(sites, widths, strict=True)),
        max_frames=positions or SPARSE_TRAINED_WITH.positions,
        attentions=1,
    )
    kind: Kind = "scribble" if "input_hint_block.14.weight" in weights else "rgb"
    spec = SparseSpec(kind, tuple(widths[::BLOCKS]), context, motion)
    if (
        hint != spec.hint_channels
        or context > WIDEST_CONTEXT
        or any(width % spec.widths[0] or width % HEADS for width in widths)
    ):
        raise MotionFileError(
            f"this SparseCtrl file has hints of {hint} channels, levels of {spec.widths} channels and prompts {context} wide; choose "
            "the rgb or the scribble encoder for SD1.5."
        )
    return spec
