"""Sound for a clip.

Shapes: B = batch, C = channels, T = samples over time.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class AudioTrack:
    """What a clip sounds like.

    Attributes:
        samples: (T, C), float32 in -1..1.
        sample_rate: samples a second.
        silence: samples that follow, which are never held.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    silence: int = 0

    @property
    def channels(self) -> int:
        return self.samples.shape[1]

    def write_raw(self, path: Path) -> None:
        """Write interleaved 32-bit floats, ffmpeg's f32le. Silence makes the file longer and is not written."""
        with path.open("wb") as file:
            file.write(memoryview(np.ascontiguousarray(self.samples, "<f4")).cast("B"))
            file.truncate(file.tell() + self.silence * self.channels * 4)


def fit_audio(waveform: torch.Tensor, sample_rate: int, seconds: Fraction) -> AudioTrack | None:
    """Cut sound to a length, or let silence follow it.

    Args:
        waveform: (B, C, T) float in -1..1; the first of the batch is used.
        sample_rate: samples a second.
        seconds: length of the clip.

    Returns:
        The sound, or None when there is nothing to hear (no batch, channel or sample, or a clip shorter than a sample).

    Raises:
        ValueError: the shape or the rate makes no sense.
    """
    if waveform.ndim != 3 or sample_rate <= 0:
        raise ValueError(
            f"Audio of shape {tuple(waveform.shape)} at {sample_rate} Hz cannot be used: "
            "give (batch, channels, samples) and a rate above 0."
        )
    wanted = round(seconds * sample_rate)
    if waveform.numel() == 0 or wanted == 0:
        return None
    cut = waveform[0, :, :wanted].detach().to("cpu", torch.float32).nan_to_num(0.0, 1.0, -1.0)
    return AudioTrack(np.ascontiguousarray(cut.numpy().T), sample_rate, wanted - cut.shape[1])
