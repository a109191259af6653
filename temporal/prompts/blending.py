"""Prompts as the text encoder gives them: brought to one length, and what lies between two of them.

Shapes: T = tokens, D = width of a token's vector.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ...inputs.quoting import plain

LONGEST = 4  # the common length in lengths of the longest prompt; core stops padding prompts at the same factor
NEARLY_STRAIGHT = 1e-3  # sine of an angle below which the arc is the line, to float32's precision


def same_length(prompts: Sequence[Tensor]) -> list[Tensor]:
    """Prompts of one number of tokens, without diluting the short ones.

    Args:
        prompts: (1, T, D) each, T may differ.

    Returns:
        Each repeated as a whole to the least common multiple of the lengths. Cross-attention is a mean over tokens whose
        weights sum to 1, so that a prompt repeated k times acts exactly as it does once.

    Raises:
        ValueError: the common length would be more than LONGEST times the longest prompt.

    Source:
        ComfyUI ``comfy/conds.py``, ``CONDCrossAttn.concat``, does the same to prompts in one call.
    """
    lengths = sorted({prompt.shape[1] for prompt in prompts})
    common = math.lcm(*lengths)
    if common > LONGEST * lengths[-1]:
        raise ValueError(
            f"The prompts of the schedule are {', '.join(map(str, lengths))} tokens long, which only fit together at "
            f"{plain(common)} tokens; shorten the longest so that fewer lengths are left (CLIP makes chunks of 77)."
        )
    return [prompt.repeat(1, common // prompt.shape[1], 1) for prompt in prompts]


def linear(first: Tensor, second: Tensor, share: float) -> Tensor:
    """``1 - share`` of one and ``share`` of the other."""
    return torch.lerp(first, second, share)


def slerp(first: Tensor, second: Tensor, share: float) -> Tensor:
    """Along the arc between two vectors, for each vector of the last axis; lengths go over linearly.

    Args:
        first: (..., D).
        second: (..., D).
        share: 0 to 1 of the angle.

    Returns:
        (..., D). Vectors in line with each other, and zero, have no arc: there it is the line.

    Source:
        Shoemake, Animating Rotation with Quaternion Curves (SIGGRAPH 1985), formula for unit vectors.
    """
    a, b = normalize(first.float(), dim=-1), normalize(second.float(), dim=-1)
    angle = (a * b).sum(-1, keepdim=True).clamp(-1, 1).acos()
    sine = angle.sin()
    arc = (a * ((1 - share) * angle).sin() + b * (share * angle).sin()) / sine.clamp_min(NEARLY_STRAIGHT)
    length, end_length = (x.float().square().sum(-1, keepdim=True).sqrt() for x in (first, second))
    curved = (sine > NEARLY_STRAIGHT) & (length > 0) & (end_length > 0)
    line = linear(first, second, share)
    return torch.where(curved, arc * torch.lerp(length, end_length, share), line.float()).to(first.dtype)


BLENDS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {"linear": linear, "slerp": slerp}
