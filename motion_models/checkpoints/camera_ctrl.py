"""Reading a CameraCtrl file: the authors' checkpoint, or the pruned one without their wrappers.

The authors' file has the entries ``pose_encoder_state_dict`` and ``attention_processor_state_dict``; the pruned file
has what is in both side by side. Names within are the same.
"""

import re
from collections.abc import Iterator, Mapping

from torch import Tensor

from ...inputs.quoting import plain
from ..errors import MotionFileError
from ..networks.camera_encoder import CAMERA_BLOCKS, PATCH, RAYS, CameraSpec
from ..spec import HEADS, Site
from .convert import concatenate, incomplete, size_of, take
from .identify import FileKind, require_kind
from .state_dict import is_mapping, tensors, unwrap
from .weight_names import ATTENTION, FEED_FORWARD, POSITIONS, QKV, unet_block

CAMERA_STATE_DICTS = ("pose_encoder_state_dict", "attention_processor_state_dict")
FIRST = "encoder_conv_in.weight"
CONVS = "encoder_down_conv_blocks.{level}.{block}."
ATTENTIONS = "encoder_down_attention_blocks.{level}.{block}."
CAMERA_CTRL_FILE = "CameraCtrl file"
MERGE = re.compile(
    r"(?P<part>down_blocks|up_blocks)\.(?P<level>\d+)\.motion_modules\.(?P<block>\d+)\.temporal_transformer\."
    r"transformer_blocks\.0\.attention_blocks\.0\.processor\.qkv_merge\.(?P<end>weight|bias)"
)
CAMERA_CTRL = FileKind(
    "^encoder_down_conv_blocks", "a CameraCtrl file", "apply it with ZoetropeApplyCameraCtrl", also="qkv_merge"
)


def read_camera_checkpoint(content: object) -> tuple[CameraSpec, dict[str, Tensor]]:
    """Recognise a CameraCtrl file and bring its weights to the names of `CameraNetwork`.

    Args:
        content: what ``torch.load`` or safetensors returned; it is not changed.

    Returns:
        The description and our state dict, with the file's own tensors and dtypes.

    Raises:
        MotionFileError: the file is something else, incomplete, or has weights that CameraCtrl does not.
    """
    weights = _named(content)
    left = dict(weights)
    spec = _spec(weights)
    ours = _convs(left, spec.widths)
    for level, width in enumerate(spec.widths):
        for block in range(CAMERA_BLOCKS):
            label, mine = ATTENTIONS.format(level=level, block=block), f"attentions.{CAMERA_BLOCKS * level + block}."
            for theirs, name, widths in (*ATTENTION, *FEED_FORWARD):
                name = name.format(n=0).replace("attentions.0.", "attention.")
                shape = tuple(factor * width for factor in widths)
                ours[mine + name] = take(left, label + theirs.format(n=0), shape, kind=CAMERA_CTRL_FILE)
            parts = [ours.pop(f"{mine}attention.{part}.weight") for part in QKV]
            ours[mine + "attention.to_qkv.weight"] = concatenate(parts)
            shape = (1, spec.max_frames, width)
            ours[mine + "attention.positions"] = take(left, label + POSITIONS.format(n=0), shape, kind=CAMERA_CTRL_FILE)
    for site, names in _merges(weights):
        for end, shape in (("weight", (site.channels,) * 2), ("bias", (site.channels,))):
            ours[f"merges.{site.part}_{site.index}.{end}"] = take(left, names[end], shape, kind=CAMERA_CTRL_FILE)
    if left:
        raise MotionFileError(
            f"this CameraCtrl file has a weight that the published model does not have, {plain(min(left))}; "
            "choose CameraCtrl.ckpt or its pruned version."
        )
    return spec, ours


def _named(content: object) -> dict[str, Tensor]:
    """Weights by published name."""
    parts = [content[name] for name in CAMERA_STATE_DICTS if name in content] if is_mapping(content) else []
    # AnimateDiff-Evolved strips the names, so its pruned file is read with or without blanks around them.
    entries = {name.strip(): value for part in parts or [content] for name, value in unwrap(part).items()}
    lines = "\n".join(entries)
    if not CAMERA_CTRL.matches(lines):
        if any(name.startswith("encoder_down_") or "qkv_merge" in name for name in entries):
            half = "qkv_merge" if re.search("^encoder_down_conv", lines, re.MULTILINE) else "encoder"
            raise incomplete(f"its {half} weights are missing", CAMERA_CTRL_FILE)
        require_kind(entries, CAMERA_CTRL)
    return tensors(entries)


def _spec(weights: Mapping[str, Tensor]) -> CameraSpec:
    widths: list[int] = []
    while (name := CONVS.format(level=len(widths), block=CAMERA_BLOCKS - 1) + "block2.weight") in weights or not widths:
        widths.append(size_of(name, weights.get(name), 0, 4, CAMERA_CTRL_FILE, multiple=HEADS))
    name = ATTENTIONS.format(level=0, block=0) + POSITIONS.format(n=0)
    positions = size_of(name, weights.get(name), 1, 3, CAMERA_CTRL_FILE)
    sites = tuple(site for site, _ in _merges(weights))
    spec = CameraSpec(tuple(widths), sites, positions)
    for site in sites:
        level = spec.level_of(site.part, site.index)
        if not 0 <= level < len(widths) or site.channels != widths[level]:
            raise incomplete(
                f"the qkv_merge of {site.part} {site.index} has {site.channels} channels", CAMERA_CTRL_FILE
            )
    return spec


def _convs(left: dict[str, Tensor], widths: tuple[int, ...]) -> dict[str, Tensor]:
    """The convolutions, taken out of ``left``."""
    ours = {
        "conv_in.weight": take(left, FIRST, (widths[0], RAYS * PATCH**2, 3, 3), kind=CAMERA_CTRL_FILE),
        "conv_in.bias": take(left, "encoder_conv_in.bias", (widths[0],), kind=CAMERA_CTRL_FILE),
    }
    before = widths[0]
    for level, width in enumerate(widths):
        for block in range(CAMERA_BLOCKS):
            label, mine = CONVS.format(level=level, block=block), f"convs.{CAMERA_BLOCKS * level + block}."
            rows = [("block1", width, 3), ("block2", width, 1), *[("in_conv", before, 1)] * (before != width)]
            for name, channels_in, size in rows:
                shape = (width, channels_in, size, size)
                ours[f"{mine}{name}.weight"] = take(left, f"{label}{name}.weight", shape, kind=CAMERA_CTRL_FILE)
                ours[f"{mine}{name}.bias"] = take(left, f"{label}{name}.bias", (width,), kind=CAMERA_CTRL_FILE)
            before = width
    return ours


def _merges(weights: Mapping[str, Tensor]) -> Iterator[tuple[Site, dict[str, str]]]:
    """The motion modules that have a merge layer, with the published names of its weight and bias."""
    for name, tensor in weights.items():
        match = MERGE.fullmatch(name)
        if match and match["end"] == "weight":
            place, index = unet_block(match["part"], int(match["level"]), int(match["block"]))
            base = name.removesuffix("weight")
            yield (
                Site(place, index, size_of(name, tensor, 0, 2, CAMERA_CTRL_FILE)),
                {end: base + end for end in ("weight", "bias")},
            )
