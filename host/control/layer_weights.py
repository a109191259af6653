"""Weights of a control's residuals from the shallowest to the deepest, for controls of any family."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...inputs.numbers import LARGEST_WRITTEN, fits
from ...inputs.quoting import quoted
from ...inputs.written import written_pieces

LAYER_PARTS = ("input", "middle", "output")
LAYER_WEIGHTS_EXAMPLE = "output: 0.2, 1, middle: 0.5"


@dataclass(frozen=True)
class LayerWeights:
    """Factors by layer.

    Attributes:
        parts: (UNet part, or '' for all; numbers from the shallowest to the deepest layer, spread over the layers).
        soft: factor between a layer and the next deeper one; 1 is off.

    Source:
        ``soft``: sd-webui-controlnet weights the 13 layers of SD1.5 by 0.825 ** 12 to 0.825 ** 0 in its mode
        "My prompt is more important"; here the same for any number of layers.
    """

    parts: tuple[tuple[str, tuple[float, ...]], ...] = ()
    soft: float = 1.0

    @property
    def neutral(self) -> bool:
        """Whether every weight is 1."""
        return self.soft == 1 and all(number == 1 for _, numbers in self.parts for number in numbers)

    def at(self, layers: Sequence[str]) -> list[float]:
        """One weight per layer.

        Args:
            layers: UNet part of each layer, the shallowest layer first.
        """
        weights = [self.soft ** (len(layers) - 1 - place) for place in range(len(layers))]
        for part, numbers in self.parts:
            places = [place for place, layer in enumerate(layers) if part in ("", layer)]
            for place, number in zip(places, spread(numbers, len(places)), strict=True):
                weights[place] *= number
        return weights

    def unknown(self, layers: Sequence[str]) -> list[str]:
        """Named parts in which the control has no layer."""
        return [part for part, _ in self.parts if part and part not in layers]


def spread(numbers: Sequence[float], count: int) -> list[float]:
    """``numbers`` interpolated to ``count`` evenly spaced ones with the same ends; a lone one lies in the middle."""
    places = [at * (len(numbers) - 1) / (count - 1) for at in range(count)] if count > 1 else [(len(numbers) - 1) / 2]
    lower = [min(int(place), len(numbers) - 1) for place in places[:count]]
    upper = [min(at + 1, len(numbers) - 1) for at in lower]
    return [
        numbers[low] + (numbers[high] - numbers[low]) * (place - low)
        for place, low, high in zip(places, lower, upper, strict=False)
    ]


def parse_layer_weights(text: str, soft: float = 1.0) -> LayerWeights:
    """Read weights as a user writes them.

    Args:
        text: numbers separated by commas or line breaks, for all layers; or ``part: numbers`` for some, with ``input``,
            ``middle`` and ``output`` as parts. Empty for 1 everywhere.
        soft: see `LayerWeights`.

    Raises:
        ValueError: a piece cannot be read, or ``soft`` is not above 0; the sentence names it.
    """
    if not (math.isfinite(soft) and soft > 0):
        raise ValueError(f"soft_weights is {soft}; give a number above 0, 1 for off or 0.825 as in other tools.")
    found: dict[str, list[float]] = {}
    part = ""
    for piece in written_pieces("layer_weights", text, ",\n;"):
        named, colon, rest = (word.strip() for word in piece.rpartition(":"))
        if colon:
            part = named.lower()
            if part not in LAYER_PARTS:
                raise _unreadable(piece, f"names no part of a UNet ({', '.join(LAYER_PARTS)})")
            if part in found or "" in found:
                raise _unreadable(piece, "comes after numbers for the same layers")
        if rest:
            found.setdefault(part, []).append(_number(rest, piece))
        elif colon:
            raise _unreadable(piece, "has no number")
    return LayerWeights(tuple((part, tuple(numbers)) for part, numbers in found.items()), soft)


def _number(text: str, piece: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise _unreadable(piece, "is no number") from None
    if not fits(number, LARGEST_WRITTEN):
        raise _unreadable(piece, f"is not finite, or larger than {LARGEST_WRITTEN:,.0f}")
    return number


def _unreadable(piece: str, why: str) -> ValueError:
    return ValueError(
        f"layer_weights piece {quoted(piece)} {why}; write for example '1, 0.5' or '{LAYER_WEIGHTS_EXAMPLE}'."
    )
