"""Loudness of a sound, frame by frame of a clip.

Shapes: S = samples, F = frames of the clip, W = samples of an analysis window.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ...inputs.quoting import quoted
from .frame_values import between

# Lower and upper edge in Hz. Below 20 Hz there is nothing to hear, and a recording's offset lies at 0 Hz.
BANDS: dict[str, tuple[float, float]] = {
    "all": (20.0, math.inf),
    "low": (20.0, 250.0),
    "mid": (250.0, 4000.0),
    "high": (4000.0, math.inf),
}
SHORTEST_WINDOW = 0.05  # seconds, one period of 20 Hz
FRAMES_AT_ONCE = 128  # keeps the memory of the analysis at some ten megabytes however long the sound is
SILENCE = 0.001  # share of the loudest frame's loudness, -60 dB
INAUDIBLE = 1e-4  # loudness of a clip, -80 dB of full scale: rounding noise, or what leaks from another band
STEADY = 0.9  # a sound whose loudness stays above this share of its peak counts as steadily loud


@dataclass(frozen=True)
class AudioValues:
    """Values that follow a sound.

    Attributes:
        loudness: of each frame of the sound; frames behind its end are silent.
        low: value of silence, or of the clip's quietest frames.
        high: value of the clip's loudest frames.
        smoothing: share of the last frame's value that stays while the sound fades; rises are not smoothed, so that
            peaks stay at their frames.
    """

    loudness: tuple[float, ...]
    low: float = 0.0
    high: float = 1.0
    smoothing: float = 0.0

    def at(self, total_frames: int) -> list[float]:
        """One value per frame; quiet and loud are what they are within these frames."""
        heard = normalised(self.loudness[:total_frames])
        values: list[float] = []
        level = 0.0
        for share in heard + [0.0] * (total_frames - len(heard)):
            level = max(share, self.smoothing * level + (1 - self.smoothing) * share)
            values.append(between(self.low, self.high, level))
        return values


def normalised(loudness: tuple[float, ...]) -> list[float]:
    """Loudness from 0 (quiet) to 1 (loud), cut at both ends.

    Loud is the 95th percentile of the frames with sound in them, so that a single bang does not decide. Quiet is the
    5th percentile of all frames, but at most `STEADY` of loud: a steady sound is loud throughout. A silent clip is 0.
    """
    peak = max(loudness, default=0.0)
    if peak < INAUDIBLE:
        return [0.0] * len(loudness)
    loud = percentile([level for level in loudness if level > SILENCE * peak], 0.95)
    quiet = min(percentile(loudness, 0.05), STEADY * loud)
    return [min(max((level - quiet) / (loud - quiet), 0.0), 1.0) for level in loudness]


def percentile(numbers: Sequence[float], share: float) -> float:
    """The number that is larger than ``share`` (0 to 1) of the others, interpolated between neighbours."""
    ordered = sorted(numbers)
    position = share * (len(ordered) - 1)
    lower = int(position)
    return between(ordered[lower], ordered[min(lower + 1, len(ordered) - 1)], position - lower)


def frame_loudness(waveform: Tensor, sample_rate: int, frame_rate: float, band: str = "all") -> tuple[float, ...]:
    """RMS of a band of a sound around the middle of each frame.

    Args:
        waveform: (channels, S) or (S,) samples; channels are averaged.
        sample_rate: samples in a second.
        frame_rate: frames in a second.
        band: one of `BANDS`.

    Returns:
        F = ceil(S * frame_rate / sample_rate) numbers, at least one; a sine of amplitude 1 in the band has 0.707.

    Raises:
        ValueError: the frame rate is not above 0, the band is unknown, or the sound is sampled too coarsely for it.

    Source:
        Parseval's theorem for a Hann window of two frames around the frame's middle: RMS^2 = 2 sum |X_k|^2 /
        (W sum w^2) over the band. A window of two frames sees every sample with at least half its amplitude.
    """
    low, high = band_edges(band, sample_rate)
    if not frame_rate > 0:
        raise ValueError(f"frame_rate is {frame_rate}; give the frames per second of the clip, for example 8.")
    mono = (waveform.mean(0) if waveform.ndim > 1 else waveform).float().cpu().numpy()
    per_frame = sample_rate / frame_rate
    width = round(max(2 * per_frame, SHORTEST_WINDOW * sample_rate))
    window = np.sin(np.pi * np.arange(width) / width) ** 2
    hertz = np.fft.rfftfreq(width, 1 / sample_rate)
    inside = (hertz >= low) & (hertz < high)
    scale = 2 / (width * np.square(window).sum())
    padded = np.zeros(len(mono) + 2 * width + math.ceil(per_frame), dtype=np.float32)
    padded[width : width + len(mono)] = mono
    middles = (np.arange(max(1, math.ceil(len(mono) / per_frame))) + 0.5) * per_frame
    starts = np.rint(width + middles - width / 2).astype(int)
    loudness: list[float] = []
    for first in range(0, len(starts), FRAMES_AT_ONCE):
        pieces = padded[starts[first : first + FRAMES_AT_ONCE, None] + np.arange(width)] * window
        power = np.square(np.abs(np.fft.rfft(pieces)[:, inside])).sum(1)
        loudness += np.sqrt(power * scale).tolist()
    return tuple(loudness)


def band_edges(band: str, sample_rate: int) -> tuple[float, float]:
    """Lower and upper edge of a band in Hz.

    Raises:
        ValueError: the band is unknown, or lies above what the sample rate can hold.
    """
    if band not in BANDS:
        raise ValueError(f"Unknown band {quoted(band)}; choose one of {', '.join(BANDS)}.")
    low, high = BANDS[band]
    if low >= sample_rate / 2:
        raise ValueError(
            f"band {quoted(band)} begins at {low:g} Hz, but audio of {sample_rate} samples per second holds nothing above "
            f"{sample_rate / 2:g} Hz; choose another band."
        )
    return low, high
