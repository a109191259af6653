"""Nodes that keep something from one UNet call to the next and cannot work where a step has many calls."""

from collections.abc import Mapping
from typing import Any

# The function that core's Self-Attention Guidance puts in place of the first attention of the middle block.
_SAG = "attn_and_record"


def refuse_in_windows(model_options: Mapping[str, Any]) -> None:
    """Refuse what would go wrong in windows.

    Raises:
        ValueError: Self-Attention Guidance, which blurs each frame by the attention of the UNet call that was last.
    """
    replaced = model_options.get("transformer_options", {}).get("patches_replace", {}).get("attn1", {})
    if any(_SAG in getattr(function, "__qualname__", "") for function in replaced.values()):
        raise ValueError(
            "Self-Attention Guidance keeps the attention of one UNet call, and Context Windows make several in a step: "
            "use Perturbed-Attention Guidance, or leave one of the two out."
        )
