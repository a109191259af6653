"""Read a video frame by frame, at the size it is wanted in.

Shapes: F = frames, H, W = size in pixels.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import Any

import av
import av.filter
import numpy as np
from av.error import FFmpegError, InvalidDataError
from numpy.typing import NDArray

FITS = ("crop", "pad", "stretch")

# What turns a frame upright, by the counterclockwise degrees that the container asks for.
TURNS = {90: ("transpose=cclock",), 180: ("hflip", "vflip"), 270: ("transpose=clock",)}


@dataclass(frozen=True)
class VideoFile:
    """A part of a video file.

    Attributes:
        file: path, or the file itself in memory.
        start: seconds that are left out.
        duration: seconds that are read, 0 for all.
    """

    file: str | BytesIO
    start: float = 0.0
    duration: float = 0.0

    def open(self) -> Any:
        """PyAV's container, at the file's start.

        Raises:
            ValueError: it cannot be read, or has no picture.
        """
        if isinstance(self.file, BytesIO):
            self.file.seek(0)
        try:
            container = av.open(self.file)
        except (FFmpegError, OSError) as error:
            raise ValueError(f"The video cannot be read ({error}); load another file.") from error
        if not container.streams.video:
            container.close()
            raise ValueError("The file has no video stream; load one that has.")
        return container

    def frames(self) -> Iterator[av.VideoFrame]:
        """The frames in the order they are shown; damaged ones are left out, as ComfyUI does."""
        with self.open() as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            first, last = (int(time / stream.time_base) for time in (self.start, self.start + self.duration))
            if first:
                container.seek(first, stream=stream)
            for packet in container.demux(stream):
                decoded: list[av.VideoFrame] = []
                with suppress(InvalidDataError):
                    decoded = packet.decode()
                for frame in decoded:
                    pts = first if frame.pts is None else frame.pts
                    if self.duration and pts >= last:
                        return
                    if pts >= first:
                        yield frame

    def rate(self) -> Fraction:
        """Frames a second on average, 1 where the file does not say."""
        with self.open() as container:
            return Fraction(container.streams.video[0].average_rate or 1)

    def seconds(self) -> float:
        """Length of the whole file as it states it, 0 where it does not."""
        with self.open() as container:
            return (container.duration or 0) / av.time_base

    def sound(self, seconds: float) -> tuple[NDArray[np.float32], int] | None:
        """Samples (channels, samples) of the last sound stream and how many a second; None without one.

        Streams that ffmpeg has no decoder for are passed over: decoding one ends the process.

        Args:
            seconds: how much at most.
        """
        with self.open() as container:
            streams = [stream for stream in container.streams.audio if stream.codec_context is not None]
            if not streams:
                return None
            stream = streams[-1]
            if self.start:
                container.seek(int(self.start / stream.time_base), stream=stream)
            resampler: Any = av.AudioResampler(format="fltp")
            pieces: list[NDArray[np.float32]] = []
            left = round(seconds * stream.sample_rate)
            for frame in container.decode(stream):
                for piece in resampler.resample(frame):
                    late = self.start - (piece.time or 0)
                    skipped = max(0, round(late * stream.sample_rate)) if not pieces else 0
                    if left > 0 and skipped < piece.samples:
                        pieces.append(piece.to_ndarray()[:, skipped:][:, :left])
                        left -= pieces[-1].shape[1]
                if left <= 0:
                    break
            return (np.concatenate(pieces, axis=1), stream.sample_rate) if pieces else None


def count_frames(frames: Iterator[object]) -> int:
    """How many there are.

    Files state lengths that are wrong by a few frames, or none; decoding without converting is exact and takes a
    small part of what sampling takes.
    """
    return sum(1 for _ in frames)


def upright_size(frame: av.VideoFrame) -> tuple[int, int]:
    """(width, height) of a frame as it is shown."""
    return (frame.height, frame.width) if frame.rotation % 180 else (frame.width, frame.height)


def fitter(width: int, height: int, fit: str) -> Callable[[av.VideoFrame], NDArray[np.uint8]]:
    """A function that gives frames upright in a size.

    ffmpeg's scaler reads the colour matrix and range that a frame is tagged with.

    Args:
        width: pixels.
        height: pixels.
        fit: ``crop`` fills the size and cuts around the centre, ``pad`` shows everything with black bars, ``stretch``
            changes the proportions.

    Returns:
        From a frame to (H, W, 3) 8-bit RGB.

    Raises:
        ValueError: the fit is unknown.
    """
    if fit not in FITS:
        raise ValueError(f"Unknown fit '{fit}'; choose one of {', '.join(FITS)}.")
    graphs: dict[tuple, av.filter.Graph] = {}

    def fitted(frame: av.VideoFrame) -> NDArray[np.uint8]:
        turn = round(frame.rotation) % 360
        kind = (frame.width, frame.height, frame.format.name, turn)
        if kind not in graphs:
            graphs.clear()
            graphs[kind] = _graph(frame, [*TURNS.get(turn, ()), *_scaling(width, height, fit)])
        graphs[kind].push(frame)
        made: Any = graphs[kind].pull()
        return made.to_ndarray(format="rgb24")

    return fitted


def _scaling(width: int, height: int, fit: str) -> list[str]:
    good = "flags=bicubic+accurate_rnd+full_chroma_int"
    if fit == "stretch":
        return [f"scale={width}:{height}:{good}"]
    if fit == "crop":
        return [f"scale={width}:{height}:force_original_aspect_ratio=increase:{good}", f"crop={width}:{height}"]
    fitted = f"scale={width}:{height}:force_original_aspect_ratio=decrease:{good}"
    return [fitted, "format=rgb24", f"pad={width}:{height}:-1:-1"]


def _graph(frame: av.VideoFrame, steps: list[str]) -> av.filter.Graph:
    graph = av.filter.Graph()
    nodes = [
        graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format.name,
            time_base=frame.time_base or Fraction(1, 1000),
        )
    ]
    for step in [*steps, "format=rgb24"]:
        name, _, arguments = step.partition("=")
        nodes.append(graph.add(name, arguments))
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    return graph
