"""Key images of a clip: which frames they belong to, and which of them a window sees.

Frames between key images are left to the model. A clip's length is known only when it is sampled, so what a user
writes is kept as it is until then.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ..inputs.quoting import quoted
from ..inputs.written import written_pieces
from .frame_keys import OUTSIDE, FrameKey, outside, read_frame

KEYFRAMES_EXAMPLE = "0, 8, -1"
AS_LISTED = "indexes"

# spread -> (intervals before the first image, intervals more than images) over the length of the clip
_SPREADS = {"uniform": (0, -1), "start": (0, 0), "end": (1, 0), "center": (1, 1)}
SPREADS = (AS_LISTED, *_SPREADS)


@dataclass(frozen=True)
class Keyframes:
    """Where the key images of a clip are.

    Attributes:
        spread: one of SPREADS; ``indexes`` takes ``keys``, the others any number of images.
        keys: of the images in their order; a single image is for all of them.
    """

    spread: str = "uniform"
    keys: tuple[FrameKey, ...] = ()

    def require(self, images: int) -> None:
        """Refuse a number of images that does not go with the indexes.

        Raises:
            ValueError: more than one image, and more or fewer than indexes.
        """
        if self.spread != AS_LISTED or images in (1, len(self.keys)):
            return
        if images > len(self.keys):
            raise ValueError(
                f"There are {images} key images and only {len(self.keys)} indexes; write an index for each image, or "
                f"choose the spread uniform."
            )
        raise ValueError(
            f"There are {images} key images for {len(self.keys)} indexes; connect one image for each index, or a "
            "single image for all of them."
        )

    def placed(self, images: int, total: int) -> dict[int, int]:
        """Number of the key image of each frame that has one.

        Args:
            images: number of key images, at least 1.
            total: frames of the clip.

        Returns:
            Image number by frame number, in the order of the images. Of two images at one frame the later counts.

        Raises:
            ValueError: an index outside the clip, more images than frames, or see `require`.
        """
        self.require(images)
        if self.spread == AS_LISTED:
            frames = [_frame(key, total) for key in self.keys]
            return {frame: number % images for number, frame in enumerate(frames)}
        if images > total:
            raise ValueError(
                f"There are {images} key images for a clip of {total} frames; connect fewer images or make the clip "
                "longer."
            )
        return {frame: number for number, frame in enumerate(_spread(self.spread, images, total))}


def parse_keyframes(text: str, spread: str) -> Keyframes:
    """Read the widgets of a node.

    Args:
        text: frame numbers of the images separated by commas or line breaks; negative ones count from the end, ones
            with a decimal point are positions from 0.0 (first frame) to 1.0 (last). It counts only with the spread
            ``indexes``.
        spread: one of SPREADS.

    Raises:
        ValueError: an index cannot be read, or there is none; the sentence shows an example.
    """
    if spread != AS_LISTED:
        return Keyframes(spread)
    keys = tuple(_key(piece) for piece in written_pieces("indexes", text))
    if not keys:
        raise ValueError(f"There are no indexes of key images; write for example '{KEYFRAMES_EXAMPLE}'.")
    return Keyframes(AS_LISTED, keys)


def keys_in_window(frames: Sequence[int], keys: Collection[int], nearest: bool) -> dict[int, int]:
    """Which key images a window sees, and at which of its frames.

    Args:
        frames: frame numbers of the window.
        keys: frames that have a key image.
        nearest: a window without one borrows the nearest.

    Returns:
        Frame of the key image by position in the window. Borrowed ones stand at the end of the window that is nearer to
        them; where both ends are equally near, each end gets its own, and a single one stands in the middle.

    Source:
        ComfyUI-Advanced-ControlNet's ``context_aware`` option ``nearest_hint``, as observed.
    """
    inside = {place: frame for place, frame in enumerate(frames) if frame in keys}
    if inside or not nearest or not keys:
        return inside
    first, last = (min(keys, key=lambda key: abs(key - end)) for end in (frames[0], frames[-1]))
    from_first, from_last = abs(first - frames[0]), abs(last - frames[-1])
    if from_first != from_last:
        return {0: first} if from_first < from_last else {len(frames) - 1: last}
    return {(len(frames) - 1) // 2: first} if first == last else {0: first, len(frames) - 1: last}


@dataclass(frozen=True)
class KeyPlan:
    """Which of the frames that are sampled together see which key image.

    Attributes:
        keys: frames of the key images that are seen, each once.
        rows: for each frame 0, or n for the n-th of ``keys``.
        acting: for each frame whether its window sees any key image.
    """

    keys: tuple[int, ...]
    rows: tuple[int, ...]
    acting: tuple[bool, ...]


def plan_keys(windows: Sequence[Sequence[int]], keys: Collection[int], nearest: bool) -> KeyPlan | None:
    """What each window of a UNet call sees.

    Args:
        windows: frame numbers of each window.
        keys: frames that have a key image.
        nearest: see `keys_in_window`.

    Returns:
        None where no window sees any.
    """
    seen: list[int | None] = []
    acting: list[bool] = []
    for window in windows:
        found = keys_in_window(window, keys, nearest)
        seen += [found.get(place) for place in range(len(window))]
        acting += [bool(found)] * len(window)
    numbers = {
        frame: number for number, frame in enumerate(dict.fromkeys(frame for frame in seen if frame is not None))
    }
    if not numbers:
        return None
    rows = tuple(0 if frame is None else 1 + numbers[frame] for frame in seen)
    return KeyPlan(tuple(numbers), rows, tuple(acting))


def _key(piece: str) -> FrameKey:
    try:
        at, is_position = read_frame(piece)
    except (ValueError, OverflowError):
        raise ValueError(
            f"The index {quoted(piece)} of a key image is no number; write for example '{KEYFRAMES_EXAMPLE}'."
        ) from None
    if outside(at, is_position):
        raise ValueError(
            f"The index {quoted(piece)} of a key image {OUTSIDE}; write for example '{KEYFRAMES_EXAMPLE}'."
        )
    return FrameKey(at, is_position, "hold")


def _frame(key: FrameKey, total: int) -> int:
    frame = round(key.frame(total))
    if not 0 <= frame < total:
        raise ValueError(
            f"The key image at index {key.at:g} lies outside the clip of {total} frames; use indexes from {-total} to "
            f"{total - 1}."
        )
    return frame


def _spread(spread: str, images: int, total: int) -> list[int]:
    """Whole frames of evenly spaced images, cut off as ComfyUI-Advanced-ControlNet's spreads are."""
    before, more = _SPREADS[spread]
    intervals = max(1, images + more)
    if intervals > max(1, total - 1):
        return list(range(images))  # too close together to keep any space
    return [(number + before) * (total - 1) // intervals for number in range(images)]
