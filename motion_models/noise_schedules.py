"""Noise schedules ("beta schedules") that motion models were trained on.

Names follow ComfyUI, where ``sqrt_linear`` is what diffusers calls ``linear`` (betas in a straight line)
and ``linear`` is what diffusers calls ``scaled_linear`` (square roots of betas in a straight line).
"""

from dataclasses import dataclass

START = 0.00085  # first beta of every schedule


@dataclass(frozen=True)
class BetaSchedule:
    """One noise schedule.

    Attributes:
        betas: ComfyUI's name of the curve, for ``make_beta_schedule``.
        end: last beta; the first is `START`.
        lcm_steps: 0, or the number of steps that the LCM teacher was sampled with.
    """

    betas: str
    end: float = 0.012
    lcm_steps: int = 0


# Sources: noise_scheduler_kwargs of guoyww/AnimateDiff configs/inference (main and sdxl branches) and of AnimateLCM;
# `lcm` is what ComfyUI's own ModelSamplingDiscrete makes of SD1.5.
BETA_SCHEDULES = {
    "sqrt_linear": BetaSchedule("sqrt_linear"),
    "linear": BetaSchedule("linear"),
    "linear_sdxl_beta": BetaSchedule("linear", end=0.020),
    "lcm": BetaSchedule("linear", lcm_steps=50),
    "lcm_100": BetaSchedule("sqrt_linear", lcm_steps=100),
    "lcm_i2v": BetaSchedule("sqrt_linear", end=0.014, lcm_steps=200),
}
