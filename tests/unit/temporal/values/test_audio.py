"""Loudness of sounds whose RMS is known in closed form, and the values made of it."""

import math

import numpy as np
import pytest
import torch

from zoetrope.temporal.values.audio import AudioValues, frame_loudness, percentile

RATE = 16000


def sine(hertz, seconds=2.0, amplitude=1.0, rate=RATE):
    return amplitude * torch.sin(2 * math.pi * hertz * torch.arange(round(seconds * rate)) / rate)


def beats(frames, hits, fps=8.0, hertz=100):
    """A sine that is only heard in the frames ``hits``."""
    sound = sine(hertz, frames / fps)
    per_frame = round(RATE / fps)
    return sound * torch.tensor([float(i // per_frame in hits) for i in range(len(sound))])


@pytest.mark.parametrize(("hertz", "heard"), [(100, "low"), (1000, "mid"), (6000, "high")])
def test_a_sine_has_the_rms_of_a_sine_in_its_own_band_only(hertz, heard):
    for band in ("all", "low", "mid", "high"):
        middle = frame_loudness(sine(hertz, amplitude=0.5), RATE, 8.0, band)[2:-2]
        expected = 0.5 / math.sqrt(2) if band in ("all", heard) else 0.0
        assert middle == pytest.approx([expected] * len(middle), abs=2e-3)


@pytest.mark.parametrize("fps", [7.5, 8, 24, 120])
def test_there_is_a_number_for_every_frame_that_has_begun(fps):
    assert len(frame_loudness(sine(100, 1.01), RATE, fps)) == math.ceil(round(1.01 * RATE) * fps / RATE)


def test_channels_and_sample_rates_do_not_matter():
    mono = frame_loudness(sine(500), RATE, 8)
    assert frame_loudness(sine(500).expand(2, -1), RATE, 8) == pytest.approx(mono)
    assert frame_loudness(sine(500, rate=44100)[None], 44100, 8) == pytest.approx(mono, abs=1e-3)
    assert len(frame_loudness(torch.zeros(1, 0), RATE, 8)) == 1


def test_a_constant_offset_is_not_heard():
    assert max(frame_loudness(torch.ones(RATE * 2), RATE, 8)[2:-2]) < 1e-3


def test_peaks_stay_at_their_frames_and_fade_after_them():
    loudness = frame_loudness(beats(16, {4, 10}), RATE, 8, "low")
    values = AudioValues(loudness, low=0.2, high=1.2, smoothing=0.5).at(16)
    assert [values[4], values[10]] == pytest.approx([1.2, 1.2])
    assert values[:3] == pytest.approx([0.2] * 3)
    assert values[6] > values[7] > values[8] > 0.2
    sharp = AudioValues(loudness).at(16)
    assert sharp[7] == 0.0
    assert sharp[4] == pytest.approx(1.0)


def test_a_beat_is_heard_as_much_before_its_frame_as_after_it():
    loudness = frame_loudness(beats(9, {4}, hertz=200), RATE, 8)
    assert loudness[3] == pytest.approx(loudness[5], rel=1e-2)
    assert loudness[4] > 3 * loudness[3] > 0


def test_frames_shorter_than_a_period_hear_it_whole():
    middle = frame_loudness(sine(40), RATE, 120, "low")[20:-20]
    assert middle == pytest.approx([math.sqrt(0.5)] * len(middle), abs=0.02)


def test_fading_is_exponential():
    faded = AudioValues((0.0, 1.0, 0.0, 0.0), smoothing=0.5).at(4)
    assert faded == pytest.approx([0, 1, 0.5, 0.25])


def test_loud_and_quiet_are_those_of_the_clip():
    """A quiet start is followed as well as a loud one when the clip ends before the sound gets loud."""
    crescendo = AudioValues((0.01, 0.02, 0.01, 0.02, 1.0, 2.0, 1.0, 2.0))
    assert crescendo.at(4) == pytest.approx([0, 1, 0, 1], abs=0.1)
    assert max(crescendo.at(8)[:4]) < 0.05


def test_behind_its_end_a_sound_is_silent():
    values = AudioValues((0.5, 0.5, 0.5), low=-1.0, high=3.0).at(6)
    assert values == pytest.approx([3, 3, 3, -1, -1, -1])


def test_silence_gives_low_and_a_steady_sound_high():
    for silence in (0.0, 5e-5):
        assert AudioValues((silence,) * 5, low=0.3).at(7) == [0.3] * 7
    assert AudioValues((0.2,) * 5, low=0.3, high=0.9).at(5) == pytest.approx([0.9] * 5)
    # 5th percentile 0.9 of loud at most: (0.195 - 0.18) / (0.2 - 0.18)
    assert AudioValues((0.2, 0.195) * 5).at(10) == pytest.approx([1.0, 0.75] * 5)


def test_percentiles_are_numpys():
    numbers = np.random.default_rng(0).random(17)
    for share in (0.0, 0.05, 0.5, 0.95, 1.0):
        assert percentile(numbers.tolist(), share) == pytest.approx(np.quantile(numbers, share))


def test_one_bang_does_not_decide():
    loudness = (*[0.1, 0.2] * 30, 50.0)
    values = AudioValues(loudness).at(61)
    assert values[1] == pytest.approx(1.0)
    assert AudioValues((*[0.0] * 60, 50.0)).at(61) == [0.0] * 60 + [1.0]  # unless all else is silence


@pytest.mark.parametrize(
    ("rate", "fps", "band", "words"),
    [
        (RATE, 0, "all", "frame_rate is 0"),
        (RATE, 8, "bass", "Unknown band 'bass'"),
        (8000, 8, "high", "band 'high' begins at 4000 Hz, but audio of 8000 samples"),
    ],
)
def test_bad_input_is_named(rate, fps, band, words):
    with pytest.raises(ValueError, match=words):
        frame_loudness(sine(100), rate, fps, band)
