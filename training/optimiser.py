"""AdamW with a warm-up, clipping, an average of the weights, and steps that are left out where a gradient is no number.

All of its state is tensors by name, so that a file can hold it.

Shapes: any; of a weight, and of what is kept for it the same.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from .loss_scale import LossScale
from .settings import TrainingSettings
from .state_file import AVERAGE, MOMENT_1, MOMENT_2, WEIGHTS

BETAS, EPSILON = (0.9, 0.999), 1e-8
MOST_BAD_STEPS = 10  # without a gradient of finite numbers, in a row


class Optimiser:
    """Weights that learn, and what AdamW keeps for each.

    Args:
        weights: float32 leaves by name; they are changed in place.
        settings: rate, warm-up, decay, clipping and average.
        scale: of the loss; gradients are divided by it.

    Source:
        Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization"; guoyww/AnimateDiff ``train.py`` for its
        numbers.
    """

    def __init__(self, weights: Mapping[str, Tensor], settings: TrainingSettings, scale: LossScale) -> None:
        self.weights, self.settings, self.scale = dict(weights), settings, scale
        self.adam = torch.optim.AdamW(
            list(self.weights.values()),
            lr=settings.learning_rate,
            betas=BETAS,
            eps=EPSILON,
            weight_decay=settings.weight_decay,
        )
        self.updates = 0  # steps that changed the weights
        self.bad_steps = 0  # in a row
        self.average = {n: w.detach().clone() for n, w in self.weights.items()} if settings.ema else {}

    def rate(self, step: int) -> float:
        """Learning rate of a step from 0: constant after a linear rise."""
        settings = self.settings
        return settings.learning_rate * min(1.0, (step + 1) / (settings.warm_up + 1))

    def step(self, step: int) -> bool:
        """Change the weights by their gradients, which are gone afterwards.

        Returns:
            Whether it was done; not where a gradient holds a number that is none, as half precision gives now and then.

        Raises:
            ValueError: that happened too often in a row.
        """
        gradients = [weight.grad for weight in self.weights.values() if weight.grad is not None]
        for gradient in gradients:
            gradient.div_(self.scale.value)
        norm = _norm(gradients)
        good = math.isfinite(norm)
        if good:
            self._update(step, gradients, norm)
        self.adam.zero_grad(set_to_none=True)
        self.scale.update(good)
        self.bad_steps = 0 if good else self.bad_steps + 1
        if self.bad_steps >= MOST_BAD_STEPS:
            raise ValueError(
                f"The gradients were no finite numbers in {MOST_BAD_STEPS} steps in a row (up to step {step + 1}), so nothing "
                f"is learnt any more; start anew with a lower learning_rate than {self.settings.learning_rate:g} or with "
                "precision bf16 or fp32. What was saved before is whole."
            )
        return good

    def _update(self, step: int, gradients: list[Tensor], norm: float) -> None:
        limit = self.settings.clip_norm
        if limit and norm > limit:
            for gradient in gradients:
                gradient.mul_(limit / (norm + 1e-6))  # as torch's clip_grad_norm_ has it
        for group in self.adam.param_groups:
            group["lr"] = self.rate(step)
        self.adam.step()  # pyright: ignore[reportUnknownMemberType]
        self.updates += 1
        self._follow()

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards the weights; the first steps move it further, as they have little to do with each other.

        Source: TensorFlow ``ExponentialMovingAverage`` with ``num_updates``.
        """
        decay = min(self.settings.ema, (1 + self.updates) / (10 + self.updates))
        for name, average in self.average.items():
            average.lerp_(self.weights[name].detach(), 1 - decay)

    def learnt(self) -> dict[str, Tensor]:
        """The weights to write and to use: their average where there is one."""
        return {name: weight.detach() for name, weight in (self.average or self.weights).items()}

    def state(self) -> dict[str, Tensor]:
        """Everything to go on from, by part and name; the tensors themselves."""
        state = {f"{WEIGHTS}/{name}": weight.detach() for name, weight in self.weights.items()}
        state |= {f"{AVERAGE}/{name}": average for name, average in self.average.items()}
        for name, weight in self.weights.items():
            if own := self.adam.state.get(weight):
                state |= {f"{MOMENT_1}/{name}": own["exp_avg"], f"{MOMENT_2}/{name}": own["exp_avg_sq"]}
        return state

    def numbers(self) -> dict[str, float]:
        """What else there is to go on from."""
        return {"updates": self.updates, "bad_steps": self.bad_steps, **self.scale.numbers()}

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor], numbers: Mapping[str, float]) -> None:
        """Go on from what `state` and `numbers` gave."""
        self.updates, self.bad_steps = int(numbers["updates"]), int(numbers["bad_steps"])
        self.scale.load(numbers)
        for name, weight in self.weights.items():
            weight.copy_(state[f"{WEIGHTS}/{name}"])
            if name in self.average:
                self.average[name].copy_(state[f"{AVERAGE}/{name}"])
            if f"{MOMENT_1}/{name}" in state:
                moments = {"exp_avg": state[f"{MOMENT_1}/{name}"], "exp_avg_sq": state[f"{MOMENT_2}/{name}"]}
                self.adam.state[weight] = {
                    "step": torch.tensor(float(self.updates)),
                    **{kind: moment.to(weight, copy=True) for kind, moment in moments.items()},
                }


def _norm(gradients: list[Tensor]) -> float:
    """Length of all gradients as one vector; the device is waited for once."""
    squares = [gradient.double().square().sum() for gradient in gradients]
    return math.sqrt(float(torch.stack(squares).sum())) if squares else 0.0
