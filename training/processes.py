"""The processes of one training, as ``torchrun`` starts them: each has its part of the batch, all have the same weights.

Gradients are averaged here, once a step, after all of its UNet calls and before the optimiser. torch's
``DistributedDataParallel`` does that while backward runs, but it wraps a module and must run that module's forward to know
when backward begins and ends. What learns here are leaves in many layers of several models, and ComfyUI's wrappers call
those models; no module has all of them and a forward that anybody calls. With it, each process would also average in every
UNet call of an accumulation unless told not to. An average after the last call sends the same bytes.

All processes average alike in the same order, so their weights stay equal to the bit.

Shapes: any; of a gradient.
"""

import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed
from torch import Tensor

from ..inputs.quoting import plain, quoted_names

dist: Any = torch.distributed  # most of its functions have no types
BUCKET = 2**24  # numbers that are sent at once; 64 MiB of copies
LONGEST_WAIT = timedelta(days=1)  # for the others; one of them may encode clips. torchrun ends all when one is gone


@dataclass(frozen=True, kw_only=True)
class Processes:
    """All processes of a training; by itself the one process of a training that nothing else takes part in.

    Every method is called by all of them in the same order, else they wait for each other until the time that torch sets.

    Attributes:
        rank: of this one, from 0; that of rank 0 writes files and shows the training.
        count: of all.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this one writes files."""
        return self.rank == 0

    @torch.no_grad()
    def average(self, tensors: Sequence[Tensor]) -> None:
        """Put the mean over all processes in the place of each tensor.

        A number that is not finite in one process is not finite in any afterwards.

        Args:
            tensors: float32 on one device, of the same shapes in all processes.
        """
        if self.count == 1:
            return
        for bucket in buckets(tensors):
            flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
            dist.all_reduce(flat)
            flat /= self.count
            end = 0
            for tensor in bucket:
                start, end = end, end + tensor.numel()
                tensor.copy_(flat[start:end].view_as(tensor))

    def mean(self, number: float) -> float:
        """Mean of a number over all processes."""
        return number if self.count == 1 else self._reduced(number, dist.ReduceOp.SUM) / self.count

    def largest(self, number: int) -> int:
        """Largest of a number over all processes."""
        return number if self.count == 1 else round(self._reduced(number, dist.ReduceOp.MAX))

    def require_same(self, facts: Mapping[str, str]) -> None:
        """Refuse to begin where processes have different things before them.

        Raises:
            ValueError: they have; in all processes.
        """
        if self.count == 1:
            return
        found: list[Any] = [None] * self.count
        dist.all_gather_object(found, dict(facts))
        for rank, other in enumerate(found):
            differing = sorted(name for name in {*other, *found[0]} if other.get(name) != found[0].get(name))
            if differing:
                raise ValueError(
                    f"Process {plain(rank)} of the training does not begin as process 0 does; they differ in "
                    f"{quoted_names(differing)}. Start all of them with one command, on the same files."
                )

    def _reduced(self, number: float, by: Any) -> float:
        sent = torch.tensor([number], dtype=torch.float64)
        dist.all_reduce(sent, by)
        return float(sent)


def buckets(tensors: Sequence[Tensor], most: int = BUCKET) -> Iterator[list[Tensor]]:
    """Tensors in their order, as many together as have ``most`` numbers; a larger one is alone."""
    bucket: list[Tensor] = []
    held = 0
    for tensor in tensors:
        if bucket and held + tensor.numel() > most:
            yield bucket
            bucket, held = [], 0
        bucket.append(tensor)
        held += tensor.numel()
    if bucket:
        yield bucket


@contextmanager
def joined_processes() -> Generator[Processes]:
    """The processes that ``torchrun`` started together with this one; this one alone where it did not start it.

    Numbers of a CPU go by gloo, those of a GPU by nccl.

    Raises:
        ValueError: this torch was built without it.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes()
        return
    if not dist.is_available():
        raise ValueError("This build of PyTorch cannot train in more than one process; start it without torchrun.")
    nccl = torch.cuda.is_available() and dist.is_nccl_available()
    dist.init_process_group("cpu:gloo,cuda:nccl" if nccl else "gloo", timeout=LONGEST_WAIT)
    try:
        yield Processes(rank=dist.get_rank(), count=count)
    finally:
        dist.destroy_process_group()
