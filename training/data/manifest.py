"""The list of a set of clips: what its files hold, and what they were made from.

Shapes: N = frames of a clip, C = channels, h, w = size of a latent.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...inputs.quoting import plain, quoted, reason_of

VERSION = 1
MANIFEST_FILE = "manifest.json"
TEXT_FILE = "text.safetensors"
LONGEST_MANIFEST = 256_000_000  # bytes; a hundred thousand clips with long captions have a tenth of it

Facts = Mapping[str, str | int | float]  # what a thing was made from, as JSON holds it


@dataclass(frozen=True)
class ClipInfo:
    """One clip of a set.

    Attributes:
        name: of its source, for messages.
        caption: what it shows.
        frames: how many are stored.
        height: of a latent.
        width: of a latent.
    """

    name: str
    caption: str
    frames: int
    height: int
    width: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What `MANIFEST_FILE` says.

    Attributes:
        frames: of the clips that training draws from the stored ones.
        stride: stored frames from one drawn frame to the next.
        flips: each clip is there mirrored as well.
        channels: of a latent.
        pictures: what the latents were made with: VAE, size, frame rate.
        text: what the captions were encoded with.
        captions: those in `TEXT_FILE`, in the order of their numbers there.
        clips: in the order of their files.
        sources: what each clip was made from.
    """

    frames: int
    stride: int
    flips: bool
    channels: int
    pictures: Facts
    text: Facts
    captions: tuple[str, ...]
    clips: tuple[ClipInfo, ...]
    sources: tuple[Facts, ...]

    def shape(self, clip: int) -> tuple[int, int, int, int]:
        """(N, C, h, w) of a stored clip."""
        info = self.clips[clip]
        return info.frames, self.channels, info.height, info.width

    def to_bytes(self) -> bytes:
        """The file's content; the same for equal manifests."""
        return json.dumps({"version": VERSION, **asdict(self)}, indent=1, sort_keys=True).encode()


def clip_file(number: int) -> str:
    """Name of the file of a clip."""
    return f"{number:05}.safetensors"


def read_manifest(folder: Path) -> Manifest:
    """Read the list of a set of clips.

    Raises:
        ValueError: there is none, or it cannot be read; the sentence names the folder and the cure.
    """
    path = folder / MANIFEST_FILE
    try:
        if path.stat().st_size > LONGEST_MANIFEST:
            raise ValueError("its list is too long")
        return _manifest(json.loads(path.read_bytes()))
    except FileNotFoundError as error:
        raise ValueError(
            f"There are no training clips {quoted(folder.name)}: make them with Training Clips or Camera Motion Clips."
        ) from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"The training clips {quoted(folder.name)} cannot be read ({reason_of(error)}): delete their folder and make them "
            "again."
        ) from error


def _manifest(content: Any) -> Manifest:
    """Errors are what Python says; ``read_manifest`` tells the rest."""
    if content["version"] != VERSION:
        raise ValueError(f"their list is of version {plain(content['version'])} and this Zoetrope reads {VERSION}")
    manifest = Manifest(
        frames=_count(content["frames"]),
        stride=_count(content["stride"]),
        flips=bool(content["flips"]),
        channels=_count(content["channels"]),
        pictures=dict(content["pictures"]),
        text=dict(content["text"]),
        captions=tuple(map(str, content["captions"])),
        clips=tuple(map(_clip, content["clips"])),
        sources=tuple(dict(source) for source in content["sources"]),
    )
    if not manifest.clips or len(manifest.clips) != len(manifest.sources):
        raise ValueError("their list is not whole")
    missing = {clip.caption for clip in manifest.clips} | {""}
    if not missing <= set(manifest.captions):
        raise ValueError("captions of theirs are not encoded")
    return manifest


def _clip(row: Any) -> ClipInfo:
    sizes = (_count(row[name]) for name in ("frames", "height", "width"))
    return ClipInfo(str(row["name"]), str(row["caption"]), *sizes)


def _count(value: Any) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"their list has {plain(value)} where a number from 1 belongs")
    return value
