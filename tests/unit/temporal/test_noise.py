"""Noise shared between frames: which frame gets whose, and that it stays noise."""

import pytest
import torch

from zoetrope.temporal.noise import (
    NoiseSettings,
    clip_noise,
    derived_seed,
    draw_like,
    frame_noise,
    noise_sources,
    share,
)


def drawn(frames=4, seed=1, size=64):
    return draw_like(torch.zeros(frames, 4, size, size), seed)


def correlation(a, b):
    return float((a * b).mean())


def test_freenoise_repeats_shuffled_groups_of_one_window_earlier():
    """By the paper: frames 4-6 are frames 0-2 shuffled, 7-9 are 3-5 as they are now shuffled, the rest is cut."""
    sources = noise_sources(NoiseSettings(length=4, overlap=1), 12, seed=3)
    assert sources[:4] == [0, 1, 2, 3]
    assert sorted(sources[4:7]) == [0, 1, 2]
    assert sorted(sources[7:10]) == sorted(sources[3:6])
    assert sorted(sources[10:]) == sorted(sources[6:8])
    assert len(sources) == 12 and sources != noise_sources(NoiseSettings(length=4, overlap=1), 12, seed=4)


def test_other_types():
    assert noise_sources(NoiseSettings(kind="repeated", length=3), 7, 0) == [0, 1, 2, 0, 1, 2, 0]
    assert noise_sources(NoiseSettings(kind="constant"), 3, 0) == [0, 0, 0]
    assert noise_sources(NoiseSettings(kind="default"), 3, 0) == [0, 1, 2]
    assert noise_sources(NoiseSettings(kind="freenoise", length=16), 16, 0) == list(range(16))


@pytest.mark.parametrize("kind", ["freenoise", "repeated", "constant"])
def test_blend_goes_from_the_runs_noise_to_shared_noise_at_constant_strength(kind):
    noise = drawn(frames=8)
    settings = NoiseSettings(kind=kind, length=3, overlap=1)
    whole = clip_noise(settings, noise, 1)
    assert torch.equal(whole, noise[noise_sources(settings, 8, 1)]) and not torch.equal(whole, noise)
    assert torch.equal(clip_noise(NoiseSettings(kind=kind, blend=0.0, length=3, overlap=1), noise, 1), noise)
    half = clip_noise(NoiseSettings(kind=kind, blend=0.3, length=3, overlap=1), noise, 1)
    for frame in range(8):
        assert half[frame].std() == pytest.approx(1.0, abs=0.03)
    # weights are square roots: a frame holds sqrt(0.3) of what it shares
    assert correlation(half[7], whole[7]) == pytest.approx(0.3**0.5, abs=0.03)
    assert correlation(half[7], noise[7]) == pytest.approx(0.7**0.5, abs=0.03)


def test_frames_with_equal_noise_are_not_made_louder():
    """Repeated batch indexes give frames the same noise; a weighted sum of the two would have variance 2."""
    noise = drawn(2)[[0, 0, 1, 1]]
    mixed = share(noise, [0, 0, 0, 2], 0.5)
    assert torch.equal(mixed[[0, 1, 3]], noise[[0, 1, 3]])
    assert mixed[2].std() == pytest.approx(1.0, abs=0.03)


def test_a_frame_with_its_own_seed_is_the_image_of_that_seed_in_a_clip_of_any_length():
    settings = NoiseSettings(kind="default", frame_seeds=True)
    short, long = (clip_noise(settings, drawn(frames), 10) for frames in (3, 9))
    assert torch.equal(long[:3], short)
    assert torch.equal(long[7:8], draw_like(torch.zeros(1, 4, 64, 64), 17))
    moved = clip_noise(NoiseSettings(kind="default", frame_seeds=True, seed_offset=2), drawn(3), 10)
    assert torch.equal(moved[:1], short[2:3])


def test_seed_offset_is_a_run_with_another_seed():
    for kind in ("default", "freenoise"):
        offset = clip_noise(NoiseSettings(kind=kind, length=4, overlap=2, seed_offset=5), drawn(8, seed=1), 1)
        assert torch.equal(offset, clip_noise(NoiseSettings(kind=kind, length=4, overlap=2), drawn(8, seed=6), 6))


@pytest.mark.parametrize(("seed", "offset"), [(0, -1), (2**64 - 1, 3)])
def test_seeds_wrap_around_at_both_ends(seed, offset):
    for each in (False, True):
        settings = NoiseSettings(kind="freenoise", length=2, overlap=1, seed_offset=offset, frame_seeds=each)
        assert clip_noise(settings, drawn(5), seed).isfinite().all()


def test_torchs_own_generator_is_left_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    clip_noise(NoiseSettings(length=2, overlap=1, seed_offset=1, frame_seeds=True), drawn(), 5)
    assert torch.equal(torch.rand(3), expected)


def test_derived_seeds_differ_by_seed_and_purpose():
    seeds = {derived_seed(seed, purpose) for seed in (0, 1, 2**64 - 1) for purpose in ("a", "b")}
    assert len(seeds) == 6 and all(0 <= seed < 2**64 for seed in seeds)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (NoiseSettings(kind="pink"), "noise_type 'pink'; choose one of default, freenoise"),
        (NoiseSettings(blend=1.5), "blend 1.5 must lie between 0 and 1"),
        (NoiseSettings(length=0), "window_length 0 must be at least 1"),
        (NoiseSettings(length=4, overlap=4), "window_overlap 4 must be smaller than window_length 4"),
    ],
)
def test_wrong_settings_are_refused_in_words(settings, message):
    with pytest.raises(ValueError, match=message):
        settings.validate()


def test_only_freenoise_minds_the_overlap():
    NoiseSettings(kind="repeated", length=2, overlap=4).validate()


def test_noise_belongs_to_seed_frame_and_draw():
    shape = (4, 8, 8)
    whole = frame_noise(3, range(-2, 6), shape)
    assert torch.equal(whole[3:5], frame_noise(3, [1, 2], shape))
    others = [frame_noise(4, [1], shape), frame_noise(3, [1], shape, [1]), frame_noise(1, [3], shape)]
    for other in others:
        assert not torch.equal(whole[3:4], other)
    assert torch.equal(frame_noise(3, [5, 1], shape, [0, 1]), torch.cat([whole[7:8], others[1]]))


def test_noise_is_gaussian_and_frames_are_unrelated():
    """Bounds are five standard errors of mean, variance and correlation of 4096 numbers a frame."""
    noise = frame_noise(0, range(64), (4, 32, 32)).flatten(1)
    assert noise.mean(1).abs().max() < 5 / 64
    assert (noise.var(1) - 1).abs().max() < 5 * (2 / 4096) ** 0.5
    assert torch.corrcoef(noise).fill_diagonal_(0).abs().max() < 5 / 64
