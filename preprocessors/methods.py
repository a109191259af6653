"""Hints for ControlNets out of single pictures: the methods and their settings.

Shapes: H = height, W = width. Pictures are (H, W, 3) bytes in RGB; hints are that, or (H, W) bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ..inputs.quoting import quoted
from . import edges
from . import filters as texture
from . import line_segments as straight
from .edges import Bytes, Floats, scaled, smoothed

RANGES = {
    "strength": (0.0, 4.0),
    "low_threshold": (0.0, 1.0),
    "high_threshold": (0.0, 1.0),
    "temporal_smoothing": (0.0, 0.95),
    "resolution": (0, 8192),
}


@dataclass(frozen=True, kw_only=True)
class PreprocessSettings:
    """How frames become hints; `RANGES` has what each number may be.

    Attributes:
        method: a key of METHODS.
        strength: of the method.
        low_threshold: share of the clip's strong edges, or 0 for the method's own.
        high_threshold: the same.
        temporal_smoothing: share of the past in a frame where it fits.
        resolution: shorter side of the hints, or 0 for that of the frames.
        seed: of the places of a shuffle.
    """

    method: str = "canny"
    strength: float = 1.0
    low_threshold: float = 0.0
    high_threshold: float = 0.0
    temporal_smoothing: float = 0.0
    resolution: int = 0
    seed: int = 0

    def check(self) -> "Method":
        """Return the method.

        Raises:
            ValueError: a value makes no sense, or this OpenCV lacks the method.
        """
        method = METHODS.get(self.method)
        if method is None:
            raise ValueError(f"There is no method {quoted(self.method)}: choose one of {', '.join(METHODS)}.")
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} is {value:g}: give a number from {low:g} to {high:g}.")
        if 0 < self.high_threshold < self.low_threshold:
            raise ValueError(
                f"low_threshold {self.low_threshold:g} is above high_threshold {self.high_threshold:g}: lower it, or "
                "set one of them to 0 for the method's own."
            )
        if self.method == "lines":
            straight.require_detector()
        return method

    def thresholds(self, low: float, high: float) -> tuple[float, float]:
        """Low and high, with a method's own for those that are 0, in proportion to the one that is given.

        Args:
            low: the method's own; 0 where it has none, and then the low one of the settings means nothing.
            high: the method's own.
        """
        if not low:
            return 0.0, self.high_threshold or high
        if self.high_threshold:
            return self.low_threshold or low / high * self.high_threshold, self.high_threshold
        return self.low_threshold or low, max(high, self.low_threshold)


@dataclass(frozen=True, eq=False)
class Look:
    """What is the same for all frames of a clip.

    Attributes:
        strength: of the method.
        low: lower threshold, as a strength of edges.
        high: upper threshold, as a strength of edges.
        places: where a shuffle takes its pixels from.
    """

    strength: float
    low: float = 0.0
    high: float = 0.0
    places: texture.Places | None = None


@dataclass(frozen=True, eq=False)
class Method:
    """A kind of hint.

    Attributes:
        draw: from a picture to a hint.
        measure: strength of the edges that the thresholds decide about, of a picture and the method's strength.
        low: lower threshold, as a share of the clip's strong edges.
        high: upper threshold, likewise.
    """

    draw: Callable[[Bytes, Look], Bytes]
    measure: Callable[[Bytes, float], Floats] | None = None
    low: float = 0.0
    high: float = 0.0


def _coarser(picture: Bytes, sigma: float) -> Bytes:
    return smoothed(picture, scaled(sigma, picture))


def _canny(picture: Bytes, look: Look) -> Bytes:
    return edges.canny(_coarser(picture, look.strength), look.low, look.high)


def _scribble(picture: Bytes, look: Look) -> Bytes:
    return edges.scribble(_coarser(picture, 2.0), look.low, look.high, scaled(5.0 * look.strength, picture))


def _lines(picture: Bytes, look: Look) -> Bytes:
    return straight.straight_lines(picture, edges.steepness(_coarser(picture, 1.0)), look.high, look.strength)


def _shuffle(picture: Bytes, look: Look) -> Bytes:
    assert look.places is not None
    return texture.shuffle(picture, look.places)


METHODS: dict[str, Method] = {
    "canny": Method(_canny, lambda picture, strength: edges.steepness(_coarser(picture, strength)), 0.1, 0.2),
    "lineart": Method(
        lambda picture, look: edges.drawn(edges.darkness(picture), look.low, look.high, 0.8, look.strength),
        lambda picture, _: edges.darkness(picture),
        0.06,
        0.6,
    ),
    "scribble": Method(_scribble, lambda picture, _: edges.steepness(_coarser(picture, 2.0)), 0.12, 0.25),
    "soft_edge": Method(
        lambda picture, look: edges.drawn(edges.soft_strength(picture), look.low, look.high, 1.0, look.strength),
        lambda picture, _: edges.soft_strength(picture),
        0.1,
        1.0,
    ),
    "lines": Method(_lines, lambda picture, _: edges.steepness(_coarser(picture, 1.0)), 0.0, 0.15),
    "tile": Method(lambda picture, look: texture.tile(picture, look.strength)),
    "blur": Method(lambda picture, look: texture.blur(picture, look.strength)),
    "recolor": Method(lambda picture, look: texture.recolor(picture, look.strength)),
    "shuffle": Method(_shuffle),
}
