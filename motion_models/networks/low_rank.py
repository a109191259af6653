"""Low-rank pairs as layers of their own, beside the weights they would otherwise be added to.

Their memory is that of the files; strengths can change with every call, frame and pixel.

Shapes: O = outputs, I = inputs of a linear layer, R = rank.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor, nn

from .module_call import Branch, Value


@dataclass(frozen=True)
class Convolution:
    """How a convolution moves over a feature map, vertically and horizontally; named as torch's layer has it."""

    stride: tuple[int, ...]
    padding: tuple[int, ...] | str
    dilation: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class LoraPair:
    """Two thin matrices; strength * (alpha / R) * up @ down is added to a weight.

    Attributes:
        target: the weight, by our name.
        slice: (first row, number of rows) of the weight that changes; None is all of it.
        up: (O, R), or (O, R, 1, 1) for a convolution.
        down: (R, I), or (R, I, height, width) for a convolution.
        alpha: numerator of the scale; None means a scale of 1, as in the official files.
        convolution: of the layer, which ``down`` follows; None for linear layers.
    """

    target: str
    slice: tuple[int, int] | None
    up: Tensor
    down: Tensor
    alpha: float | None
    convolution: Convolution | None = None


@dataclass(frozen=True)
class PairInfo:
    """Where a pair acts.

    Attributes:
        layer: name of the weight's layer, without ``.weight``.
        rows: see `LoraPair.slice`.
        factor: alpha / R, 1 without alpha.
    """

    layer: str
    rows: tuple[int, int] | None
    factor: float


class LowRankNetwork(nn.Module):
    """The pairs of several files; it holds their tensors without copying them.

    Args:
        files: pairs of each file.
        operations: namespace with Linear and Conv2d, such as ``torch.nn`` or ``comfy.ops.manual_cast``.
    """

    def __init__(self, files: Iterable[Sequence[LoraPair]], operations: Any = nn) -> None:
        super().__init__()
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        # Pairs of each file: all, and those of each motion module by the start of their names.
        self.infos: list[dict[str, list[tuple[int, PairInfo]]]] = []
        for pairs in files:
            by_start: dict[str, list[tuple[int, PairInfo]]] = {"": []}
            for index, info in [self._add(pair, operations) for pair in pairs]:
                start = "{}.{}.".format(*info.layer.split(".")[:2])
                by_start[""].append((index, info))
                by_start.setdefault(start, []).append((index, info))
            self.infos.append(by_start)

    def _add(self, pair: LoraPair, operations: Any) -> tuple[int, PairInfo]:
        rank = pair.down.shape[0]
        self.downs.append(_layer(pair.down, operations, pair.convolution))
        self.ups.append(_layer(pair.up, operations))
        factor = 1.0 if pair.alpha is None else pair.alpha / rank
        return len(self.downs) - 1, PairInfo(pair.target.removesuffix(".weight"), pair.slice, factor)

    def branches(self, file: int, strength: Value, prefix: str = "") -> Iterator[tuple[str, Branch]]:
        """Branches of one file, times ``strength``.

        Args:
            file: number of the file.
            strength: factor of all its pairs.
            prefix: only layers of this motion module, such as ``sites.input_1.``; all by default.

        Yields:
            (layer's name behind the prefix, branch).
        """
        for index, info in self.infos[file].get(prefix, ()):
            branch = Branch(self.downs[index], self.ups[index], strength, info.rows, info.factor)
            yield info.layer.removeprefix(prefix), branch


def _layer(weight: Tensor, operations: Any, convolution: Convolution | None = None) -> nn.Module:
    options: dict[str, Any] = {"bias": False, "device": "meta", "dtype": weight.dtype}
    outputs, inputs, *kernel = weight.shape
    if kernel:
        moves = {} if convolution is None else asdict(convolution)
        layer = operations.Conv2d(inputs, outputs, tuple(kernel), **moves, **options)
    else:
        layer = operations.Linear(inputs, outputs, **options)
    layer.weight = nn.Parameter(weight.detach(), requires_grad=False)
    return layer
