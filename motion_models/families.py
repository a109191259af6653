"""The kinds of motion module, one frozen record each; everything that differs between them is here."""

from dataclasses import dataclass
from typing import Literal

Base = Literal["sd15", "sdxl"]

BASE_TITLES: dict[Base, str] = {"sd15": "SD1.5", "sdxl": "SDXL"}


@dataclass(frozen=True)
class Family:
    """What a kind of motion module was trained for.

    Attributes:
        name: short name, unique in `FAMILIES`.
        title: name for people.
        base: kind of checkpoint it animates.
        middle: has a motion module in the middle block.
        positions: length of its positional encoding, in frames. A file's own table wins over it.
        beta_schedule: noise schedule it was trained on, by ComfyUI's name (``sqrt_linear`` is what papers and
            diffusers call ``linear``).
        norms_across_frames: GroupNorms of the UNet's ResBlocks and output take their statistics over all frames
            of a window. Spatial transformers and motion modules normalise each frame in every family of this table.
        advised_frames: frames a clip or window should have; the length it was trained on.
        advised_sampler: ComfyUI's sampler name.
        advised_scheduler: ComfyUI's scheduler name.
        advised_steps: sampling steps.
        advised_cfg: guidance scale.
        advised_size: side of a square frame, in pixels.

    Source:
        guoyww/AnimateDiff ``configs/inference/inference-v1.yaml``, ``-v2.yaml``, ``-v3.yaml``
        (``use_inflated_groupnorm``, ``motion_module_mid_block``, beta schedule) and ``scripts/animate.py``.
    """

    name: str
    title: str
    base: Base
    middle: bool
    positions: int
    beta_schedule: str
    norms_across_frames: bool
    advised_frames: int = 16
    advised_sampler: str = "ddim"
    advised_scheduler: str = "ddim_uniform"
    advised_steps: int = 25
    advised_cfg: float = 7.5
    advised_size: int = 512


FAMILIES = (
    Family("v1", "AnimateDiff v1", "sd15", False, 24, "sqrt_linear", norms_across_frames=True),
    Family("v2", "AnimateDiff v2", "sd15", True, 32, "sqrt_linear", norms_across_frames=False),
    Family("v3", "AnimateDiff v3", "sd15", False, 32, "sqrt_linear", norms_across_frames=False),
)


def find_family(base: Base, middle: bool, positions: int | None) -> Family | None:
    """Tell the kind of a motion module by its shape.

    Kinds that differ only in their positional encoding are told apart by its length: the first row that is
    long enough, else the longest, so that a table someone stretched keeps its family.

    Args:
        base: kind of checkpoint the module animates.
        middle: whether it has a motion module in the middle block.
        positions: length of the file's positional encoding in frames; None when it has none.

    Returns:
        The row of `FAMILIES`, or None when no row has this base and middle block.
    """
    rows = sorted((f for f in FAMILIES if (f.base, f.middle) == (base, middle)), key=lambda f: f.positions)
    long_enough = [f for f in rows if f.positions >= (positions or 0)]
    return next(iter(long_enough + rows[-1:]), None)
