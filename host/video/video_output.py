"""The VIDEO of a finished file. Core reads videos itself; WebP and folders of images are read by us, frame by frame.

Shapes: F = frames, H = height, W = width, C = channels.
"""

import io
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from comfy import model_management
from comfy_api.latest import Input, InputImpl, Types

from ...video.decode.image_files import image_names, read_image
from ...video.decode.reader import open_video
from ...video.encode.encoder import VideoEncoder
from ...video.encode.frame_arrays import to_pixels
from ...video.encode.job import encode_job
from ...video.formats.table import FORMATS
from ...video.formats.video_format import VideoFormat
from .output_files import temporary_folder


def video_output(path: Path, format: VideoFormat, frames: int, frame_rate: Fraction) -> Input.Video:
    """Return the VIDEO of a file, or of a folder of one file a frame; nothing is read before somebody asks.

    Args:
        path: what Combine Video wrote.
        format: its format.
        frames: how many.
        frame_rate: frames a second.
    """
    if format.is_folder or format.codec == "webp":
        return ImageSequenceVideo(path, range(frames), frame_rate)
    return ContainerVideo(path, format, frames, frame_rate)


class ContainerVideo(InputImpl.VideoFromFile):
    """A video file that core reads. What we know of it is not asked from containers, of which many do not say it.

    Args:
        path: the file.
        format: its format.
        frames: how many.
        frame_rate: frames a second.
    """

    def __init__(self, path: Path, format: VideoFormat, frames: int, frame_rate: Fraction):
        super().__init__(str(path))
        self._copied = format.muxer in ("mp4", "webm")
        self._frames, self._frame_rate = frames, frame_rate

    def save_to(
        self,
        path: str | io.BytesIO,
        format: Any = Types.VideoContainer.AUTO,
        codec: Any = Types.VideoCodec.AUTO,
        *more: Any,
        **others: Any,
    ) -> None:
        """As core does, but "auto" makes H.264 of codecs that an mp4 cannot hold or that nothing plays in it."""
        if codec == Types.VideoCodec.AUTO and not self._copied:
            codec = Types.VideoCodec.H264
        super().save_to(path, format, codec, *more, **others)

    def get_components(self) -> Types.VideoComponents:
        """Frames and sound at once; the times in a gif are rounded, so its rate is not what was asked for."""
        return replace(super().get_components(), frame_rate=self._frame_rate)

    def get_frame_count(self) -> int:
        """How many frames there are."""
        return self._frames

    def get_frame_rate(self) -> Fraction:
        """Frames a second."""
        return self._frame_rate

    def get_duration(self) -> float:
        """Seconds."""
        return float(self._frames / self._frame_rate)


@dataclass(frozen=True, eq=False)
class ImageSequenceVideo(Input.Video):
    """Images as a silent video; saved as h264-mp4 a few frames at a time, whatever their number.

    Attributes:
        path: an animated WebP file, or a folder of one image a frame.
        numbers: the frames that are in it.
        frame_rate: frames a second.
    """

    path: Path
    numbers: range
    frame_rate: Fraction

    def get_components(self) -> Types.VideoComponents:
        """All frames at once, (F, H, W, C) floats 0-1."""
        images: torch.Tensor | None = None
        for row, picture in enumerate(self._images()):
            if images is None:
                images = torch.empty(len(self.numbers), *picture.shape)
            images[row] = picture
        assert images is not None
        return Types.VideoComponents(images=images[..., :3], audio=None, frame_rate=self.frame_rate)

    def save_to(
        self,
        path: str | io.BytesIO,
        format: Any = None,
        codec: Any = None,
        metadata: dict | None = None,
        bit_depth: int | None = None,
        crf: float | None = None,
        **_later: Any,
    ) -> None:
        """Write an H.264 mp4, which is all that core writes; the arguments are core's."""
        bits = 10 if (bit_depth or 8) > 8 else 8
        tags = {key: value if isinstance(value, str) else json.dumps(value) for key, value in (metadata or {}).items()}
        with tempfile.TemporaryDirectory(prefix="zoetrope-", dir=temporary_folder()) as work:
            written = Path(work) / "video.mp4" if isinstance(path, io.BytesIO) else Path(path)
            job = encode_job(
                written,
                self.get_dimensions(),
                self.frame_rate,
                FORMATS["h264-mp4"],
                quality=-1 if crf is None else max(1, round(crf)),
                bits=bits,
                metadata=tags,
                work_dir=Path(work),
            )
            encoder = VideoEncoder(job, model_management.throw_exception_if_processing_interrupted)
            with encoder:
                for picture in self._images():
                    encoder.write(to_pixels(picture[None], bits, alpha=False))
            if isinstance(path, io.BytesIO):
                with written.open("rb") as file:
                    shutil.copyfileobj(file, path)

    def as_trimmed(
        self, start_time: float | None = None, duration: float | None = None, strict_duration: bool = False
    ) -> "ImageSequenceVideo | None":
        """The part from a time on; None when it would be empty, or shorter than a strict duration."""
        start = start_time or 0.0
        first = round((start if start >= 0 else self.get_duration() + start) * self.frame_rate)
        wanted = round(duration * self.frame_rate) if duration else len(self.numbers) - first
        kept = self.numbers[max(first, 0) :][:wanted]
        if len(kept) == 0 or (strict_duration and len(kept) < wanted):
            return None
        return replace(self, numbers=kept)

    def get_dimensions(self) -> tuple[int, int]:
        """(width, height)."""
        picture = next(self._images())
        return picture.shape[1], picture.shape[0]

    def get_duration(self) -> float:
        """Seconds."""
        return float(len(self.numbers) / self.frame_rate)

    def get_frame_count(self) -> int:
        """How many frames there are."""
        return len(self.numbers)

    def get_frame_rate(self) -> Fraction:
        """Frames a second."""
        return self.frame_rate

    def _images(self) -> Iterator[torch.Tensor]:
        """Frames as (H, W, C) floats 0-1."""
        for image in self._from_folder() if self.path.is_dir() else self._from_file():
            yield torch.from_numpy(image.astype("float32")) / (255 if image.dtype.itemsize == 1 else 65535)

    def _from_folder(self) -> Iterator[Any]:
        names = image_names(file.name for file in self.path.iterdir())
        for number in self.numbers:
            yield read_image(str(self.path / names[number]))

    def _from_file(self) -> Iterator[Any]:
        reader = open_video(str(self.path))
        yield from reader.frames(self.numbers, reader.size, "stretch")
