"""Which sampling step a UNet call belongs to."""

import torch
from torch import Tensor


def sampling_step(options: dict, timestep: Tensor) -> tuple[int, int]:
    """Number of the sampling step from 0, and how many steps the sampler makes.

    A sampler that looks at noise levels between two steps is in the step that encloses them.

    Args:
        options: transformer_options with ``sample_sigmas``, the noise levels of all steps and the last one's result.
        timestep: (N,) sigmas of the call.
    """
    sigmas = options.get("sample_sigmas")
    if sigmas is None:
        return 0, 1
    current = timestep[0].to(sigmas)
    exact = torch.isclose(sigmas, current, rtol=1e-4).nonzero()
    step = int(exact[0]) if len(exact) else int((sigmas > current).sum()) - 1
    steps = max(len(sigmas) - 1, 1)
    return min(max(step, 0), steps - 1), steps
