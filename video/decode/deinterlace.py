"""Frames that are stored as two fields, one moment in the even rows and another in the odd ones, as whole pictures.

Source: ffmpeg's filter ``bwdif``, after the BBC's; a frame comes out for each that goes in.
"""

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from typing import Any

import av
import av.filter
from av.error import FFmpegError

FIELDS_FILTER = "bwdif", "mode=send_frame:parity=auto:deint=interlaced"  # frames that are whole stay as they are


def is_interlaced(frame: av.VideoFrame) -> bool:
    """Whether the file says so of a frame."""
    return bool(frame.interlaced_frame)


def whole_pictures(frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """The frames in their order and with their times, each made a whole picture with the help of its neighbours.

    A frame that the filter cannot take, such as one of three rows, comes as it is.
    """
    kind: tuple[Any, ...] = ()
    graph: Any = None
    waiting: list[av.VideoFrame] = []
    for frame in frames:
        now = (frame.width, frame.height, frame.format.name)
        if now != kind:
            yield from _rest(graph, waiting)
            graph, kind = _graph(frame), now
        if graph is None:
            yield frame
            continue
        try:
            graph.push(frame)
        except FFmpegError:
            yield frame
            continue
        waiting.append(frame)
        yield from _pulled(graph, waiting)
    yield from _rest(graph, waiting)


def _graph(frame: av.VideoFrame) -> Any:
    """A filter for frames of one kind, None where there can be none."""
    graph = av.filter.Graph()
    with suppress(FFmpegError):
        source = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format.name,
            time_base=frame.time_base or Fraction(1, 1000),
        )
        graph.link_nodes(source, graph.add(*FIELDS_FILTER), graph.add("buffersink")).configure()
        return graph
    return None


def _rest(graph: Any, waiting: list[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """What the filter still holds."""
    if graph is not None:
        with suppress(FFmpegError):
            graph.push(None)
        yield from _pulled(graph, waiting)
        waiting.clear()


def _pulled(graph: Any, waiting: list[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """Frames that are ready, with the numbers of those that went in: the filter counts in halves of their unit."""
    with suppress(FFmpegError):  # more is wanted, or this was the end
        while waiting:
            made = graph.pull()
            made.pts = waiting.pop(0).pts
            yield made
