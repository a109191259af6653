"""Sets of clips in ComfyUI's user folder: made of sources, by name."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfy.utils
import folder_paths

from ...inputs.quoting import plain
from ...training.data.buckets import bucket_size, require_length
from ...training.data.clip_set import ClipSet
from ...training.data.latent_file import LatentChunk
from ...training.data.manifest import Facts
from ...training.data.write import ClipSetPlan, PlannedClip, WrittenClips, write_clip_set
from ...training.names import check_training_name
from ..loading.digests import model_digest
from ..video.frame_stores import require_image_vae
from .encode import encode_caption, latent_chunks
from .sources import ClipSource, FoundSources


@dataclass(frozen=True, kw_only=True)
class ClipSettings:
    """How sources become a set of clips.

    Attributes:
        name: of the set.
        size: side in pixels of the square whose area each clip has.
        frames: that training draws from a clip.
        stride: frames of a clip from one drawn frame to the next.
        flip: each clip is there mirrored as well.
        prefix: before each caption.
        fallback: caption of clips that have none.
    """

    name: str
    size: int
    frames: int
    stride: int = 1
    flip: bool = False
    prefix: str = ""
    fallback: str = ""

    def caption(self, source: ClipSource) -> str:
        """The caption of a clip."""
        words = source.caption or self.fallback
        return ", ".join(part for part in (self.prefix.strip().rstrip(","), words.strip()) if part)


def clips_folder(name: str) -> Path:
    """Where a set of clips lies; its parent is made.

    Raises:
        ValueError: it is no name.
    """
    check_training_name(name)
    folder = Path(folder_paths.get_user_directory(), "default", "zoetrope", "clips")
    os.makedirs(folder, exist_ok=True)
    return folder / name


def make_clips(found: FoundSources, settings: ClipSettings, vae: Any, clip: Any) -> tuple[ClipSet, str]:
    """Encode sources as a set of clips on disk, or take the set that is there.

    Args:
        found: the sources.
        settings: how.
        vae: VAE of an image model.
        clip: CLIP.

    Returns:
        The set, and what is to be said about it.

    Raises:
        ValueError: nothing can be made of them; the sentence says why.
    """
    if vae is None or clip is None:
        raise ValueError("The checkpoint holds no VAE or no text encoder: connect Load VAE and Load CLIP.")
    require_image_vae(vae, "take a checkpoint that has one")
    folder = clips_folder(settings.name)
    if not found.clips:
        raise ValueError(f"None of the {len(found.skipped)} videos can be read: {plain(' '.join(found.skipped), 600)}")
    require_length([(source.name, source.count) for source in found.clips], settings.frames)
    plan = ClipSetPlan(
        frames=settings.frames,
        stride=settings.stride,
        flips=settings.flip,
        pictures={"vae": model_digest(vae.patcher), "size": settings.size},
        text=_text_facts(clip),
        clips=_planned(found.clips, settings, vae),
    )
    written = write_clip_set(folder, plan, lambda caption: encode_caption(clip, caption))
    return written.clips, _told(written, found)


def _text_facts(clip: Any) -> Facts:
    return {"clip": model_digest(clip.patcher), "layer": str(clip.layer_idx)}


def _planned(sources: Sequence[ClipSource], settings: ClipSettings, vae: Any) -> list[PlannedClip]:
    progress = comfy.utils.ProgressBar(total := sum(source.count for source in sources))
    clips: list[PlannedClip] = []
    before = 0
    for source in sources:
        clips.append(
            PlannedClip(
                name=source.name,
                caption=settings.caption(source),
                frames=source.count,
                source=source.facts,
                chunks=_chunks(source, settings, vae, _counter(progress, before, total)),
            )
        )
        before += source.count
    return clips


def _chunks(
    source: ClipSource, settings: ClipSettings, vae: Any, advance: Callable[[int], None]
) -> Callable[[], Iterator[LatentChunk]]:
    size = bucket_size(source.size, settings.size)
    return lambda: latent_chunks(source, size, vae, settings.flip, advance)


def _counter(progress: comfy.utils.ProgressBar, before: int, total: int) -> Callable[[int], None]:
    """Moves the bar by the frames of one clip, which begins where the clips before it end."""
    done = before

    def advance(frames: int) -> None:
        nonlocal done
        done += frames
        progress.update_absolute(done, total)

    return advance


def _told(written: WrittenClips, found: FoundSources) -> str:
    """A few lines about a set."""
    clips, skipped = written.clips, [*found.skipped, *written.skipped]
    sizes = Counter((clip.width * 8, clip.height * 8) for clip in clips.clips)
    span = (clips.frames - 1) * clips.stride + 1
    short = sum(clip.frames < span for clip in clips.clips)
    silent = sum(not clip.caption for clip in clips.clips)
    lines = [
        f"{len(clips.clips)} clips, {sum(clip.frames for clip in clips.clips):,} frames"
        f" ({written.encoded} encoded now, {len(clips.clips) - written.encoded} taken from before)",
        "sizes: " + ", ".join(f"{width}x{height} ({count})" for (width, height), count in sorted(sizes.items())),
        f"{len({clip.caption for clip in clips.clips})} captions, {silent} clips without one",
    ]
    if short:
        lines.append(f"{short} clips are shorter than {span} frames: their frames are drawn closer than stride says")
    if clips.flips:
        lines.append("mirrored as well: leave flip off for moves to one side")
    lines += [f"left out {len(skipped)}: {' '.join(skipped)}"] if skipped else []
    return "\n".join(lines)
