"""Where a training runs: its models loaded, in one precision, with as much kept for backward as there is memory for."""

from typing import Any

import comfy.model_management
import torch
from comfy.model_patcher import ModelPatcher

from ...inputs.quoting import plain
from ...training.clips import Clips
from ...training.memory import BYTES_PER_WEIGHT, Checkpointing, activation_bytes, fitting_checkpointing
from ...training.settings import TrainingSettings
from .target import Target

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
PIXELS = 8  # of a picture along one number of a latent


class Placement:
    """The models of a training on their device.

    Args:
        target: what learns; its MODEL gets the precision that was asked for.
        clips: on what.
        settings: precision, checkpointing and batch.
        frames: of a clip.
    """

    def __init__(self, target: Target, clips: Clips, settings: TrainingSettings, frames: int) -> None:
        self.target, self.settings, self.frames = target, settings, frames
        self.model: ModelPatcher = target.model
        largest = max(clips.clips, key=lambda clip: clip.height * clip.width)
        self.height, self.width = largest.height, largest.width
        own: torch.dtype = self.model.model.get_dtype_inference()
        self.dtype = DTYPES.get(settings.precision, own)
        if self.dtype != own:
            self.model.set_model_compute_dtype(self.dtype)
        self.checkpointing: Checkpointing = "all"

    def load(self) -> None:
        """Load everything, in the inference mode or not that the caller is in."""
        needed = activation_bytes("all", **self._size()) + self._learning_bytes()
        comfy.model_management.load_models_gpu(self.target.patchers, memory_required=needed, force_full_load=True)
        self.model.pre_run()

    def choose_checkpointing(self) -> None:
        """Once, after loading, so that all steps are made alike."""
        asked: Any = self.settings.checkpointing
        if asked == "auto":
            free: Any = comfy.model_management.get_free_memory(self.model.load_device)
            asked = fitting_checkpointing(int(free) - self._learning_bytes(), **self._size())
        self.checkpointing = asked

    def out_of_memory_sentence(self, done: int) -> str:
        """What to change, for the step after ``done``."""
        batch = self.settings.batch
        cures = [f"fewer frames than {self.frames}", "clips of a smaller size"]
        if batch > 1:
            cures.insert(0, f"batch 1 in place of {batch} (with accumulation {batch})")
        if self.checkpointing != "all":
            cures.insert(0, f"checkpointing all in place of {self.checkpointing}")
        return (
            f"Training ran out of memory in step {done + 1} with {batch} x {plain(self.frames)} frames of "
            f"{self.width * PIXELS} x {self.height * PIXELS} pixels; try {plain(', then '.join(cures), 400)}. What was learnt "
            f"in {plain(done)} steps is saved."
        )

    def _learning_bytes(self) -> int:
        return BYTES_PER_WEIGHT * self.target.parameters

    def _size(self) -> dict[str, int]:
        config = self.model.model.model_config.unet_config
        return {
            "batch": self.settings.batch,
            "frames": self.frames,
            "height": self.height,
            "width": self.width,
            "channels": config.get("model_channels", 320),
            "item": self.dtype.itemsize,
        }


def is_out_of_memory(error: Exception) -> bool:
    """Whether the device had no memory left."""
    management: Any = comfy.model_management
    known = getattr(management, "is_oom", None)  # of newer versions of the host
    return bool(known(error)) if known else isinstance(error, torch.cuda.OutOfMemoryError)
