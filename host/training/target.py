"""What a training changes: a part put on a clone of the MODEL, its weights by name, and the file that comes of them."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from comfy.model_patcher import ModelPatcher
from torch import Tensor, nn

from ...inputs.quoting import plain, reason_of
from ...motion_models.networks.low_rank import LoraPair, LowRankNetwork
from ...training.stages import Stage
from ..call import keys
from ..motion.view_windows import views_of

log = logging.getLogger("zoetrope")

# Of a MODEL, what it was loaded with; the rest is its noise schedule, which whoever loads it last exchanges.
UNET_WEIGHTS = "diffusion_model."

Holder = tuple[nn.Module, str]  # a layer and the name that its weight has there


@dataclass(frozen=True, eq=False, kw_only=True)
class Target:
    """What learns in a training.

    Attributes:
        stage: kind of training.
        model: MODEL with the part on it.
        holders: where each weight that learns lies, by its name in the state of the training.
        most_frames: positions of the motion model; 0 is no limit.
        facts: what the result depends on besides settings and clips, as text by name.
        file: weights that were learnt, by the names of ``holders`` -> what is written.
    """

    stage: Stage
    model: ModelPatcher
    holders: Mapping[str, Holder]
    most_frames: int
    facts: Mapping[str, str]
    file: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]

    @property
    def patchers(self) -> list[ModelPatcher]:
        """Of the MODEL and of everything that is loaded with it."""
        return [self.model, *self.model.get_nested_additional_models()]

    @property
    def parameters(self) -> int:
        """How many numbers learn."""
        return sum(getattr(layer, name).numel() for layer, name in self.holders.values())


def own_clone(model: ModelPatcher) -> ModelPatcher:
    """A clone whose weights are plain tensors while it is loaded.

    The host's dynamic loader (its default with NVIDIA) takes weights away between forward and backward.

    Raises:
        ValueError: the MODEL cannot be had without that loader.
    """
    if not model.is_dynamic():
        return model.clone()
    try:
        return model.clone(disable_dynamic=True)
    except RuntimeError as error:
        raise ValueError(
            f"This MODEL cannot be trained on with ComfyUI's dynamic loading of weights ({reason_of(error)}); load it with Load "
            "Checkpoint, or start ComfyUI with --disable-dynamic-vram."
        ) from error


def clone_for_training(model: ModelPatcher) -> ModelPatcher:
    """A clone in whose UNet calls all frames of a clip see each other, as the paper trains; says what it leaves out.

    Context Windows and FreeInit belong to the sampler, which training does not use; they stay for previews.
    """
    found = {
        "Context Windows": model.model_options.get("context_handler"),
        "View Windows": views_of(model),
        "FreeInit": model.get_attachment(keys.FREE_INIT),
    }
    if left_out := [name for name, part in found.items() if part is not None]:
        log.info("%s of this MODEL have no part in training: a clip is trained whole.", plain(", ".join(left_out)))
    clone = own_clone(model)
    clone.remove_attachments(keys.VIEW_WINDOWS)
    return clone


def pair_holders(pairs: Sequence[LoraPair], network: LowRankNetwork) -> dict[str, Holder]:
    """Where the halves of pairs lie that were the last ones given to a network, by the names of `halves`."""
    first = len(network.downs) - len(pairs)
    holders: dict[str, Holder] = {}
    for number, pair in enumerate(pairs, first):
        up, down = halves(pair)
        holders |= {up: (network.ups[number], "weight"), down: (network.downs[number], "weight")}
    return holders


def learnt_pairs(pairs: Sequence[LoraPair], weights: Mapping[str, Tensor]) -> list[LoraPair]:
    """The pairs with what was learnt, by the names of `halves`."""
    found: list[LoraPair] = []
    for pair in pairs:
        up, down = (weights[name] for name in halves(pair))
        found.append(LoraPair(pair.target, pair.slice, up, down, pair.alpha, pair.convolution))
    return found


def halves(pair: LoraPair) -> tuple[str, str]:
    """Names of a pair's two weights."""
    rows = "" if pair.slice is None else f".{pair.slice[0]}"
    return f"{pair.target}{rows}.up", f"{pair.target}{rows}.down"
