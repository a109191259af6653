"""How much memory the activations of a training step take, to choose which layers are computed twice.

Shapes: B = clips in a UNet call, F = frames of a clip, h, w = size of a latent.
"""

from typing import Literal

GIB = 2**30
# What autograd keeps for 16 frames of 64 x 64 latents in an SD1.5 UNet of 320 channels at 2 bytes a number, in GiB, by which
# layers are computed twice, and the largest layer while it is computed again. Counted by hooks on saved tensors.
COUNTED_NUMBERS = 16 * 64 * 64
COUNTED_CHANNELS = 320
KEPT = {"none": 20.94, "motion": 20.94 - 10.16 + 0.50, "all": 1.53}
COMPUTED_AGAIN = {"none": 0.0, "motion": 1.06, "all": 1.06}
GRADIENTS = 2.0  # of the layer at work, in sizes of what is computed again
BYTES_PER_WEIGHT = 12  # gradient and two moments in float32

Checkpointing = Literal["none", "motion", "all"]


def activation_bytes(
    checkpointing: str,
    batch: int,
    frames: int,
    height: int,
    width: int,
    channels: int = COUNTED_CHANNELS,
    item: int = 2,
) -> int:
    """Bytes of one step beside the weights.

    Args:
        checkpointing: a key of `KEPT`.
        batch: B.
        frames: F.
        height: h.
        width: w.
        channels: of the UNet's first level.
        item: bytes of a number.
    """
    share = batch * frames * height * width * channels * item / (COUNTED_NUMBERS * COUNTED_CHANNELS * 2)
    return round((KEPT[checkpointing] + (1 + GRADIENTS) * COMPUTED_AGAIN[checkpointing]) * share * GIB)


def fitting_checkpointing(free: int, **size: int) -> Checkpointing:
    """The fewest layers to compute twice with which a step fits the free memory; all of them where none does.

    Args:
        free: bytes.
        size: arguments of `activation_bytes`.
    """
    fewest: tuple[Checkpointing, ...] = ("none", "motion")
    for choice in fewest:
        if activation_bytes(choice, **size) <= free:
            return choice
    return "all"
