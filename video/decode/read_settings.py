"""How a video file is read, beside which frames of it."""

from dataclasses import dataclass

from ...inputs.quoting import plain, quoted, quoted_names

HDR_CHOICES = ("map to SDR", "leave as stored")
INTERLACED_CHOICES = ("deinterlace", "leave")


@dataclass(frozen=True, kw_only=True)
class ReadSettings:
    """What the user can choose; the defaults are those of every node that reads a video.

    Attributes:
        hdr: one of `HDR_CHOICES`.
        interlaced: one of `INTERLACED_CHOICES`.
        audio_track: 0 for the one that players take, n for the n-th of the file.
    """

    hdr: str = HDR_CHOICES[0]
    interlaced: str = INTERLACED_CHOICES[0]
    audio_track: int = 0

    @property
    def maps_hdr(self) -> bool:
        """HDR becomes SDR."""
        return self.hdr == HDR_CHOICES[0]

    @property
    def deinterlaces(self) -> bool:
        """Frames that are stored as two fields become whole pictures."""
        return self.interlaced == INTERLACED_CHOICES[0]

    def check(self) -> None:
        """Raise a ValueError for a choice that does not exist."""
        for name, value, choices in (
            ("hdr", self.hdr, HDR_CHOICES),
            ("interlaced", self.interlaced, INTERLACED_CHOICES),
        ):
            if value not in choices:
                raise ValueError(f"{plain(name)} is {quoted(value)}: give {quoted_names(choices)}.")
        if self.audio_track < 0:
            raise ValueError(f"audio_track is {self.audio_track}: give 0 for the usual one, or the number of a track.")
