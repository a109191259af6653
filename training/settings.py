"""How a training goes, as numbers; what is trained and on which clips is told elsewhere."""

import math
from dataclasses import asdict, dataclass

from ..inputs.quoting import plain, quoted, quoted_names
from .draws import TIMESTEPS

LOSSES = ("paper", "debiased")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
CHECKPOINTINGS = ("auto", "none", "motion", "all")

# What may change when a training goes on, because what is learnt stays the same; so does checkpointing, which computes
# the same numbers a second time.
FREE_TO_CHANGE = {"steps", "save_every", "preview_every", "checkpointing"}


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Settings of a training.

    Attributes:
        steps: of the optimiser, all in all.
        learning_rate: of AdamW, after the warm-up.
        batch: clips in one UNet call.
        accumulation: UNet calls whose gradients make one step.
        warm_up: steps over which the learning rate rises from near 0.
        loss: one of `LOSSES`.
        min_snr: gamma of the min-SNR weight; 0 is without.
        text_dropout: share of clips whose caption is left out.
        min_timestep: lowest noise level that is trained, 0 to 999.
        max_timestep: highest noise level that is trained.
        seed: of everything random.
        precision: one of `PRECISIONS`; auto is what the UNet computes in.
        checkpointing: which layers are computed a second time in place of being kept, one of `CHECKPOINTINGS`; auto is
            the fewest that fit the free memory.
        save_every: steps between two savings.
        preview_every: steps between two previews; 0 is none.
        frames: of a clip, in one UNet call.
        stride: frames of the source from one frame of the clip to the next.
        weight_decay: of AdamW.
        clip_norm: longest gradient; 0 is any.
        ema: decay of the average of the weights, which is what is written then; 0 is without.

    Raises:
        ValueError: a value that is none.
    """

    steps: int = 2000
    learning_rate: float = 1e-4
    batch: int = 1
    accumulation: int = 1
    warm_up: int = 0
    loss: str = "paper"
    min_snr: float = 0.0
    text_dropout: float = 0.1
    min_timestep: int = 0
    max_timestep: int = TIMESTEPS - 1
    seed: int = 0
    precision: str = "auto"
    checkpointing: str = "auto"
    save_every: int = 250
    preview_every: int = 250
    frames: int = 16
    stride: int = 4
    weight_decay: float = 1e-2
    clip_norm: float = 1.0
    ema: float = 0.0

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "accumulation", "save_every", "frames", "stride"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {plain(getattr(self, name))}; it must be at least 1.")
        for name in ("warm_up", "preview_every", "min_snr", "weight_decay", "clip_norm", "seed"):
            value = getattr(self, name)
            if not math.isfinite(value) or value < 0:
                raise ValueError(f"{name} is {plain(value)}; it must be 0 or more.")
        if not math.isfinite(self.learning_rate) or self.learning_rate <= 0:
            raise ValueError(f"learning_rate is {self.learning_rate:g}; it must be above 0, for example 0.0001.")
        if not 0 <= self.text_dropout <= 1:
            raise ValueError(f"text_dropout is {self.text_dropout:g}; it is a share from 0 to 1.")
        if not 0 <= self.min_timestep <= self.max_timestep < TIMESTEPS:
            raise ValueError(
                f"min_timestep is {plain(self.min_timestep)} and max_timestep {plain(self.max_timestep)}; they are 0 to "
                f"{TIMESTEPS - 1}, the lower first."
            )
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema is {self.ema:g}; it must be 0 (off) or below 1, for example 0.999.")
        self._check_choices()

    def _check_choices(self) -> None:
        choices = {"loss": LOSSES, "precision": PRECISIONS, "checkpointing": CHECKPOINTINGS}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {quoted(getattr(self, name))}; choose one of {quoted_names(known)}.")

    def digest_parts(self) -> dict[str, str]:
        """Everything that changes what is learnt up to a step, as text by name."""
        return {name: str(value) for name, value in asdict(self).items() if name not in FREE_TO_CHANGE}
