"""Files of moving pictures for tests of the readers, made by PyAV and Pillow, and what is read of them.

Shapes: F = frames, H = height, W = width.
"""

import struct
from fractions import Fraction
from io import BytesIO

import av
import numpy as np
from PIL import Image

from zoetrope.video.decode.container import VideoFile
from zoetrope.video.decode.frame_times import TimeMap, TimeSelection
from zoetrope.video.decode.reader import scan


def flat(frames, step=9, size=(64, 48), first=20):
    """(F, H, W, 3): each frame of one gray that tells its number."""
    grays = first + step * np.arange(frames)
    return np.broadcast_to(grays[:, None, None, None], (frames, size[1], size[0], 3)).astype(np.uint8)


def film(
    pictures,
    rate=24,
    kind="mp4",
    codec="libx264",
    pixels="yuv420p",
    sound=0.0,
    options=None,
    times=None,
    tags=None,
    hertz=8000,
):
    """A file in memory.

    Args:
        pictures: (F, H, W, 3), or 4 with alpha.
        rate: frames a second.
        kind: container.
        codec: of the picture.
        pixels: format it is stored in.
        sound: seconds of a rising ramp.
        options: of the codec.
        times: of the frames in units of 1 / rate; regular by default.
        tags: attributes of the codec context.
        hertz: samples a second.
    """
    file = BytesIO()
    with av.open(file, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=rate, options={"crf": "1"} if options is None else options)
        stream.height, stream.width, stream.pix_fmt = *pictures.shape[1:3], pixels
        for name, value in (tags or {}).items():
            setattr(stream.codec_context, name, value)
        names = {"mp4": "aac", "mpegts": "aac", "matroska": "pcm_s16le", "mov": "pcm_s16le"}
        audio = container.add_stream(names[kind], rate=hertz, layout="mono") if sound else None
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgba" if picture.shape[2] == 4 else "rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[number], Fraction(1) / Fraction(rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if audio:
            _add_ramp(container, audio, round(hertz * sound))
    return file


def _add_ramp(container, audio, samples):
    ramp = np.linspace(-0.5, 0.5, samples, dtype=np.float32)[None]
    if audio.codec_context.name != "aac":
        ramp = (ramp * 32767).astype(np.int16)
    for first in range(0, samples, 777):  # no whole number of milliseconds
        block = ramp[:, first : first + 777]
        frame = av.AudioFrame.from_ndarray(block, format="fltp" if block.dtype == np.float32 else "s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = audio.rate, first, Fraction(1, audio.rate)
        container.mux(audio.encode(frame))
    container.mux(audio.encode())


def written(path, file):
    """The path, as text, of a file in memory once it is on disk."""
    path.write_bytes(file.getvalue())
    return str(path)


def turned(file, a, b, c, d):
    """An MP4 with another display matrix in its track header (ISO/IEC 14496-12, 8.3.2)."""
    data = bytearray(file.getvalue())
    place = data.index(b"tkhd") + 4 + 40
    one = 1 << 16
    data[place : place + 36] = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    return BytesIO(bytes(data))


def cut_at_the_start(file, ticks):
    """An MP4 whose edit list leaves out so many ticks of the picture, as phones trim (ISO/IEC 14496-12, 8.6.6)."""
    data = bytearray(file.getvalue())
    place = data.index(b"elst") + 4 + 12
    data[place : place + 4] = struct.pack(">i", ticks)
    return BytesIO(bytes(data))


def webp(path, pictures, durations, mode="RGB"):
    """An animated WebP without loss."""
    images = [Image.fromarray(picture).convert(mode) for picture in pictures]
    rest = {"append_images": images[1:], "duration": list(durations), "lossless": True}
    images[0].save(path, "WEBP", save_all=True, **rest)
    return str(path)


def looked(file):
    """The frames of a file in memory."""
    return scan(VideoFile(file))


def read(frames, size=(64, 48), fit="stretch", untagged="auto", **selection):
    """(F, H, W, C) of a selection."""
    plan = TimeMap(frames.timeline, TimeSelection(**selection))
    return np.stack(list(frames.frames(plan, size, fit, untagged)))
