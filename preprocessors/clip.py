"""A clip on its way through a preprocessor, many frames at once.

What decides where lines are is measured once for the whole clip, so that a line does not come and go because other
things in the frame became brighter.

Shapes: F = frames, H = height, W = width. Pictures are (H, W, 3) bytes in RGB; hints are that, or (H, W) bytes.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from .edges import Bytes, Floats
from .filters import shuffle_places
from .flow_smoothing import Smoother, flow_back
from .methods import Look, Method, PreprocessSettings

THREADS = 16  # at most; more would only wait for memory
MEASURED = 16  # frames, spread over the clip, that are measured
STRONG = 0.8  # share of the energy of a clip's edges that is in weaker ones than what is called strong
FAINTEST, HIGHEST, BINS = 0.03, 2.0, 1024  # strengths that are counted: weaker is noise, stronger there is none
FLATTEST = 0.1  # strong edges are taken to be at least this strong, so that a flat clip stays empty

Item = TypeVar("Item")
Result = TypeVar("Result")

Counts = NDArray[np.float64]
Read = Callable[[int], Bytes]


def preprocess_clip(
    read: Read,
    frames: int,
    settings: PreprocessSettings,
    write: Callable[[int, Bytes], None],
    tick: Callable[[], None],
    threads: int | None = None,
) -> None:
    """Make the hint of every frame; only a few frames are in memory at any time.

    Args:
        read: the picture of a frame; called in threads, and more than once a frame.
        frames: F.
        settings: the widgets.
        write: takes a frame's number and its hint; called in threads.
        tick: called in this thread after every frame; what it raises ends the work.
        threads: how many; as many as there are processors when left out.

    Raises:
        ValueError: from ``PreprocessSettings.check``.
    """
    method = settings.check()
    threads = threads or min(os.cpu_count() or 1, THREADS)
    with ThreadPoolExecutor(threads, "zoetrope-preprocess") as pool:
        ahead = threads + 1
        look = _look_of_clip(pool, ahead, read, frames, settings, method)
        pictures = _pictures(pool, ahead, read, frames, settings.temporal_smoothing)

        def finish(item: tuple[int, Read]) -> None:
            number, source = item
            write(number, method.draw(source(number), look))

        for _ in in_order(pool, finish, pictures, ahead):
            tick()


def _pictures(pool: Executor, ahead: int, read: Read, frames: int, smoothing: float) -> Iterator[tuple[int, Read]]:
    """Number and reader of every frame; with smoothing the reader has the smoothed picture already."""
    if smoothing == 0 or frames == 1:
        for number in range(frames):
            yield number, read
        return

    def picture_and_flow(number: int) -> tuple[Bytes, Floats | None]:
        picture = read(number)
        return picture, flow_back(picture, read(number - 1)) if number else None

    smoother = Smoother(smoothing)
    for number, (picture, flow) in enumerate(in_order(pool, picture_and_flow, range(frames), ahead)):
        mixed = smoother.add(picture, flow)
        yield number, lambda _, mixed=mixed: mixed


def _look_of_clip(
    pool: Executor, ahead: int, read: Read, frames: int, settings: PreprocessSettings, method: Method
) -> Look:
    if settings.method == "shuffle":
        height, width = read(0).shape[:2]
        return Look(settings.strength, places=shuffle_places(height, width, settings.strength, settings.seed))
    measure = method.measure
    if measure is None:
        return Look(settings.strength)
    low, high = settings.thresholds(method.low, method.high)

    def counts(number: int) -> Counts:
        return edge_counts(measure(read(number), settings.strength))

    strong = strong_edges(in_order(pool, counts, measured_frames(frames), ahead))
    return Look(settings.strength, low * strong, high * strong)


def measured_frames(frames: int) -> list[int]:
    """The frames that are measured: all of a short clip, some of a long one with both ends."""
    return sorted(set(np.linspace(0, frames - 1, min(frames, MEASURED)).round().astype(int).tolist()))


def edge_counts(strength: Floats) -> Counts:
    """How many pixels (BINS,) have an edge of which strength."""
    counts = cv2.calcHist([strength], [0], None, [BINS], [FAINTEST, HIGHEST])
    return np.ravel(counts).astype(np.float64)  # (BINS, 1) before OpenCV 5


def strong_edges(counts: Iterable[Counts]) -> float:
    """How strong the strong edges of a clip are: a fifth of the energy of all edges is in stronger ones.

    Energy and not number, so that it does not matter how many edges there are nor how much texture is between them.
    """
    strengths = FAINTEST + (np.arange(BINS) + 0.5) * (HIGHEST - FAINTEST) / BINS
    energy = np.cumsum(sum(counts, np.zeros(BINS)) * strengths**2)
    strong = strengths[np.searchsorted(energy, STRONG * energy[-1])] if energy[-1] else 0.0
    return max(float(strong), FLATTEST)


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
