"""What one process of a training does alone, and all of them learn how it ended.

A process that stops would leave the others waiting for its gradients. So each part of a step that can stop ends with one number
of each process, and all of them go the same way: on, or out, having saved or not.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from comfy.model_management import InterruptProcessingException

from ...training.processes import Processes
from .placement import is_out_of_memory

# How a part of a step ended; where processes differ, the largest counts for all.
_DONE, _INTERRUPTED, _NO_MEMORY, _FAILED = range(4)


class OtherProcessMemoryError(RuntimeError):
    """Memory ran out in another process of the training, not in this one."""


class OtherProcessError(RuntimeError):
    """Another process of the training failed, and said why."""


@contextmanager
def agreed(processes: Processes) -> Iterator[None]:
    """Let all processes leave the ``with`` block the same way.

    Raises:
        InterruptProcessingException: any of them was interrupted.
        OtherProcessMemoryError: another one had no memory.
        OtherProcessError: another one failed otherwise.
    """
    if processes.count == 1:
        yield
        return
    error: BaseException | None = None
    try:
        yield
    except BaseException as caught:  # noqa: BLE001  # raised again below
        error = caught
    own = _outcome(error)
    worst = processes.largest(own)
    if error is not None and own == worst:
        raise error
    if worst == _INTERRUPTED:
        raise InterruptProcessingException from error
    if worst == _NO_MEMORY:
        raise OtherProcessMemoryError("Another process of the training ran out of memory.") from error
    if worst == _FAILED:
        raise OtherProcessError("Another process of the training failed; its own message says why.") from error


def _outcome(error: BaseException | None) -> int:
    if error is None:
        return _DONE
    if isinstance(error, (InterruptProcessingException, KeyboardInterrupt)):
        return _INTERRUPTED
    return _NO_MEMORY if isinstance(error, Exception) and is_out_of_memory(error) else _FAILED
