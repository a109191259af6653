"""Frames to latents and captions to vectors, with the user's VAE and text encoder."""

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from typing import Any

from comfy import model_management
from torch import Tensor

from ...inputs.quoting import quoted, reason_of
from ...training.data.clip_set import CROSS_ATTENTION, POOLED
from ...training.data.latent_file import LatentChunk
from ...training.data.write import UnreadableClipError
from ..video.frame_stores import READ_AT_ONCE, to_floats
from .sources import ClipSource, Frames


def latent_chunks(
    source: ClipSource, size: tuple[int, int], vae: Any, flips: bool, advance: Callable[[int], object]
) -> Iterator[LatentChunk]:
    """Encode a source, eight frames at a time.

    Args:
        source: the clip.
        size: (width, height) that its frames are given.
        vae: VAE of an image model.
        flips: encode the mirrored frames as well.
        advance: is told how many frames were encoded.

    Raises:
        UnreadableClipError: a frame cannot be read.
    """
    with closing(_readable(source, size)) as frames:
        while chunk := list(islice(frames, READ_AT_ONCE)):
            model_management.throw_exception_if_processing_interrupted()
            pixels = to_floats(chunk)[..., :3]
            mirrored = (vae.encode(pixels.flip(2)),) if flips else ()
            yield vae.encode(pixels), *mirrored
            advance(len(chunk))


def _readable(source: ClipSource, size: tuple[int, int]) -> Frames:
    try:
        yield from source.frames(size)
    except (ValueError, OSError) as error:
        raise UnreadableClipError(f"{quoted(source.name)}: {reason_of(error)}.") from error


def encode_caption(clip: Any, caption: str) -> dict[str, Tensor]:
    """A caption as core's CLIP Text Encode makes it, without schedules of hooks.

    Args:
        clip: CLIP.
        caption: the text.

    Returns:
        See `ClipSet.text`.
    """
    made = clip.encode_from_tokens(clip.tokenize(caption), return_pooled=True, return_dict=True)
    pooled = made.get("pooled_output")
    return {CROSS_ATTENTION: made["cond"], **({} if pooled is None else {POOLED: pooled})}
