"""MotionLoRA: part of the weights while its strength is constant, beside them when it changes over time."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from comfy.model_patcher import ModelPatcher
from comfy.weight_adapter.lora import LoRAAdapter

from ...inputs.quoting import plain, quoted, quoted_names
from ...motion_models.checkpoints.motion_lora import LoraFile, read_motion_lora
from ...motion_models.networks.low_rank import LoraPair
from ...motion_models.spec import MotionSpec
from ..call.sampling_range import SamplingRange
from ..call.strength import Strength
from ..loading import model_files
from .low_rank import BypassLora, low_rank_patcher

log = logging.getLogger("zoetrope")


@dataclass(frozen=True, eq=False)
class MotionLora:
    """One MotionLoRA of a stack.

    Attributes:
        name: file name, for messages.
        file: low-rank pairs against our weight names; nothing dense is kept.
        strength: factor of the delta over frames and picture; negative reverses the motion.
        when: factor over the sampling steps.
        learns: it is being trained.
    """

    name: str
    file: LoraFile
    strength: Strength
    when: SamplingRange = SamplingRange()
    learns: bool = False

    @property
    def constant(self) -> bool:
        """Whether it is the same for every step, frame and pixel."""
        return self.strength.constant and self.when.always and not self.learns


Stack = tuple[MotionLora, ...]


def load_motion_lora(name: str, strength: Strength, when: SamplingRange | None = None) -> MotionLora:
    """Read a file of ``models/animatediff_motion_lora``.

    Raises:
        ValueError: the file is missing, unreadable or no MotionLoRA; the sentence says what it is.
    """
    _, state_dict = model_files.read_file(model_files.MOTION_LORAS, name)
    try:
        file = read_motion_lora(state_dict)
    except ValueError as error:
        raise ValueError(f"{quoted(name)}: {plain(error, 600)}") from error
    if file.unmatched:
        log.warning(
            "MotionLoRA %s: %d weights are of no known layer and are not used: %s.",
            quoted(name),
            len(file.unmatched),
            quoted_names(file.unmatched, 3),
        )
    return MotionLora(name, file, strength, when or SamplingRange())


def add_motion_loras(
    patcher: ModelPatcher, stack: Stack, spec: MotionSpec
) -> tuple[tuple[BypassLora, ...], ModelPatcher | None]:
    """Give every MotionLoRA of a stack to a motion model.

    Args:
        patcher: of the motion network, a clone owned by the caller; constant strengths become weight patches of it.
        stack: the MotionLoRAs.
        spec: of the motion network.

    Returns:
        The MotionLoRAs that act beside the weights, and the patcher of their `LowRankNetwork` (None without any).

    Raises:
        ValueError: no pair of a MotionLoRA belongs to this motion model, or a pair has other widths.
    """
    shapes = {key: weight.shape for key, weight in patcher.model.state_dict().items()}
    bypassed: list[tuple[BypassLora, list[LoraPair]]] = []
    for lora in stack:
        pairs = fitting_pairs(lora.name, lora.file.pairs, shapes)
        _warn_of_version(lora, len(pairs), spec)
        if lora.strength.off:
            continue
        if lora.constant and can_merge(patcher):
            patcher.add_patches({_patch_key(pair): _adapter(pair) for pair in pairs}, lora.strength.number)
        else:
            bypassed.append((BypassLora(lora.name, lora.strength, lora.when), pairs))
    if not bypassed:
        return (), None
    # The host's dynamic loader hands out copies of weights, through which no gradient comes.
    network = low_rank_patcher([pairs for _, pairs in bypassed], disable_dynamic=any(lora.learns for lora in stack))
    return tuple(run for run, _ in bypassed), network


def can_merge(patcher: ModelPatcher) -> bool:
    """Whether constant LoRAs may become part of the weights.

    Not in fp8, where the small change is lost (measured: 176 % relative error); and not where weights are used on the
    device they rest on, because the host would keep a second copy of each changed weight there.
    """
    widths = {weight.dtype.itemsize for weight in patcher.model.parameters() if weight.ndim == 2}
    return min(widths) > 1 and patcher.load_device != patcher.offload_device


def fitting_pairs(name: str, pairs: tuple[LoraPair, ...], shapes: Mapping[str, tuple[int, ...]]) -> list[LoraPair]:
    """The pairs whose weight is among ``shapes``.

    Raises:
        ValueError: there is none, or one has other widths than its weight.
    """
    fitting = [pair for pair in pairs if pair.target in shapes]
    if not fitting:
        raise ValueError(
            f"MotionLoRA {quoted(name)} has no layer in common with this motion model; use one that was "
            "trained for the same kind of motion model."
        )
    for pair in fitting:
        _check_shape(name, pair, shapes[pair.target])
    return fitting


def _warn_of_version(lora: MotionLora, fitting: int, spec: MotionSpec) -> None:
    middle = any(site.part == "middle" for site in spec.sites)
    left_out = len(lora.file.pairs) - fitting
    if left_out:
        log.warning(
            "MotionLoRA %s was trained for another version: %d of %d layers are not in this motion model (%s) and "
            "were left out; the published camera moves belong to v2.",
            quoted(lora.name),
            left_out,
            len(lora.file.pairs),
            plain(spec.family.title),
        )
    elif middle and not lora.file.middle:
        log.warning(
            "MotionLoRA %s was trained for a motion model without a middle block (v1 or v3) and this one is %s; "
            "expect a weaker or another motion.",
            quoted(lora.name),
            plain(spec.family.title),
        )


def _patch_key(pair: LoraPair) -> str | tuple[str, tuple[int, int, int]]:
    return pair.target if pair.slice is None else (pair.target, (0, *pair.slice))


def _adapter(pair: LoraPair) -> LoRAAdapter:
    return LoRAAdapter(set(), (pair.up, pair.down, pair.alpha, None, None, None))


def _check_shape(name: str, pair: LoraPair, shape: tuple[int, ...]) -> None:
    rows = shape[0] if pair.slice is None else pair.slice[1]
    if (pair.up.shape[0], pair.down.shape[1]) != (rows, shape[1]):
        raise ValueError(
            f"MotionLoRA {quoted(name)} has a layer of {pair.up.shape[0]} x {pair.down.shape[1]} where this motion model "
            f"has {rows} x {shape[1]} ({plain(pair.target)}); use one that was trained for the same base."
        )
