"""How one motion module acts in one UNet call: numbers, or tensors over frames and pixels.

Shapes: B = chunks (conditionings in one call), W = windows stacked in a chunk, F = frames of a window,
R = W * F rows of a chunk, C = channels, P = pixels of the module's feature map, N = B * W * P sequences over time,
V = views of a window, L = frames of a view. A value over time is (R, 1), one over time and pixels (R, P).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor

from .views import ViewGroup

Value = float | Tensor
Layer = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Branch:
    """A low-rank term of a linear layer: strength * factor * up(down(x)) is added to its output.

    Attributes:
        down: layer from the input's width to the rank.
        up: layer from the rank to the output's width, or to ``rows`` of it.
        strength: factor; a tensor is (R, P or 1), or (N or 1, F, 1) within `ModuleCall.for_sequences`.
        rows: (first, number of) output channels that change; None is all.
        factor: of the pair itself, whatever the strength.
    """

    down: Layer
    up: Layer
    strength: Value
    rows: tuple[int, int] | None = None
    factor: float = 1.0

    def add_to(self, out: Tensor, x: Tensor) -> None:
        """Add the term for the layer's input ``x`` to its output ``out``, in place."""
        part = out if self.rows is None else out[..., self.rows[0] : sum(self.rows)]
        term = self.up(self.down(x))
        if isinstance(self.strength, Tensor):
            part.addcmul_(term, self.strength, value=self.factor)
        else:
            part.add_(term, alpha=self.strength * self.factor)


@dataclass(frozen=True, eq=False)
class PoseMerge:
    """Camera features that enter the first temporal attention: h + strength * merge(h + pose).

    Attributes:
        pose: (R, C, P), or (W * P, F, C) within `ModuleCall.for_sequences`.
        merge: layer from C to C.
        strength: as in `Branch`.

    Source:
        hehao13/CameraCtrl ``cameractrl/models/attention_processor.py``, ``PoseAdaptorAttnProcessor``.
    """

    pose: Tensor
    merge: Layer
    strength: Value = 1.0

    def merged(self, h: Tensor) -> Tensor:
        """(N, F, C) with the pose in it."""
        posed = (h.reshape(-1, self.pose.shape[0], *h.shape[1:]) + self.pose).flatten(0, 1)  # the same for each chunk
        return h + self.strength * self.merge(posed)


@dataclass(frozen=True, eq=False)
class ModuleCall:
    """Everything a motion module is told besides its input.

    Attributes:
        scale: factor of the keys of each temporal attention, so of its logits.
        effect: blend of a module's input (0) and output (1).
        branches: low-rank terms by layer, such as ``attentions.0.to_qkv`` or ``feed_forward.expand``.
        pose: camera features for attention 0.
        views: pieces in which the F frames attend; none is all of them at once.
    """

    scale: Value = 1.0
    effect: Value = 1.0
    branches: Mapping[str, tuple[Branch, ...]] = field(default_factory=dict[str, tuple[Branch, ...]])
    pose: PoseMerge | None = None
    views: tuple[ViewGroup, ...] = ()

    def of_pixels(self, pixels: slice) -> "ModuleCall":
        """The same for some of the pixels."""

        def cut(value: Value) -> Value:
            return value[:, pixels] if isinstance(value, Tensor) and value.shape[1] > 1 else value

        return self.mapped(cut, lambda pose: pose[..., pixels])

    def for_sequences(self, clips: int, frames: int, pixels: int) -> "ModuleCall":
        """The same with values of shape (N or 1, F, 1) and a pose of (W * P, F, C), to act on (N, F, C) tensors.

        Args:
            clips: B * W.
            frames: F.
            pixels: P.
        """

        def arrange(value: Value) -> Value:
            if not isinstance(value, Tensor):
                return value
            windows = value.reshape(-1, frames, *value.shape[1:]).transpose(1, 2)
            if windows.shape[:2] == (1, 1):
                return windows.unsqueeze(-1).flatten(0, 1)
            rows = windows.expand(-1, pixels, -1).flatten(0, 1).unsqueeze(-1)
            return rows.repeat(clips // windows.shape[0], 1, 1)

        def arrange_pose(pose: Tensor) -> Tensor:
            return pose.reshape(-1, frames, *pose.shape[1:]).permute(0, 3, 1, 2).flatten(0, 1)

        return self.mapped(arrange, arrange_pose)

    def in_views(self, group: ViewGroup, sequences: int) -> "ModuleCall":
        """The same for the views of a group, (N * V, L, C) tensors.

        Args:
            group: the views.
            sequences: N.
        """

        def cut(value: Value) -> Value:
            if not isinstance(value, Tensor):
                return value
            chosen = group.cut(value)
            return chosen if value.shape[0] == sequences else chosen.repeat(sequences, 1, 1)

        return self.mapped(cut, group.cut)

    def run(self, name: str, layer: Layer, x: Tensor) -> Tensor:
        """Output of the linear layer ``name`` with its low-rank terms."""
        out = layer(x)
        for branch in self.branches.get(name, ()):
            branch.add_to(out, x)
        return out

    def mapped(self, change: Callable[[Value], Value], change_pose: Callable[[Tensor], Tensor]) -> "ModuleCall":
        """The same with other values and another pose; what is no value stays."""
        changed: dict[int, Value] = {}

        def once(value: Value) -> Value:
            """Many branches share one value."""
            if id(value) not in changed:
                changed[id(value)] = change(value)
            return changed[id(value)]

        return replace(
            self,
            scale=once(self.scale),
            effect=once(self.effect),
            branches={
                name: tuple(replace(branch, strength=once(branch.strength)) for branch in branches)
                for name, branches in self.branches.items()
            },
            pose=self.pose and replace(self.pose, pose=change_pose(self.pose.pose), strength=once(self.pose.strength)),
        )


AS_TRAINED = ModuleCall()
