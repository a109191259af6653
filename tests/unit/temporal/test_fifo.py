"""The queue of FIFO sampling against a loop that is written out slot by slot.

Shapes: F = frames of a window, S = slots of the queue, C = latent channels, H, W = latent size.
"""

from dataclasses import replace

import pytest
import torch

from zoetrope.temporal.fifo import SAMPLERS, Fifo, FifoSettings
from zoetrope.temporal.noise import frame_noise

SHAPE = (2, 3, 3)
SMALL = FifoSettings(frames=9, window=4, partitions=3, seed=7)


def renoise(sigma, noise, clean, alone):
    """As the host's EPS: ComfyUI ``comfy/model_sampling.py``."""
    sigma = sigma.view(-1, 1, 1, 1)
    return clean + noise * ((1 + sigma**2).sqrt() if alone else sigma)


def predict(x, sigmas, frames):
    """A model whose frames depend on their neighbours, place in the window, noise level and number."""
    place = torch.arange(len(x), dtype=x.dtype).view(-1, 1, 1, 1)
    number = torch.tensor(frames, dtype=x.dtype).view(-1, 1, 1, 1)
    level = sigmas.view(-1, 1, 1, 1)
    return x / (1 + level) * 0.6 + x.roll(1, 0) / (2 + level) * 0.2 + 0.01 * place + 0.1 * torch.sin(number)


def levels(settings):
    return torch.cat([torch.linspace(14.0, 0.05, settings.levels), torch.zeros(1)]).double()


def clip_of(settings):
    return torch.randn((settings.window, *SHAPE), generator=torch.Generator().manual_seed(1)).double()


def run(settings, clip=None):
    fifo = Fifo(settings, levels(settings), renoise)
    fifo.fill(clip_of(settings) if clip is None else clip)
    frames = [fifo.iterate(predict) for _ in range(settings.iterations)]
    return torch.cat(frames[settings.warm_up :])


def written_out(settings):
    """Algorithms 1 and 2 of FIFO-Diffusion (arXiv 2405.11473), one slot and one Euler step at a time.

    Noise levels are ComfyUI's sigmas: a latent of the paper is this one over sqrt(1 + sigma^2). Nothing is left out at
    the end of the clip.
    """
    f, n, falling, clip = settings.window, settings.partitions, levels(settings).tolist(), clip_of(settings)
    half = f // 2 if settings.lookahead else 0
    rising = falling[::-1]  # rising[k + 1] is the level of slot k, rising[k] what is left after its step

    def eps(number):
        return frame_noise(settings.seed, [number], SHAPE)[0].double()

    queue = []  # of (number, latent)
    for slot in range(-half, n * f):
        number = slot - (n * f - f)
        picture = clip[max(0, slot - (n * f - f))]
        queue.append((number, picture + rising[max(slot, 0) + 1] * eps(number)))
    made = []
    for _ in range(settings.frames + n * f - f):
        new = list(queue)
        for start in range(-half, n * f - half if half else n * f, half or f):
            slots = range(start, start + f)
            numbers = [queue[slot + half][0] for slot in slots]
            inside = [min(max(number, 0), settings.frames - 1) for number in numbers]
            x = torch.stack([queue[slot + half][1] for slot in slots])
            sigmas = torch.tensor([rising[max(slot, 0) + 1] for slot in slots]).double()
            denoised = predict(x, sigmas, inside)
            for place, slot in enumerate(slots):
                if place >= half:
                    ratio = rising[slot] / rising[slot + 1]
                    new[slot + half] = (numbers[place], denoised[place] + ratio * (x[place] - denoised[place]))
        number, latent = new[half]
        if number >= 0:
            made.append(latent)
        last = queue[-1][0] + 1
        queue = [*new[1:], (last, (1 + falling[0] ** 2) ** 0.5 * eps(last))]
    return torch.stack(made)


@pytest.mark.parametrize("lookahead", [True, False])
@pytest.mark.parametrize("frames", [1, 9, 30])
def test_equals_the_papers_loop(lookahead, frames):
    settings = replace(SMALL, frames=frames, lookahead=lookahead)
    assert torch.allclose(run(settings), written_out(settings), rtol=0, atol=1e-10)


def test_lookahead_changes_the_clip_and_the_noisier_half_is_kept():
    assert not torch.allclose(run(SMALL), run(replace(SMALL, lookahead=False)))
    assert SMALL.blocks(0) == [(0, 2), (2, 4), (4, 6), (6, 8), (8, 10), (10, 12)]
    assert replace(SMALL, lookahead=False).blocks(0) == [(0, 0), (4, 4), (8, 8)]


def test_work_and_memory_do_not_grow_with_the_clip():
    """Windows an iteration: two a partition with lookahead, less at the end; never more frames than a queue."""
    calls, sizes = [], []

    def watched(x, sigmas, frames):
        calls.append(frames)
        sizes.append(len(x))
        return predict(x, sigmas, frames)

    for frames in (20, 40):
        settings = replace(SMALL, frames=frames)
        fifo = Fifo(settings, levels(settings), renoise)
        fifo.fill(clip_of(settings))
        calls.clear()
        for _ in range(settings.iterations):
            fifo.iterate(watched)
            assert len(fifo.queue) == settings.slots == 14
        assert len(calls) == 6 * settings.iterations - (5 + 4 + 3 + 2 + 1)
    assert set(sizes) == {4}


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_a_longer_clip_begins_with_the_shorter_one(sampler):
    """Only the numbers that a model sees for frames behind the end differ, so the model here does not look at them."""
    short, long = (replace(SMALL, frames=frames, sampler=sampler) for frames in (5, 12))

    def runs(settings):
        fifo = Fifo(settings, levels(settings), renoise)
        fifo.fill(clip_of(settings))
        frames = [fifo.iterate(lambda x, s, _: predict(x, s, [0] * len(x))) for _ in range(settings.iterations)]
        return torch.cat(frames[settings.warm_up :])

    assert torch.equal(runs(short), runs(long)[:5])


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_a_perfect_model_ends_in_its_picture(sampler):
    """Whatever the sampler, the last step goes to level 0, where nothing but the expected frame is left."""
    picture = torch.randn(SHAPE, generator=torch.Generator().manual_seed(2)).double()
    settings = replace(SMALL, sampler=sampler)
    fifo = Fifo(settings, levels(settings), renoise)
    clip = fifo.first_clip(lambda x, s, f: picture.expand_as(x), clip_of(settings))
    fifo.fill(clip)
    made = torch.cat([fifo.iterate(lambda x, s, f: picture.expand_as(x)) for _ in range(settings.iterations)])
    assert torch.allclose(clip, picture.expand_as(clip))
    assert torch.allclose(made, picture.expand_as(made))


@pytest.mark.parametrize("sampler", ["euler_ancestral", "lcm"])
def test_no_noise_is_used_twice(sampler):
    drawn = []

    class Watched(Fifo):
        def noise(self, numbers, like, draws=None):
            drawn.extend(zip(numbers, draws or [0] * len(numbers), strict=True))
            return super().noise(numbers, like, draws)

    settings = replace(SMALL, sampler=sampler)
    fifo = Watched(settings, levels(settings), renoise)
    fifo.fill(fifo.first_clip(predict, clip_of(settings)))
    for _ in range(settings.iterations):
        fifo.iterate(predict)
    assert len(drawn) == len(set(drawn)) > settings.iterations * settings.levels / 2


@pytest.mark.parametrize("sampler", ["euler_ancestral", "lcm"])
def test_steps_with_fresh_noise_keep_it_at_its_level(sampler):
    """Euler down plus fresh noise up has the variance of the next level: sigma_down^2 + sigma_up^2 = sigma_next^2."""
    now, after = torch.tensor([10.0, 3.0]), torch.tensor([6.0, 2.9])
    noise = torch.randn((2, 4, 200, 200), generator=torch.Generator().manual_seed(3))
    fresh = torch.randn((2, 4, 200, 200), generator=torch.Generator().manual_seed(4))
    x = noise * now.view(-1, 1, 1, 1)
    stepped = SAMPLERS[sampler](x, torch.zeros_like(x), now, after, lambda: fresh, renoise)
    assert torch.allclose(stepped.flatten(1).std(1), after, rtol=0.01)
    assert not torch.allclose(stepped, x / now.view(-1, 1, 1, 1) * after.view(-1, 1, 1, 1), atol=0.5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"frames": 0}, "frames 0 must be at least 1"),
        ({"partitions": 0}, "partitions 0 must"),
        ({"window": 1}, "window 1 must be at least 2"),
        ({"window": 5}, "use 4 or 6 frames, or switch lookahead off"),
        ({"sampler": "heun"}, "Unknown sampler 'heun'; choose one of euler"),
    ],
)
def test_impossible_settings_are_named(change, words):
    with pytest.raises(ValueError, match=words):
        replace(SMALL, **change).validate()
