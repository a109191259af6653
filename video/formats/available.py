"""Which formats can be written here: the rows of the table whose encoder opens, and why the others are missing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ...inputs.quoting import plain, quoted
from .video_format import VideoFormat

FALLBACK = "h264-mp4"


@dataclass(frozen=True)
class AvailableFormats:
    """The formats of one machine.

    Attributes:
        rows: what can be written, by name, each with the one encoder that opens.
        reasons: why other names cannot, each with the way out, one sentence.
    """

    rows: Mapping[str, VideoFormat]
    reasons: Mapping[str, str]

    def find(self, name: str) -> VideoFormat:
        """Return the row of a name.

        Raises:
            ValueError: there is no such format, or no encoder for it; the sentence names what there is.
        """
        if name in self.rows:
            return self.rows[name]
        if name in self.reasons:
            raise ValueError(plain(self.reasons[name], 600))
        raise ValueError(
            f"There is no video format {quoted(name)}: choose {plain(', '.join(self.rows) or 'nothing, none opens', 600)}."
        )


def keep_writable(rows: Iterable[VideoFormat], opened: Mapping[str, str]) -> AvailableFormats:
    """Keep the rows that can be written.

    Args:
        rows: all formats.
        opened: for each encoder "" or why it does not open, from ``probe_encoders``; one that is not in it does not open.
    """
    usable: dict[str, VideoFormat] = {}
    missing: list[VideoFormat] = []
    for row in rows:
        encoder = next((encoder for encoder in row.encoders if opened.get(encoder.name) == ""), None)
        if encoder is None:
            missing.append(row)
        else:
            usable[row.name] = replace(row, encoders=(encoder,))
    return AvailableFormats(usable, {row.name: _sentence(row, usable, opened) for row in missing})


def _sentence(row: VideoFormat, usable: Mapping[str, VideoFormat], opened: Mapping[str, str]) -> str:
    tried = " and ".join(f"{encoder.name} ({_why(encoder.name, opened)})" for encoder in row.encoders)
    return f"{row.name} cannot be written here, ffmpeg could not open {tried}: {_way_out(row, usable)}."


def _why(encoder: str, opened: Mapping[str, str]) -> str:
    return opened.get(encoder) or "it was not tried"


def _way_out(row: VideoFormat, usable: Mapping[str, VideoFormat]) -> str:
    """The same codec by another encoder is the nearest; h264-mp4 plays everywhere."""
    same = [name for name, other in usable.items() if other.codec == row.codec]
    choice = next(iter(same), FALLBACK if FALLBACK in usable else next(iter(usable), None))
    if choice is None:
        return "install imageio-ffmpeg, whose ffmpeg has the encoders"
    return f"choose {choice}"
