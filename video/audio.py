"""Sound for a clip.

Shapes: B = batch, C = channels, T = samples over time.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True)
class Sound:
    """Samples (T, C), float32 in -1..1, and how many a second."""

    samples: NDArray[np.float32]
    sample_rate: int

    @property
    def channels(self) -> int:
        return self.samples.shape[1]

    def write_raw(self, path: Path) -> None:
        """Write interleaved 32-bit floats, ffmpeg's f32le."""
        self.samples.astype("<f4").tofile(path)


def fit_sound(waveform: torch.Tensor, sample_rate: int, seconds: Fraction) -> Sound | None:
    """Cut sound to a length, or pad it with silence.

    Args:
        waveform: (B, C, T) float in -1..1; the first of the batch is used.
        sample_rate: samples a second.
        seconds: length of the clip.

    Returns:
        The sound, or None when there is nothing to hear (no batch, channel or sample).

    Raises:
        ValueError: the shape or the rate makes no sense.
    """
    if waveform.ndim != 3 or sample_rate <= 0:
        raise ValueError(
            f"Audio of shape {tuple(waveform.shape)} at {sample_rate} Hz cannot be used: "
            "give (batch, channels, samples) and a rate above 0."
        )
    if waveform.numel() == 0:
        return None
    wanted = round(seconds * sample_rate)
    cut = waveform[0, :, :wanted].detach().to("cpu", torch.float32).nan_to_num(0.0, 1.0, -1.0)
    padded = torch.nn.functional.pad(cut, (0, wanted - cut.shape[1]))
    return Sound(np.ascontiguousarray(padded.numpy().T), sample_rate)
