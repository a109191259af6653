"""Which stream of several: the picture and the sound that players play.

Recordings hold a mix and single tracks, phone pictures a still beside the film. One answer for pictures, sound and facts.
"""

from typing import Any

from av.stream import Disposition

MOST_HZ, MOST_CHANNELS = 768_000, 64
ASIDE = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails


def chosen_video(container: Any) -> Any:
    """The moving picture: marked default, then the one that ffmpeg finds best; covers and stills only where there is no other.

    Raises:
        ValueError: there is none, or none that can be decoded.
    """
    streams = [stream for stream in container.streams.video if not stream.disposition & ASIDE]
    if not streams:
        raise ValueError("The file has no video stream; load one that has.")
    known = [stream for stream in streams if stream.codec_context is not None]
    if not known:
        raise ValueError("The file's video is of a kind that ffmpeg cannot decode; convert it to H.264 first.")
    moving = [stream for stream in known if stream.frames != 1]  # 0 where the container does not say
    return _preferred(moving or known, container.streams.best("video", related=None))


def chosen_audio(container: Any, track: int = 0) -> Any:
    """The sound, or None for a silent file.

    Args:
        container: PyAV's, whose picture `chosen_video` gives.
        track: 0 for the one that is marked default, then the best beside the picture; n for the n-th sound track of the file.

    Raises:
        ValueError: there is no such track, or it cannot be decoded.
    """
    tracks = list(container.streams.audio)
    if not track:
        usable = [stream for stream in tracks if _can_be_heard(stream)]
        best = container.streams.best("audio", related=chosen_video(container))
        return _preferred(usable, best) if usable else None
    if not 0 < track <= len(tracks):
        there = f"1 to {len(tracks)}" if tracks else "none"
        raise ValueError(f"audio_track is {track}, and the file's sound tracks are {there}: give one of them, or 0.")
    if not _can_be_heard(tracks[track - 1]):
        raise ValueError(
            f"Sound track {track} is of a kind that ffmpeg cannot decode: choose another audio_track, or 0."
        )
    return tracks[track - 1]


def choice_in_words(container: Any, track: int = 0) -> str:
    """A sentence about the choice where there was one, else ""."""
    said: list[str] = []
    pictures = [stream for stream in container.streams.video if not stream.disposition & ASIDE]
    if len(pictures) > 1:
        said.append(f"picture {pictures.index(chosen_video(container)) + 1} of {len(pictures)}")
    tracks = list(container.streams.audio)
    if len(tracks) > 1 and (sound := chosen_audio(container, track)) is not None:
        said.append(f"sound track {tracks.index(sound) + 1} of {len(tracks)}")
    return f"The video has several streams; read are {' and '.join(said)}." if said else ""


def _preferred(streams: list[Any], best: Any) -> Any:
    """The best of those that are marked default, or of all where none is."""
    marked = [stream for stream in streams if stream.disposition & Disposition.default] or streams
    return next((stream for stream in marked if best is not None and stream.index == best.index), marked[0])


def _can_be_heard(stream: Any) -> bool:
    """Ffmpeg has a decoder (decoding without one ends the process), and the rate is possible."""
    context = stream.codec_context
    return context is not None and 0 < context.sample_rate <= MOST_HZ and 0 < context.channels <= MOST_CHANNELS
