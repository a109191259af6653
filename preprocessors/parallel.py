"""Work on many frames at once, in bounded memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(pool: Executor, work: Callable[[Item], Result], items: Iterable[Item], ahead: int = 1) -> Iterator[Result]:
    """Yield ``work(item)`` of every item, in their order.

    Args:
        pool: does the work.
        work: called in the threads of the pool.
        items: taken one by one, in the thread that reads the results, and no sooner than needed.
        ahead: results that are waited for or wait to be read at any time, at most.
    """
    waiting: deque[Future[Result]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
