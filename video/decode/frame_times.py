"""Which frame of a video is shown when: one map for frames and sound.

Units: times are whole numbers of a video's own ``unit`` (seconds, a fraction); rates are frames a second. A slot is a
place on the regular grid of a rate; slot k lasts from k / rate to (k + 1) / rate after the first frame.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from math import ceil, floor

from ...inputs.quoting import plain
from ..frame_rate import LARGEST_DENOMINATOR, exact_rate

HALF = Fraction(1, 2)
FASTEST = 1000  # that exact_rate takes
JITTER = 4  # a regular frame begins at most 1/4 of its duration early or late


@dataclass(frozen=True, eq=False)
class Timeline:
    """When the frames of a video are shown.

    Attributes:
        times: start of each frame in units, ascending, at least one.
        end: end of the last frame in units.
        unit: seconds.
        stated: rate that the file names, 0 for none; believed where its times agree with it.
    """

    times: Sequence[int]
    end: int
    unit: Fraction
    stated: Fraction = Fraction(0)

    @property
    def origin(self) -> Fraction:
        """Seconds at which the first frame is shown."""
        return self.times[0] * self.unit

    @property
    def seconds(self) -> Fraction:
        """From the start of the first frame to the end of the last."""
        return max(self.end - self.times[0], 0) * self.unit

    def regular_rate(self) -> Fraction | None:
        """A rate that all frames keep to, or None.

        It is the first of the stated one, a whole number and 1000/1001 of it whose times are the file's but for their
        rounding to units; else the stated one or the average, if the times come near.
        """
        stated = [self.stated] if self.stated > 0 else []
        average = len(self.times) / self.seconds if self.seconds else Fraction(0)
        if not 0 < average <= FASTEST:
            return next(filter(self._keeps, stated), None)
        whole = Fraction(max(round(average), 1))
        usual = (*stated, whole, whole * 1000 / 1001)
        near = (*stated, exact_rate(float(average)))
        return next(filter(self._is_rounded, usual), None) or next(filter(self._keeps, near), None)

    def average_rate(self) -> Fraction:
        """Frames a second over the whole duration, 1 where there is none."""
        if not self.seconds:
            return Fraction(1)
        average = (len(self.times) / self.seconds).limit_denominator(LARGEST_DENOMINATOR)
        return max(average, Fraction(1, LARGEST_DENOMINATOR))

    def _is_rounded(self, rate: Fraction) -> bool:
        """Whether each frame begins, and the last one ends, within half a unit of its slot."""
        up, down = (self.unit * rate).as_integer_ratio()
        times = chain(self.times, (self.end,))
        return all(abs((time - self.times[0]) * up - k * down) * 2 <= up for k, time in enumerate(times))

    def _keeps(self, rate: Fraction) -> bool:
        """Whether each frame begins within JITTER of its slot."""
        up, down = (self.unit * rate).as_integer_ratio()
        return all(abs((time - self.times[0]) * up - k * down) * JITTER <= down for k, time in enumerate(self.times))


@dataclass(frozen=True, kw_only=True)
class TimeSelection:
    """The frames that are wanted; applied in this order.

    Attributes:
        frame_rate: frames a second that the video is brought to, 0 for its own.
        start: seconds left out, to the nearest frame.
        skip_frames: frames left out after that.
        seconds: how much is used of what is left, to the nearest frame; 0 for all.
        every_nth: 1 uses each frame, 2 every other.
        max_frames: at most so many, 0 for all.
        by_time: frames are chosen by when they are shown; else each stored frame comes once, whatever its time.
    """

    frame_rate: float | Fraction = 0
    start: float | Fraction = 0
    skip_frames: int = 0
    seconds: float | Fraction = 0
    every_nth: int = 1
    max_frames: int = 0
    by_time: bool = True

    def check(self) -> None:
        """Raise a ValueError for numbers that make no sense."""
        if self.frame_rate:
            exact_rate(self.frame_rate)
        if self.frame_rate and not self.by_time:
            raise ValueError(
                f"frame_rate is {float(self.frame_rate):g} and by_time is off: a rate is reached by the times of the frames, so "
                "turn by_time on, or set frame_rate to 0 for each stored frame once."
            )
        if self.every_nth < 1:
            raise ValueError(f"every_nth is {self.every_nth}: give 1 for each frame, 2 for every other.")
        for name in ("start", "skip_frames", "seconds", "max_frames"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name} is {plain(value)}: give 0 or more.")


class TimeMap:
    """Frames and time of a selection.

    A slot shows the frame that is on the screen when it begins, or one that comes at most half a slot and half a frame
    later, since times are rounded. Frames that keep to a rate count as exactly regular. At the video's own rate the
    slots are as many as its frames, at another as many as its duration holds. Where frames are not chosen by time, the slots
    are the stored frames; they are shown at the video's own rate, or at its average where that varies.

    Attributes:
        count: frames that are selected.
        rate: at which they are shown.
        start: seconds from the video's first frame to the first selected slot, for the sound.
    """

    def __init__(self, timeline: Timeline, selection: TimeSelection):
        """Work out count, rate and start; no list of frames is made.

        Raises:
            ValueError: a number makes no sense, or nothing is left.
        """
        selection.check()
        frames, own = len(timeline.times), timeline.regular_rate()
        base = exact_rate(selection.frame_rate) if selection.frame_rate else own or timeline.average_rate()
        seconds = frames / own if own else timeline.seconds
        total = max(floor(seconds * base + HALF), 1) if selection.frame_rate else frames
        self._base, self._timeline, self._own, self._by_time = base, timeline, own, selection.by_time
        first = self._number_at(Fraction(selection.start)) + selection.skip_frames
        if first >= total:
            raise ValueError(
                f"The video has {plain(total)} frames at {float(base):g} a second, and start {float(selection.start):g} s with "
                f"skip_frames {selection.skip_frames} leaves none: lower them."
            )
        left = total - first
        if selection.seconds:
            left = min(left, max(floor(Fraction(selection.seconds) * base + HALF), 1))
        count = ceil(Fraction(left, selection.every_nth))
        self.count = min(count, selection.max_frames) if selection.max_frames else count
        self.rate = base / selection.every_nth
        self.start = self._time_of(first)
        self._slack = HALF / max(base, own or timeline.average_rate())
        self._slots = range(first, first + self.count * selection.every_nth, selection.every_nth)

    def _number_at(self, seconds: Fraction) -> int:
        """The slot that begins nearest to a time; of stored frames the one."""
        if self._by_time or self._own:
            return floor(seconds * self._base + HALF)
        times, wanted = self._timeline.times, self._timeline.times[0] + seconds / self._timeline.unit
        number = bisect_left(times, ceil(wanted))
        return number - (0 < number < len(times) and wanted - times[number - 1] < times[number] - wanted)

    def _time_of(self, number: int) -> Fraction:
        """Seconds from the first frame to the start of a slot, or of a stored frame."""
        if self._by_time or self._own:
            return number / self._base
        return (self._timeline.times[number] - self._timeline.times[0]) * self._timeline.unit

    @property
    def seconds(self) -> Fraction:
        """How long the selected frames are shown."""
        return self.count / self.rate

    def __iter__(self) -> Iterator[int]:
        """Numbers of the video's frames, ascending; one may come several times or not at all."""
        if not self._by_time:
            yield from self._slots
            return
        times, unit = self._timeline.times, self._timeline.unit
        for slot in self._slots:
            before = slot / self._base + self._slack
            earlier = ceil(before * self._own) if self._own else bisect_left(times, ceil(before / unit) + times[0])
            yield min(max(earlier, 1), len(times)) - 1


def ascending(times: Iterable[int | None]) -> list[int] | None:
    """The times as a list, or None where one is missing or earlier than the one before."""
    listed: list[int] = []
    for time in times:
        if time is None or (listed and time < listed[-1]):
            return None
        listed.append(time)
    return listed
