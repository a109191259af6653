"""A thread between who makes frames and who writes them, so that both work at the same time."""

import queue
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

WAITING = 2  # pieces; more would hold more of the clip without being faster
QUEUE_POLL_SECONDS = 0.1


class WriterThread:
    """Hands pieces to a writer in its own thread, in order; at most ``WAITING`` pieces wait.

    Args:
        write: called with each piece in the thread.
        check: called while waiting; it may raise to abandon.
    """

    def __init__(self, write: Callable[[memoryview], None], check: Callable[[], None]):
        self._write, self._check = write, check
        self._pieces: queue.Queue[memoryview | None] = queue.Queue(WAITING)
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="zoetrope-writer", daemon=True)
        self._thread.start()

    def put(self, piece: memoryview | None) -> None:
        """Hand over a piece; waits while too many wait already.

        Raises:
            BaseException: what the writer raised for a piece before.
            RuntimeError: everything was finished or abandoned before.
        """
        while self._thread.is_alive():
            try:
                return self._pieces.put(piece, timeout=QUEUE_POLL_SECONDS)
            except queue.Full:
                self._check()
        raise self._error or RuntimeError("A piece came after the end: hand over everything before.")

    def finish(self) -> None:
        """Wait until everything is written.

        Raises:
            BaseException: what the writer raised.
        """
        self.put(None)
        while self._thread.is_alive():
            self._check()
            self._thread.join(QUEUE_POLL_SECONDS)
        if self._error is not None:
            raise self._error

    def abandon(self) -> None:
        """Drop what waits and end the thread; the writer must not block any more."""
        with suppress(queue.Empty):
            while True:
                self._pieces.get_nowait()
        self._pieces.put_nowait(None)  # there is room: nobody else puts
        self._thread.join()

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            try:
                self._write(piece)
            except BaseException as error:  # noqa: BLE001 - it is raised again where frames are made
                self._error = error
                return
            del piece  # else it would be held while the next is waited for
