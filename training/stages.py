"""What can be trained, one frozen record each; everything that differs between the stages is here."""

from dataclasses import dataclass
from typing import Literal

Trained = Literal["unet_attention", "motion_modules", "temporal_attention"]


@dataclass(frozen=True)
class Stage:
    """One thing to train.

    Attributes:
        name: short name, unique in `STAGES`.
        title: name for people.
        trained: which weights learn.
        beta_schedule: noise schedule by a name of `BETA_SCHEDULES`; empty is that of the motion model.
        single_frames: trained on one frame of each clip, without a motion model.
        layout: published names that its file has by default.

    Source:
        Guo et al. 2023, "AnimateDiff", sections 4.1 to 4.3; guoyww/AnimateDiff ``configs/training/v1/image_finetune.yaml``
        (scaled_linear, which ComfyUI calls ``linear``) and ``training.yaml`` (linear, there ``sqrt_linear``).
    """

    name: str
    title: str
    trained: Trained
    beta_schedule: str
    single_frames: bool
    layout: str = "original"


DOMAIN_ADAPTER_STAGE = Stage("domain_adapter", "domain adapter", "unet_attention", "linear", single_frames=True)
MOTION_MODEL_STAGE = Stage("motion_model", "motion model", "motion_modules", "", single_frames=False)
MOTION_LORA_STAGE = Stage("motion_lora", "MotionLoRA", "temporal_attention", "", single_frames=False)
STAGES = (DOMAIN_ADAPTER_STAGE, MOTION_MODEL_STAGE, MOTION_LORA_STAGE)
