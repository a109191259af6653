"""From IMAGE or LATENT to a finished file in ComfyUI's output folder.

Shapes: F = frames, B = batch, C = channels, H = height, W = width, T = time axis of video latents.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import comfy.utils
import folder_paths
import numpy as np
import torch
from comfy import model_management
from comfy.cli_args import args
from comfy.ldm.modules.temporal_ae import VideoDecoder
from comfy_api.latest import InputImpl
from numpy.typing import NDArray

from ..video.audio import Sound, fit_sound
from ..video.encoder import VideoEncoder
from ..video.formats import VideoFormat, find_format
from ..video.frames import frame_order, to_uint8
from ..video.metadata import workflow_metadata
from ..video.names import clean_prefix, reserve
from ..video.rates import exact_rate

log = logging.getLogger("zoetrope")

CHUNK_FRAMES = 8  # decoded at once; only these are in memory, whatever the length of the clip


@dataclass(frozen=True)
class FrameSource:
    """Frames by number: ``at([3, 4])`` returns those frames as (F, H, W, C) floats 0-1.

    A source that makes its frames when they are asked for may tell the progress itself.
    """

    frames: int
    at: Callable[[list[int]], torch.Tensor]
    tells_progress: bool = False


@dataclass(frozen=True)
class VideoSettings:
    """The widgets of Combine Video; see the node for their meaning."""

    frame_rate: float | Fraction
    format: str
    filename_prefix: str
    loop_count: int = 0
    pingpong: bool = False
    quality: int = -1
    save_output: bool = True

    def check(self) -> tuple[VideoFormat, Fraction]:
        """Return format and exact frame rate.

        Raises:
            ValueError: something that can be known before any frame is decoded is wrong.
        """
        row, rate = find_format(self.format), exact_rate(self.frame_rate)
        row.require_rate(rate)
        row.quality_or_default(self.quality)
        clean_prefix(self.filename_prefix)
        return row, rate


@dataclass(frozen=True)
class SavedVideo:
    """A finished file and the facts about it."""

    path: Path
    subfolder: str
    folder_type: str
    format: VideoFormat
    frame_rate: Fraction
    frames: int
    width: int
    height: int

    def video_output(self) -> InputImpl.VideoFromFile:
        """Return the VIDEO that other nodes read; it opens the file only when asked for something."""
        return InputImpl.VideoFromFile(str(self.path))

    def ui(self) -> dict[str, list[Any]]:
        """Return what the frontend and ``/history`` get: ``images`` draws in the node, ``video`` has the facts."""
        entry = {"filename": self.path.name, "subfolder": self.subfolder, "type": self.folder_type}
        facts = {
            "frames": self.frames,
            "fps": float(self.frame_rate),
            "frame_rate": float(self.frame_rate),  # the name that other front ends read
            "width": self.width,
            "height": self.height,
            "codec": self.format.codec,
            "duration": float(self.frames / self.frame_rate),
            "format": self.format.mime,
        }
        # The frontend takes an animated .gif for a film that it then cannot play; as a picture it shows.
        return {"images": [entry], "animated": [self.format.plays_as != "image"], "video": [{**entry, **facts}]}


def frame_source(images: torch.Tensor | None, samples: Mapping[str, Any] | None, vae: Any) -> FrameSource:
    """Return the frames of exactly one of IMAGE and LATENT.

    Args:
        images: (F, H, W, C) floats 0-1, or None.
        samples: a LATENT, or None.
        vae: decodes the latents; needed with samples.

    Raises:
        ValueError: both or none are connected, the VAE is missing or does not fit, or there are no frames.
    """
    if (images is None) == (samples is None):
        found = "Both images and samples are" if images is not None else "Neither images nor samples is"
        raise ValueError(f"{found} connected to Combine Video: connect exactly one of them.")
    if samples is not None:
        if vae is None:
            raise ValueError(
                "Combine Video got samples but no vae to decode them: connect the checkpoint's VAE to vae."
            )
        source = _latent_source(samples["samples"], vae)
    else:
        assert images is not None
        source = _image_source(images)
    if source.frames == 0:
        raise ValueError("Combine Video got 0 frames: connect at least one frame.")
    return source


def _image_source(images: torch.Tensor) -> FrameSource:
    return FrameSource(len(images), lambda numbers: images[numbers])


def _latent_source(latents: torch.Tensor, vae: Any) -> FrameSource:
    """Decode frames when they are asked for, or all at once where the VAE couples them.

    Args:
        latents: (F, C, H, W), or (B, C, T, H, W) for video VAEs.
        vae: comfy.sd.VAE.
    """
    if latents.is_nested:
        latents = latents.unbind()[0]
    dims = getattr(vae, "latent_dim", 2)
    if dims == 3 or _couples_frames(vae):
        pixels = vae.decode(latents)
        return _image_source(pixels.reshape(-1, *pixels.shape[-3:]))
    if latents.ndim == 5 and latents.shape[2] == 1:
        latents = latents[:, :, 0]
    if dims != 2 or latents.ndim != 4:
        raise ValueError(
            f"Latents of shape {tuple(latents.shape)} are not what this VAE decodes to frames: connect the VAE of the "
            "model that made them."
        )
    return FrameSource(len(latents), lambda numbers: vae.decode(latents[numbers]))


def _couples_frames(vae: Any) -> bool:
    """SVD's image VAE has a decoder that mixes the frames of its batch, so it must see the whole clip."""
    return isinstance(getattr(vae.first_stage_model, "decoder", None), VideoDecoder)


def save_video(
    source: FrameSource,
    settings: VideoSettings,
    audio: Mapping[str, Any] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> SavedVideo:
    """Decode, encode and save a clip; memory does not grow with its length.

    Args:
        source: the frames.
        settings: the widgets.
        audio: AUDIO dict of waveform and sample_rate, cut or padded to the clip.
        metadata: what to embed, from ``embedded_workflow``.

    Raises:
        ValueError: a setting is impossible, or ffmpeg failed; nothing is left on disk.
    """
    row, rate = settings.check()
    order = frame_order(source.frames, settings.pingpong)
    chunks = _chunks(source, order)
    first = next(chunks)
    height, width = first.shape[1:3]
    sound = _sound(audio, row, len(order) / rate)
    progress = None if source.tells_progress else comfy.utils.ProgressBar(len(order))
    path, subfolder = _place(settings, row, width, height)
    encoder = VideoEncoder(
        path,
        (width, height),
        rate,
        row,
        quality=settings.quality,
        loop_count=settings.loop_count,
        metadata=metadata,
        sound=sound,
        work_dir=Path(folder_paths.get_temp_directory()),
        check=model_management.throw_exception_if_processing_interrupted,
    )
    with encoder:
        for pixels in chain([first], chunks):
            encoder.write(pixels)
            if progress is not None:
                progress.update(len(pixels))
    log.info("Wrote %s (%d frames)", path.name, encoder.frames)
    kind = "output" if settings.save_output else "temp"
    return SavedVideo(path, subfolder, kind, row, rate, encoder.frames, *encoder.stored_size)


def _chunks(source: FrameSource, order: list[int]) -> Iterator[NDArray[np.uint8]]:
    """Yield 8-bit (F, H, W, 3) chunks; an interrupt is noticed between them."""
    for start in range(0, len(order), CHUNK_FRAMES):
        model_management.throw_exception_if_processing_interrupted()
        yield to_uint8(source.at(order[start : start + CHUNK_FRAMES]))


def _sound(audio: Mapping[str, Any] | None, row: VideoFormat, seconds: Fraction) -> Sound | None:
    if audio is None:
        return None
    if row.audio_encoder is None:
        log.warning("%s files have no sound: the audio was left out, choose h264-mp4 to keep it", row.name)
        return None
    return fit_sound(audio["waveform"], int(audio["sample_rate"]), seconds)


def _place(settings: VideoSettings, row: VideoFormat, width: int, height: int) -> tuple[Path, str]:
    """Reserve a name in the output or the temporary folder; return its path and its subfolder."""
    temp = folder_paths.get_temp_directory()
    os.makedirs(temp, exist_ok=True)
    root = folder_paths.get_output_directory() if settings.save_output else temp
    prefix = clean_prefix(settings.filename_prefix)
    folder, stem, counter, subfolder, _ = folder_paths.get_save_image_path(prefix, root, width, height)
    os.makedirs(folder, exist_ok=True)
    return reserve(Path(folder), stem, counter, row.extension), subfolder


def embedded_workflow(wanted: bool, prompt: Any, extra_pnginfo: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the metadata to embed: none when the user or ``--disable-metadata`` says so."""
    return workflow_metadata(prompt, extra_pnginfo) if wanted and not args.disable_metadata else {}
