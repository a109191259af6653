"""What clips are made from: videos of a folder, VIDEO and IMAGE inputs, each with its caption.

Shapes: F = frames, H, W = size in pixels, C = channels.
"""

import os
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from io import BytesIO

from comfy_api.latest import Input, InputImpl
from torch import Tensor

from ...inputs.quoting import file_name, plain, quoted, reason_of
from ...inputs.written import require_characters
from ...training.data.manifest import Facts
from ...video.decode.image_files import natural
from ...video.encode.frame_arrays import to_uint8
from ...video.frame_size import PixelArray, fitted
from ..loading.digests import bytes_digest, pictures_digest
from ..video.input_files import moving_names
from ..video.video_input import VideoInput

LONGEST_CAPTION_FILE = 64_000  # bytes

Frames = Generator[PixelArray, None, None]


@dataclass(frozen=True, kw_only=True)
class ClipSource:
    """Something that becomes one clip.

    Attributes:
        name: for messages.
        caption: what it shows; None where nobody said it.
        count: frames.
        size: (width, height) of its own.
        facts: what tells it from any other.
        frames: its frames (H, W, C) of 8 or 16 bits in a size (width, height), cropped around the centre.
    """

    name: str
    caption: str | None
    count: int
    size: tuple[int, int]
    facts: Facts
    frames: Callable[[tuple[int, int]], Frames]


@dataclass(frozen=True)
class FoundSources:
    """Sources, and sentences about what was left out."""

    clips: tuple[ClipSource, ...]
    skipped: tuple[str, ...] = ()


def folder_sources(folder: str, frame_rate: float) -> FoundSources:
    """The videos of a folder in natural order, each with the text of the .txt of its name.

    Args:
        folder: path.
        frame_rate: that they are brought to, 0 for their own.

    Raises:
        ValueError: there is none, or a text cannot be read.
    """
    names = sorted(moving_names(folder), key=lambda name: (natural(name), name))
    if not names:
        raise ValueError(f"The folder {file_name(folder)} has no videos; choose one that has.")
    paths = [os.path.join(folder, name) for name in names]
    captions = [_caption_beside(path) for path in paths]
    return _videos([InputImpl.VideoFromFile(path) for path in paths], names, captions, frame_rate)


def video_sources(videos: Sequence[Input.Video], captions: Sequence[str], frame_rate: float) -> FoundSources:
    """VIDEO inputs.

    Args:
        videos: in order.
        captions: one each, one for all, or none.
        frame_rate: that they are brought to, 0 for their own.

    Raises:
        ValueError: there is another number of captions.
    """
    names = [_video_name(video, number) for number, video in enumerate(videos, 1)]
    return _videos(videos, names, captions_for(captions, len(videos), "videos"), frame_rate)


def image_sources(batches: Sequence[Tensor], captions: Sequence[str]) -> FoundSources:
    """IMAGE inputs (F, H, W, C), of which each is a clip.

    Raises:
        ValueError: there is another number of captions.
    """
    given = captions_for(captions, len(batches), "IMAGE batches")
    return FoundSources(
        tuple(_of_images(*part) for part in zip(range(1, len(batches) + 1), batches, given, strict=True))
    )


def captions_for(captions: Sequence[str], count: int, kind: str) -> list[str | None]:
    """A caption for each clip: its own, the one of all, or None.

    Args:
        captions: as they were given.
        count: of the clips.
        kind: what they are, for the message.

    Raises:
        ValueError: there is another number.
    """
    if len(captions) not in (0, 1, count):
        raise ValueError(
            f"There are {len(captions)} captions for {count} {plain(kind)}: give one for each in their order, or one for all."
        )
    return [None] * count if not captions else [*captions] * (count // len(captions))


def _videos(
    videos: Sequence[Input.Video], names: Sequence[str], captions: Sequence[str | None], frame_rate: float
) -> FoundSources:
    clips: list[ClipSource] = []
    skipped: list[str] = []
    for video, name, caption in zip(videos, names, captions, strict=True):
        try:
            clips.append(_of_video(video, name, caption, frame_rate))
        except ValueError as error:
            skipped.append(f"{quoted(name)}: {reason_of(error)}.")
    return FoundSources(tuple(clips), tuple(skipped))


def _of_video(video: Input.Video, name: str, caption: str | None, frame_rate: float) -> ClipSource:
    opened = VideoInput(video, frame_rate=frame_rate)
    plan = opened.plan
    facts = {**_video_facts(video), "start": str(plan.start), "rate": str(plan.rate), "frames": plan.count}
    return ClipSource(
        name=name,
        caption=caption,
        count=opened.count,
        size=opened.size(0, 0),
        facts=facts,
        frames=lambda size: opened.frames(size, "crop"),
    )


def _video_name(video: Input.Video, number: int) -> str:
    source = video.get_stream_source() if isinstance(video, InputImpl.VideoFromFile) else None
    return os.path.basename(source) if isinstance(source, str) else f"video {number}"


def _video_facts(video: Input.Video) -> Facts:
    """Name, size and time of a file; a digest of what is in memory."""
    source = video.get_stream_source() if isinstance(video, InputImpl.VideoFromFile) else None
    if isinstance(source, str):
        state = os.stat(source)
        return {"file": os.path.basename(source), "bytes": state.st_size, "modified": state.st_mtime_ns}
    if isinstance(source, BytesIO):
        return {"content": bytes_digest(source.getbuffer())}
    return {"pictures": pictures_digest(video.get_components().images)}


def _of_images(number: int, images: Tensor, caption: str | None) -> ClipSource:
    def frames(size: tuple[int, int]) -> Frames:
        for picture in images:
            yield fitted(to_uint8(picture[None])[0], size, "crop")

    return ClipSource(
        name=f"images {number}",
        caption=caption,
        count=len(images),
        size=(images.shape[2], images.shape[1]),
        facts={"pictures": pictures_digest(images)},
        frames=frames,
    )


def _caption_beside(video: str) -> str | None:
    """The text of the .txt beside a video in one line, None where there is none."""
    path = os.path.splitext(video)[0] + ".txt"
    if not os.path.isfile(path):
        return None
    try:
        with open(path, "rb") as file:
            content = file.read(LONGEST_CAPTION_FILE + 1)
        text = " ".join(content.decode("utf-8-sig").split())
        require_characters("the caption", text)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"The caption {file_name(path)} cannot be read ({reason_of(error)}): save it as UTF-8 text, or remove it."
        ) from error
    if len(content) > LONGEST_CAPTION_FILE:
        raise ValueError(
            f"The caption {file_name(path)} has more than {LONGEST_CAPTION_FILE:,} bytes: write a sentence or two."
        )
    return text
