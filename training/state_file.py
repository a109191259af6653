"""State of a training in one file: what it needs to go on as if it had never stopped.

The file holds tensors and text, never code. It is written beside its place and put there in one move, so it is whole or
the one before.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..inputs.quoting import file_name, plain, reason_of
from ..video.file_names import remove

# Parts of the tensors: what learns, the two moments of AdamW, and the average; a name is a part, a slash, a weight's name.
WEIGHTS, MOMENT_1, MOMENT_2, AVERAGE = "weights", "first", "second", "average"
_UNFINISHED = ".part"
_KIND = "zoetrope_training_state"
_VERSION = "1"
_LOSSES = "losses"  # the one tensor that belongs to no weight


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainingState:
    """What is kept of a training.

    Attributes:
        step: how many steps are done.
        tensors: of the optimiser, by part and name of weight.
        numbers: of the optimiser.
        losses: of each step.
        digest: everything that changes the result, as text by name.
    """

    step: int
    tensors: Mapping[str, Tensor]
    numbers: Mapping[str, float]
    losses: tuple[float, ...]
    digest: Mapping[str, str]

    def learnt(self) -> dict[str, Tensor]:
        """The weights to write and to use, by name: their average where there is one."""
        part = AVERAGE if any(name.startswith(f"{AVERAGE}/") for name in self.tensors) else WEIGHTS
        return {
            name.removeprefix(f"{part}/"): value for name, value in self.tensors.items() if name.startswith(f"{part}/")
        }

    def require_same(self, digest: Mapping[str, str], name: str) -> None:
        """Refuse to go on with other settings.

        Args:
            digest: of the training that asks.
            name: of the file, for the message.

        Raises:
            ValueError: a part differs; the sentence names all that do.
        """
        names = sorted({*self.digest, *digest})
        differing = [
            f"{plain(part)} was {_short(self.digest.get(part))} and is {_short(digest.get(part))}"
            for part in names
            if self.digest.get(part) != digest.get(part)
        ]
        if differing:
            raise ValueError(
                f"{file_name(name)} holds a training with other settings ({plain('; '.join(differing), 600)}); set them back, "
                "choose another name, or start anew."
            )


def _short(value: str | None) -> str:
    return "nothing" if value is None else plain(value, 24)


def write_state(path: Path, state: TrainingState) -> None:
    """Write a state.

    Raises:
        ValueError: it cannot be written; the file before is whole.
    """
    metadata = {
        "kind": _KIND,
        "version": _VERSION,
        "step": str(state.step),
        "numbers": json.dumps(dict(state.numbers)),
        "digest": json.dumps(dict(state.digest), sort_keys=True),
    }
    losses = torch.tensor(state.losses, dtype=torch.float64)
    write_whole(path, {**state.tensors, _LOSSES: losses}, metadata)


def read_state(path: Path) -> TrainingState:
    """Read a state.

    Raises:
        ValueError: it is no state of a training, or damaged.
    """
    try:
        opened: Any = safe_open(path, framework="pt", device="cpu")
        with opened as file:
            metadata: dict[str, str] = file.metadata() or {}
            if metadata.get("kind") != _KIND or metadata.get("version") != _VERSION:
                raise ValueError(
                    f"{file_name(str(path))} is no state of a training of this release; choose another name, or start anew."
                )
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no dict
        losses = tensors.pop(_LOSSES)
        return TrainingState(
            step=int(metadata["step"]),
            tensors=tensors,
            numbers=json.loads(metadata["numbers"]),
            losses=tuple(float(loss) for loss in losses),
            digest=json.loads(metadata["digest"]),
        )
    except (OSError, SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{file_name(str(path))} cannot be read as the state of a training ({reason_of(error)}); delete it, or start anew."
        ) from error


def write_whole(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file so that it is whole or the one before, also when the power fails.

    Args:
        path: where; its folder is made.
        tensors: by name, on any device.
        metadata: text by name.

    Raises:
        ValueError: it cannot be written.
    """
    # The library itself writes a file of another name first, which a killed process would leave in a folder of models.
    beside = path.with_name(f".{path.name}.{os.getpid()}{_UNFINISHED}")
    written = beside / "content"  # without the ending of a model, as folders of models are searched while it is written
    content = {name: _own(tensor) for name, tensor in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.mkdir(exist_ok=True)
        safetensors.torch.save_file(content, str(written), dict(metadata))  # pyright: ignore[reportUnknownMemberType]
        os.chmod(written, beside.stat().st_mode & 0o666)  # the library's is for its owner only
        with open(written, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(written, path)
    except (OSError, SafetensorError) as error:
        raise ValueError(
            f"{file_name(str(path))} cannot be written ({reason_of(error)}); make room on the disk or choose another folder, "
            "then run it again: it goes on from the last file that was saved."
        ) from error
    finally:
        remove(beside)


def remove_unfinished(path: Path) -> None:
    """Remove what processes that were killed while they wrote ``path`` have left; nobody may be writing it."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.\d+{re.escape(_UNFINISHED)}")
    for found in path.parent.glob(f".*{_UNFINISHED}"):
        if pattern.fullmatch(found.name):
            remove(found)


def _own(tensor: Tensor) -> Tensor:
    """The tensor on the CPU with memory of its own, which the format asks for; copied only where it must be."""
    tensor = tensor.detach().to("cpu").contiguous()
    return tensor if tensor.untyped_storage().nbytes() == tensor.nbytes else tensor.clone()
