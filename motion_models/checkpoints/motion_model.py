"""Reading a published motion module file: what it is, and its weights under our names.

Shapes: F = frames of the positional encoding.
"""

from collections.abc import Iterable, Mapping

from torch import Tensor

from ...inputs.quoting import plain
from ..errors import MotionFileError
from ..families import Base, Family, Mark, find_family
from ..spec import GROUPS, MotionSpec, Site
from .convert import convert_module, incomplete, size_of
from .identify import MOTION_MODULE, require_kind
from .layouts import layout_of, to_original
from .state_dict import sound, tensors, unwrap
from .weight_names import ORIGINAL, KeyTable, module_name, unet_block

IMAGE_ENCODER_PREFIX = "img_encoder."  # AnimateLCM-I2V's names start with it
LATENT_INPUTS, IMAGE_INPUTS = 4, 5  # of PIA's first convolution: noisy latent; mask and condition latent
SD15_LEVELS, SDXL_LEVELS = 4, 3  # of resolution
BASES_BY_LEVELS: dict[int, Base] = {SD15_LEVELS: "sd15", SDXL_LEVELS: "sdxl"}

PublishedBlock = tuple[str, int, int]  # part, level and block of a published module
Module = dict[str, Tensor]  # weights of one motion module, by the end of their names


def read_motion_checkpoint(content: object, name: str = "") -> tuple[MotionSpec, dict[str, Tensor]]:
    """Recognise a motion module file and bring its weights to our names.

    Args:
        content: what ``torch.load`` or safetensors returned, in the layout of the original release, of diffusers'
            MotionAdapter or of HotshotXL; wrappers such as ``state_dict``, a ``module.`` prefix, entries that are no
            tensors and the weights of a whole UNet may be present. It is not changed.
        name: file name; it tells only what weights cannot, see `find_family`.

    Returns:
        The description, and our state dict (names in `weight_names`): the file's own tensors and dtypes, with q, k and v
        of each attention concatenated, and the positional encoding of the file, else a sinusoidal one. Besides,
        ``image_encoder.*`` of AnimateLCM-I2V as in the file, and ``image_input.weight`` of PIA.

    Raises:
        MotionFileError: the file is something else, of a kind this release does not load, or incomplete.
    """
    entries = unwrap(content)
    require_kind(entries, MOTION_MODULE)
    layout = layout_of(entries)
    entries = to_original(entries)
    modules = _split_modules(tensors(entries), ORIGINAL)
    positions = _positions_length(modules.values(), ORIGINAL)
    image, mark = _image_weights(entries)
    if mark is None:
        mark = "hotshot" if layout == "hotshot" else _missing_positions(entries, modules, positions, layout)
    family, blocks = _recognise(modules, positions, mark, name)
    spec = MotionSpec(
        family=family,
        sites=tuple(_site(block, modules[block]) for block in blocks),
        max_frames=positions or family.positions,
        attentions=_count_attentions(modules[blocks[0]], ORIGINAL),
        image_encoder=mark == "image_encoder",
        image_input=mark == "image_input",
    )
    return spec, image | _converted([modules[block] for block in blocks], blocks, spec, positions is not None)


def _converted(
    modules: Iterable[Module], blocks: Iterable[PublishedBlock], spec: MotionSpec, stored_positions: bool
) -> dict[str, Tensor]:
    """All motion modules under our names."""
    weights: dict[str, Tensor] = {}
    for module, block, site in zip(modules, blocks, spec.sites, strict=True):
        ours = convert_module(module, module_name(*block), site.channels, spec, ORIGINAL, stored_positions)
        weights |= {f"{site.key}.{name}": tensor for name, tensor in ours.items()}
    return weights


def _image_weights(entries: Mapping[str, object]) -> tuple[dict[str, Tensor], Mark | None]:
    """What handles a condition image, by our names, and the mark of the family that has it.

    PIA's bias is left out: the bias of the checkpoint's own first convolution acts, as in PIA's own inference.
    """
    encoder = {name: value for name, value in tensors(entries).items() if name.startswith(IMAGE_ENCODER_PREFIX)}
    if encoder:
        return {
            f"image_encoder.{name.removeprefix(IMAGE_ENCODER_PREFIX)}": sound(name, value)
            for name, value in encoder.items()
        }, "image_encoder"
    conv = entries.get("conv_in.weight")
    if isinstance(conv, Tensor) and conv.ndim == 4 and conv.shape[1] == LATENT_INPUTS + IMAGE_INPUTS:
        return {"image_input.weight": sound("conv_in.weight", conv)[:, LATENT_INPUTS:]}, "image_input"
    return {}, None


def _missing_positions(
    entries: Mapping[str, object], modules: Mapping[PublishedBlock, Module], positions: int | None, layout: str
) -> Mark | None:
    """AnimateLCM's files, of SD1.5 with a middle block, store no positions. Neither do training checkpoints, which hold
    the UNet they were trained with, nor some diffusers adapters; those and all of other shapes are of the first family
    that has their shape.
    """
    whole_unet = any(".resnets." in name for name in entries)
    shape = _levels(modules) == SD15_LEVELS and ("mid_block", 0, 0) in modules
    return "no_positions" if positions is None and layout == "original" and shape and not whole_unet else None


def _levels(modules: Mapping[PublishedBlock, Module]) -> int:
    """Resolution levels."""
    return 1 + max(level for _, level, _ in modules)


def _split_modules(weights: Mapping[str, Tensor], table: KeyTable) -> dict[PublishedBlock, Module]:
    """Weights by motion module; the rest of the file, such as the UNet of a training checkpoint, is left out."""
    modules: dict[PublishedBlock, Module] = {}
    for name, tensor in weights.items():
        if match := table.site.match(name):
            block = (match["part"], int(match["level"] or 0), int(match["block"]))
            modules.setdefault(block, {})[name[match.end() :]] = tensor
    return modules


def _positions_length(modules: Iterable[Module], table: KeyTable) -> int | None:
    """F of the first positional encoding in the file; None when it has none."""
    name = table.positions.format(n=0)
    tensor = next((module[name] for module in modules if name in module), None)
    return None if tensor is None else size_of(name, tensor, 1, 3)


def _count_attentions(module: Module, table: KeyTable) -> int:
    count = 1
    while any(theirs.format(n=count) in module for theirs, _, _ in table.attention):
        count += 1
    return count


def _recognise(
    modules: Mapping[PublishedBlock, Module], positions: int | None, mark: Mark | None, name: str
) -> tuple[Family, list[PublishedBlock]]:
    """The family, and every motion module it must have in the order a UNet call reaches them."""
    levels = _levels(modules)
    middle = ("mid_block", 0, 0) in modules
    base = BASES_BY_LEVELS.get(levels)
    family = base and find_family(base, middle, positions, mark, name)
    if not family:
        raise MotionFileError(
            f"this file is a motion module of {plain(levels)} resolution levels{' with a middle block' if middle else ''}, "
            "which is none of those published for SD1.5 (4 levels) or SDXL (3, without one); choose one of those."
        )
    blocks = [("down_blocks", level, block) for level in range(levels) for block in range(2)]
    blocks += [("mid_block", 0, 0)] * middle
    blocks += [("up_blocks", level, block) for level in range(levels) for block in range(3)]
    for block in blocks:
        if block not in modules:
            raise incomplete(f"{module_name(*block)} is missing")
    return family, blocks


def _site(block: PublishedBlock, module: Module) -> Site:
    """The UNet block a published module follows; its width is that of its GroupNorm."""
    name = f"{module_name(*block)}.norm.weight"
    return Site(*unet_block(*block), channels=size_of(name, module.get("norm.weight"), 0, 1, multiple=GROUPS))
