"""The optimiser: torch's AdamW step by step, what it leaves out, and its state."""

import pytest
import torch

from zoetrope.training.loss_scale import FIRST_SCALE, GROWTH_INTERVAL, LossScale
from zoetrope.training.optimiser import MOST_BAD_STEPS, Optimiser
from zoetrope.training.settings import TrainingSettings


def made(scale=False, **settings):
    weights = {"a": torch.nn.Parameter(torch.linspace(-1, 1, 6)), "b": torch.nn.Parameter(torch.ones(2, 3))}
    given = {"learning_rate": 0.1, **settings}
    return Optimiser(weights, TrainingSettings(**given), LossScale(scale))


def give(optimiser, step, factor=1.0):
    for number, weight in enumerate(optimiser.weights.values()):
        generator = torch.Generator().manual_seed(10 * step + number)
        weight.grad = torch.randn(weight.shape, generator=generator) * factor


def run(optimiser, steps, first=0):
    for step in range(first, first + steps):
        give(optimiser, step, optimiser.scale.value)
        assert optimiser.step(step)
    return optimiser


def test_it_is_adamw_with_clipping_and_warm_up():
    ours = run(made(warm_up=3, weight_decay=0.02, clip_norm=0.5), 5)
    reference = made()
    weights = list(reference.weights.values())
    adam = torch.optim.AdamW(weights, lr=0.1, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.02)
    for step in range(5):
        give(reference, step)
        torch.nn.utils.clip_grad_norm_(weights, 0.5)
        adam.param_groups[0]["lr"] = 0.1 * min(1, (step + 1) / 4)
        adam.step()
    for name, weight in ours.weights.items():
        assert torch.allclose(weight, reference.weights[name], rtol=0, atol=1e-6)
        assert weight.grad is None


def test_a_loss_scale_changes_nothing_but_the_range():
    plain, scaled = run(made(), 3), run(made(scale=True), 3)
    for name, weight in plain.weights.items():
        assert torch.allclose(weight, scaled.weights[name], rtol=0, atol=1e-6)


def test_a_step_without_numbers_is_left_out_and_the_tenth_ends_it():
    optimiser = run(made(scale=True), 1)
    before = {name: weight.clone() for name, weight in optimiser.weights.items()}
    for step in range(1, MOST_BAD_STEPS):
        give(optimiser, step)
        optimiser.weights["b"].grad[0, 0] = float("inf") if step % 2 else float("nan")
        assert not optimiser.step(step)
    assert all(torch.equal(weight, before[name]) for name, weight in optimiser.weights.items())
    assert optimiser.scale.value == FIRST_SCALE / 2 ** (MOST_BAD_STEPS - 1)
    give(optimiser, MOST_BAD_STEPS, float("nan"))
    with pytest.raises(ValueError, match="10 steps in a row.*learning_rate than 0.1"):
        optimiser.step(MOST_BAD_STEPS)


def test_a_good_step_between_begins_the_count_anew():
    optimiser = made()
    for step in range(3 * MOST_BAD_STEPS):
        give(optimiser, step, float("nan") if step % MOST_BAD_STEPS else 1.0)
        optimiser.step(step)
    assert optimiser.updates == 3


def test_the_scale_grows_after_long_peace():
    scale = LossScale(on=True)
    for _ in range(GROWTH_INTERVAL):
        scale.update(good=True)
    assert (scale.value, scale.good_steps) == (2 * FIRST_SCALE, 0)


def test_the_average_follows_and_is_what_was_learnt():
    optimiser = run(made(ema=0.99), 1)
    first = torch.linspace(-1, 1, 6)
    decay = 2 / 11  # (1 + n) / (10 + n) after the first update
    expected = first * decay + optimiser.weights["a"].detach() * (1 - decay)
    assert torch.allclose(optimiser.learnt()["a"], expected)
    assert torch.equal(run(made(), 1).learnt()["a"], optimiser.weights["a"])


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_its_state_goes_on_to_the_bit(ema):
    whole = run(made(ema=ema, scale=True), 6)
    half = run(made(ema=ema, scale=True), 3)
    state = {name: tensor.clone() for name, tensor in half.state().items()}
    again = made(ema=ema, scale=True)
    again.load(state, half.numbers())
    run(again, 3, first=3)
    assert all(torch.equal(weight, again.weights[name]) for name, weight in whole.weights.items())
    assert all(torch.equal(average, again.average[name]) for name, average in whole.average.items())
