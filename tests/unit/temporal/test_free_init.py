"""FreeInit's filters, mixing and schedules; comparisons with references are in tests/parity."""

import math

import pytest
import torch

from zoetrope.temporal.free_init import FILTERS, FreeInitSettings, low_pass, mix_frequencies


def noise(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("kind", "at_cutoff", "above"),
    [
        ("butterworth", 1 / 2, 1 / (1 + 4**4)),
        ("gaussian", math.exp(-0.5), math.exp(-2)),
        ("ideal", 1, 0),
        ("box", 1, 0),
    ],
)
def test_filters_at_the_cutoff_and_at_twice_the_cutoff(kind, at_cutoff, above):
    """16 pixels and 8 frames: bin 2 over the picture is 2 / 8 of the highest frequency, bin 1 over time is 1 / 4."""
    kept = low_pass(FreeInitSettings(kind=kind, spatial_cutoff=0.25, temporal_cutoff=0.25), 8, 16, 16)
    assert kept.shape == (8, 1, 16, 9)
    assert kept[0, 0, 0, 0] == 1
    for row in (kept[0, 0, 0], kept[0, 0, :, 0]):
        assert row[2].item() == pytest.approx(at_cutoff) and row[4].item() == pytest.approx(above)
    assert kept[1, 0, 0, 0].item() == pytest.approx(at_cutoff)
    assert kept[-1, 0, 0, 0].item() == pytest.approx(at_cutoff)
    assert kept[2, 0, 0, 0].item() == pytest.approx(above)


def test_box_keeps_corners_that_ideal_cuts():
    box, ideal = (low_pass(FreeInitSettings(kind=kind), 8, 16, 16) for kind in ("box", "ideal"))
    assert box[1, 0, 2, 2] == 1 and ideal[1, 0, 2, 2] == 0


@pytest.mark.parametrize("kind", FILTERS)
def test_cutoffs_of_zero_keep_nothing_and_a_filter_is_the_same_both_ways(kind):
    for spatial, temporal in ((0.0, 0.25), (0.25, 0.0)):
        settings = FreeInitSettings(kind=kind, spatial_cutoff=spatial, temporal_cutoff=temporal)
        assert not low_pass(settings, 4, 6, 8).any()
    kept = low_pass(FreeInitSettings(kind=kind), 7, 9, 10)
    assert torch.equal(kept[1:], kept[1:].flip(0)) and torch.equal(kept[:, :, 1:], kept[:, :, 1:].flip(2))


@pytest.mark.parametrize("shape", [(8, 4, 16, 16), (7, 4, 9, 11), (1, 4, 8, 7)])
def test_mixing_takes_all_from_one_or_all_from_the_other(shape):
    low, high = noise(1, *shape), noise(2, *shape)
    kept = low_pass(FreeInitSettings(), shape[0], *shape[2:])
    assert torch.allclose(mix_frequencies(low, high, torch.ones_like(kept)), low, atol=1e-5)
    assert torch.equal(mix_frequencies(low, high, torch.zeros_like(kept)), high)


def test_slow_waves_come_from_the_one_and_fast_waves_from_the_other():
    time, row = torch.arange(16.0).view(-1, 1, 1, 1), torch.arange(32.0).view(1, 1, -1, 1)
    space = torch.zeros(16, 4, 32, 32)
    slow = space + torch.cos(2 * torch.pi * time / 16)  # one turn a clip: 1 / 8 of the highest frequency
    fast = space + torch.cos(2 * torch.pi * 12 * row / 32)  # 12 / 16 of the highest
    kept = low_pass(FreeInitSettings(), 16, 32, 32)
    assert torch.allclose(mix_frequencies(slow + fast, space, kept), slow, atol=0.01)
    assert torch.allclose(mix_frequencies(space, slow + fast, kept), fast, atol=0.01)


def test_noise_mixed_with_noise_stays_unit_noise():
    """An ideal filter takes every frequency from exactly one of the two."""
    kept = low_pass(FreeInitSettings(kind="ideal"), 16, 32, 32)
    mixed = mix_frequencies(noise(1, 16, 4, 32, 32), noise(2, 16, 4, 32, 32), kept)
    assert mixed.std() == pytest.approx(1.0, abs=0.01)  # 65536 values: known to 0.3 %


@pytest.mark.parametrize(
    ("iterations", "steps", "counts"), [(3, 20, [6, 13, 20]), (3, 4, [1, 2, 4]), (5, 2, [1, 1, 1, 1, 2]), (1, 8, [8])]
)
def test_fast_takes_a_growing_share_of_the_steps(iterations, steps, counts):
    """20 steps in 3 iterations: 20 / 3, 40 / 3, 20, cut to whole steps and at least one."""
    levels = FreeInitSettings(iterations=iterations, fast=True).levels(steps)
    assert [len(visited) - 1 for visited in levels] == counts
    assert all(visited[0] == 0 and visited[-1] == steps and visited == sorted(set(visited)) for visited in levels)
    gaps = [b - a for a, b in zip(levels[0], levels[0][1:], strict=False)]
    assert max(gaps) - min(gaps) <= 1
    assert FreeInitSettings(iterations=iterations).levels(steps) == [list(range(steps + 1))] * iterations


def test_a_run_without_steps_has_none():
    assert FreeInitSettings(iterations=2, fast=True).levels(0) == [[0], [0]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (FreeInitSettings(kind="sinc"), "filter 'sinc'; choose one of butterworth, gaussian, ideal, box"),
        (FreeInitSettings(iterations=0), "iterations 0 must be at least 1"),
        (FreeInitSettings(order=0), "order 0 must be at least 1"),
        (FreeInitSettings(spatial_cutoff=1.2), "spatial_cutoff 1.2 must lie between 0 and 1"),
        (FreeInitSettings(temporal_cutoff=-0.1), "temporal_cutoff -0.1 must lie between 0 and 1"),
    ],
)
def test_wrong_settings_are_refused_in_words(settings, message):
    with pytest.raises(ValueError, match=message):
        settings.validate()
