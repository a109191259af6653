"""Writes a set of clips: in a folder of its own first, which takes the set's name when all of it is there.

What the set of that name held before is taken again, clip by clip, where it was made from the same source in the same way.
"""

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from ...inputs.quoting import quoted, reason_of
from ...video.file_names import remove
from .clip_set import ClipSet, text_tensors
from .latent_file import LatentChunk, write_latents
from .manifest import MANIFEST_FILE, TEXT_FILE, ClipInfo, Facts, Manifest, clip_file

ABANDONED = 3600  # seconds without a change, after which an unfinished folder belongs to a run that was killed


class UnreadableClipError(ValueError):
    """A source that cannot be read: it is left out, and the others go on."""


@dataclass(frozen=True, kw_only=True)
class PlannedClip:
    """A clip that shall be stored.

    Attributes:
        name: of its source.
        caption: what it shows.
        frames: how many will be stored.
        source: what tells it from any other: name, size and time of a file, a digest of pictures.
        chunks: encodes its frames, a few at a time; may raise `UnreadableClipError`.
    """

    name: str
    caption: str
    frames: int
    source: Facts
    chunks: Callable[[], Iterator[LatentChunk]] = field(compare=False)


@dataclass(frozen=True, kw_only=True)
class ClipSetPlan:
    """A set that shall be there; see `Manifest` for what the fields say."""

    frames: int
    stride: int
    flips: bool
    pictures: Facts
    text: Facts
    clips: Sequence[PlannedClip]

    def is_made(self, made: Manifest) -> bool:
        """Whether a set is exactly this one."""
        clips = [
            (clip.name, clip.caption, clip.frames, dict(source))
            for clip, source in zip(made.clips, made.sources, strict=True)
        ]
        wanted = [(clip.name, clip.caption, clip.frames, dict(clip.source)) for clip in self.clips]
        drawn = (made.frames, made.stride) == (self.frames, self.stride)
        return drawn and clips == wanted and self.has_same_pictures(made) and dict(made.text) == dict(self.text)

    def has_same_pictures(self, made: Manifest) -> bool:
        """Whether clips of a set were encoded as these shall be."""
        return made.flips == self.flips and dict(made.pictures) == dict(self.pictures)


@dataclass(frozen=True)
class WrittenClips:
    """What became of a plan: the set, how many clips were encoded for it, and sentences about those left out."""

    clips: ClipSet
    encoded: int
    skipped: tuple[str, ...]


def write_clip_set(folder: Path, plan: ClipSetPlan, encode: Callable[[str], dict[str, Tensor]]) -> WrittenClips:
    """Make a set of clips, or take the one that is there if it is the same.

    Args:
        folder: that the set becomes; its parent exists.
        plan: what it shall hold.
        encode: the text encoder, see `ClipSet.text`.

    Raises:
        ValueError: no clip can be read, or the disk takes no more; the set that was there before is as it was.
    """
    before = _opened(folder)
    if before is not None and plan.is_made(before.manifest):
        return WrittenClips(before, 0, ())
    _remove_abandoned(folder)
    part = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}.part")
    try:
        part.mkdir()
        encoded, skipped = _fill(part, plan, encode, before)
        _put_in_place(part, folder)
    except (OSError, SafetensorError) as error:
        raise ValueError(
            f"The training clips {quoted(folder.name)} cannot be written ({reason_of(error)}): make room on the disk or let "
            "ComfyUI write into its user folder; nothing half is left."
        ) from error
    finally:
        remove(part)
    return WrittenClips(ClipSet(folder), encoded, tuple(skipped))


def _opened(folder: Path) -> ClipSet | None:
    """The set that is there, None where there is none or it is damaged."""
    with suppress(ValueError):
        return ClipSet(folder)
    return None


def _fill(
    part: Path, plan: ClipSetPlan, encode: Callable[[str], dict[str, Tensor]], before: ClipSet | None
) -> tuple[int, list[str]]:
    """Write all files; returns how many clips were encoded, and sentences about those left out."""
    kept: list[tuple[PlannedClip, tuple[int, ...]]] = []
    skipped: list[str] = []
    encoded = 0
    for clip in plan.clips:
        path = part / clip_file(len(kept))
        shape = _taken_again(path, clip, plan, before)
        if shape is None:
            try:
                shape = write_latents(path, clip.frames, clip.chunks())
                encoded += 1
            except UnreadableClipError as error:
                path.unlink(missing_ok=True)
                skipped.append(str(error))
                continue
        kept.append((clip, shape))
    if not kept:
        raise ValueError(f"None of the {len(plan.clips)} clips can be read: {' '.join(skipped)}")
    captions = tuple(dict.fromkeys(["", *(clip.caption for clip, _ in kept)]))
    texts = text_tensors([encode(caption) for caption in captions])
    safetensors.torch.save_file(texts, part / TEXT_FILE)  # pyright: ignore[reportUnknownMemberType]
    (part / MANIFEST_FILE).write_bytes(_manifest(plan, kept, captions).to_bytes())
    return encoded, skipped


def _manifest(
    plan: ClipSetPlan, kept: Sequence[tuple[PlannedClip, tuple[int, ...]]], captions: tuple[str, ...]
) -> Manifest:
    channels = {shape[0] for _, shape in kept}
    return Manifest(
        frames=plan.frames,
        stride=plan.stride,
        flips=plan.flips,
        channels=channels.pop(),
        pictures=plan.pictures,
        text=plan.text,
        captions=captions,
        clips=tuple(ClipInfo(clip.name, clip.caption, clip.frames, *shape[1:]) for clip, shape in kept),
        sources=tuple(clip.source for clip, _ in kept),
    )


def _taken_again(path: Path, clip: PlannedClip, plan: ClipSetPlan, before: ClipSet | None) -> tuple[int, ...] | None:
    """Give a clip of the earlier set a second name, if it is this one; returns (channels, height, width)."""
    if before is None or not plan.has_same_pictures(before.manifest):
        return None
    for number, source in enumerate(before.manifest.sources):
        if dict(source) == dict(clip.source) and before.clips[number].frames == clip.frames:
            old = before.folder / clip_file(number)
            try:
                os.link(old, path)
            except OSError:  # a file system without hard links
                shutil.copyfile(old, path)
            return before.manifest.shape(number)[1:]
    return None


def _put_in_place(part: Path, folder: Path) -> None:
    """Give a whole folder its name; the one that had it goes away last."""
    old = part.with_suffix(".old")
    had_one = folder.exists()
    if had_one:
        folder.rename(old)
    try:
        part.rename(folder)
    except OSError:
        if had_one:
            old.rename(folder)
        raise
    remove(old)


def _remove_abandoned(folder: Path) -> None:
    """Remove what runs that were killed have left of this set."""
    unfinished = re.compile(rf"\.{re.escape(folder.name)}\.[0-9a-f]{{8}}\.(part|old)")
    for path in folder.parent.iterdir():
        if unfinished.fullmatch(path.name) and time.time() - _last_change(path) > ABANDONED:
            remove(path)


def _last_change(folder: Path) -> float:
    return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
