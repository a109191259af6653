"""The kinds of motion module, one frozen record each; everything that differs between them is here."""

import re
from dataclasses import dataclass, replace
from typing import Literal

Base = Literal["sd15", "sdxl"]
# What some files have besides plain motion modules: HotshotXL's names, PIA's image convolution, AnimateLCM-I2V's image
# encoder, and no stored positional encoding.
Mark = Literal["hotshot", "image_input", "image_encoder", "no_positions"]

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
        beta_schedule: noise schedule it was trained on, by a name of `BETA_SCHEDULES` (``sqrt_linear`` is what papers
            and diffusers call ``linear``).
        norms_across_frames: GroupNorms of the UNet's ResBlocks and output take their statistics over all frames
            of a window. Spatial transformers normalise each frame in every family.
        motion_norm_across_frames: so do the GroupNorms of the motion modules themselves.
        advised_frames: frames a clip or window should have; the longest it was trained on.
        fewest_frames: the shortest it was trained on.
        advised_sampler: ComfyUI's sampler name.
        advised_scheduler: ComfyUI's scheduler name.
        advised_steps: sampling steps.
        advised_cfg: guidance scale.
        advised_size: side of a square frame, in pixels.
        advised_scale: scale it is recommended to be used with.
        lcm: distilled for the LCM sampler.
        mark: what only its files have.
        file_name: pattern of its published file names, where weights cannot tell it from another family.

    Source:
        guoyww/AnimateDiff ``configs/inference/inference-v1.yaml``, ``-v2.yaml``, ``-v3.yaml``
        (``use_inflated_groupnorm``, ``motion_module_mid_block``, beta schedule), ``scripts/animate.py`` and the
        ``sdxl`` branch; hotshotco/Hotshot-XL ``inference.py`` and ``models/resnet.py``; G-U-N/AnimateLCM
        ``animatelcm_sd15``; open-mmlab/PIA ``animatediff/models`` (v2 weights, ResBlock norms of v1); the model cards of
        ByteDance/AnimateDiff-Lightning and Lightricks/LongAnimateDiff.
    """

    name: str
    title: str
    base: Base
    middle: bool
    positions: int
    beta_schedule: str
    norms_across_frames: bool = False
    motion_norm_across_frames: bool = False
    advised_frames: int = 16
    fewest_frames: int = 16
    advised_sampler: str = "ddim"
    advised_scheduler: str = "ddim_uniform"
    advised_steps: int = 25
    advised_cfg: float = 7.5
    advised_size: int = 512
    advised_scale: float = 1.0
    lcm: bool = False
    mark: Mark | None = None
    file_name: str = ""

    @property
    def trained_frames(self) -> str:
        """Lengths of the clips it was trained on, for messages."""
        lengths = sorted({self.fewest_frames, self.advised_frames})
        return " to ".join(map(str, lengths))


FAMILIES = (
    Family("v1", "AnimateDiff v1", "sd15", False, 24, "sqrt_linear", norms_across_frames=True),
    Family("v2", "AnimateDiff v2", "sd15", True, 32, "sqrt_linear"),
    Family("v3", "AnimateDiff v3", "sd15", False, 32, "sqrt_linear"),
    Family(
        "long",
        "LongAnimateDiff",
        "sd15",
        True,
        64,
        "sqrt_linear",
        advised_frames=32,
        fewest_frames=32,
        advised_scale=1.15,
    ),
    Family(
        "long_64",
        "LongAnimateDiff 16-64",
        "sd15",
        True,
        128,
        "sqrt_linear",
        advised_frames=64,
        advised_scale=1.15,
    ),
    Family(
        "sdxl_beta",
        "AnimateDiff-SDXL beta",
        "sdxl",
        False,
        32,
        "linear_sdxl_beta",
        motion_norm_across_frames=True,
        advised_sampler="euler",
        advised_scheduler="ddim_uniform",
        advised_steps=50,
        advised_cfg=8.5,
        advised_size=1024,
    ),
    Family(
        "hotshot_xl",
        "HotshotXL",
        "sdxl",
        False,
        24,
        "linear",
        norms_across_frames=True,
        advised_frames=8,
        fewest_frames=8,
        advised_sampler="euler_ancestral",
        advised_scheduler="ddim_uniform",
        advised_steps=30,
        advised_cfg=5.0,
        mark="hotshot",
    ),
    Family(
        "animatelcm",
        "AnimateLCM",
        "sd15",
        True,
        64,
        "lcm_100",
        advised_sampler="lcm",
        advised_scheduler="sgm_uniform",
        advised_steps=6,
        advised_cfg=1.5,
        lcm=True,
        mark="no_positions",
        file_name=r"animate[-_ ]?lcm",
    ),
    Family(
        "animatelcm_i2v",
        "AnimateLCM-I2V",
        "sd15",
        True,
        64,
        "lcm_i2v",
        advised_sampler="lcm",
        advised_scheduler="sgm_uniform",
        advised_steps=4,
        advised_cfg=1.0,
        lcm=True,
        mark="image_encoder",
    ),
    Family(
        "lightning",
        "AnimateDiff-Lightning",
        "sd15",
        True,
        32,
        "sqrt_linear",
        advised_sampler="euler",
        advised_scheduler="sgm_uniform",
        advised_steps=4,
        advised_cfg=1.0,
        file_name=r"lightning",
    ),
    Family("pia", "PIA", "sd15", True, 32, "sqrt_linear", norms_across_frames=True, mark="image_input"),
)

STEPS = re.compile(r"(\d+)[-_ ]?step")


def find_family(
    base: Base, middle: bool, positions: int | None, mark: Mark | None = None, file_name: str = ""
) -> Family | None:
    """Tell the kind of a motion module by its weights, and by its name where two kinds have the same weights.

    Kinds that differ only in their positional encoding are told apart by its length: the longest row that is not
    longer, else the shortest, so that a table someone stretched a little keeps its family.

    Args:
        base: kind of checkpoint the module animates.
        middle: whether it has a motion module in the middle block.
        positions: length of the file's positional encoding in frames; None when it has none.
        mark: what the file has besides.
        file_name: name of the file; Lightning is v2 in every shape, so only its name tells it.

    Returns:
        The row of `FAMILIES`, with the number of steps in a distilled file's name; None when no row has this base.
    """
    rows = [family for family in FAMILIES if family.base == base]
    if mark is not None:
        return next((family for family in rows if family.mark == mark), None)
    name = file_name.lower()
    for family in rows:
        if family.file_name and middle == family.middle and re.search(family.file_name, name):
            steps = STEPS.search(name)
            return replace(family, advised_steps=int(steps[1])) if steps else family
    plain = [family for family in rows if family.middle == middle and not (family.mark or family.file_name)]
    plain.sort(key=lambda family: family.positions)
    return ([family for family in plain if family.positions <= (positions or 0)][-1:] or plain[:1] or [None])[0]
