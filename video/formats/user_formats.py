"""Formats that users add: one JSON file each, in which every word is checked against a list. See docs/formats.md."""

import json
import math
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from ...inputs.quoting import plain, quoted, reason_of
from .user_format_words import AUDIO_CODECS, CONTAINERS, OPTIONS, STORED_PIXELS
from .video_format import Encoder, PixelFormat, Quality, VideoFormat

LARGEST_FILE = 64_000  # bytes
HIGHEST_QUALITY = 256  # of the nodes' quality widget
LONGEST_MEANING = 200
NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
ENCODER_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
VALUE = re.compile(r"(-(?=[0-9]))?[A-Za-z0-9_.+][A-Za-z0-9_.+-]{0,38}")
NEEDED = ("extension", "container", "video_encoder", "pixel_format")
OTHERS = ("pixel_format_10bit", "pixel_format_alpha", "options", "quality", "audio_encoder", "plays_in_browser")
QUALITY_KEYS = ("option", "default", "low", "high", "meaning")
NO_QUALITY = Quality(default=0, low=0, high=0, meaning="the format's file gives it no quality number")


def read_formats(folders: Iterable[Path], reserved_names: Collection[str]) -> tuple[list[VideoFormat], list[str]]:
    """Read all ``*.json`` files of some folders, in order of their names.

    Args:
        folders: those that do not exist are left out; of two files of one name the first folder's counts.
        reserved_names: names that are taken, whatever their case.

    Returns:
        (formats, sentences about files that are none).
    """
    rows: list[VideoFormat] = []
    problems: list[str] = []
    taken = {name.casefold() for name in reserved_names}
    for path in (path for folder in folders for path in sorted(folder.glob("*.json"))):
        try:
            row = read_format(path)
        except ValueError as error:
            problems.append(str(error))
            continue
        if row.name.casefold() in taken:
            problems.append(f"{plain(path.name)}: there is a format {row.name} already, so give the file another name.")
            continue
        taken.add(row.name.casefold())
        rows.append(row)
    return rows, problems


def read_format(path: Path) -> VideoFormat:
    """Read one format, named as its file is.

    Args:
        path: a JSON file.

    Raises:
        ValueError: the file cannot be read or says something that is not allowed; one sentence with file, value and cure.
    """
    try:
        if not NAME.fullmatch(path.stem):
            raise ValueError("a format's name has 1 to 40 letters, digits, - and _, so rename the file")
        return _format(path.stem, _read_json(path))
    except ValueError as error:
        raise ValueError(f"{plain(path.name)}: {plain(error, 600)}.") from error


def _read_json(path: Path) -> dict[str, Any]:
    """Return the object in a file; errors are half sentences for ``read_format``, here and below."""
    try:
        if not path.is_file():
            raise ValueError("it is no file, so remove it")
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ValueError(f"it cannot be read ({reason_of(error)}), so change its permissions or remove it") from error
    if len(data) > LARGEST_FILE:
        raise ValueError(f"it has more than {LARGEST_FILE} bytes and cannot be a format, so remove it")
    try:
        found = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON text ({reason_of(error)}), so correct it there") from error
    if not _is_object(found):
        raise ValueError(f"it holds {quoted(found)}, so write the keys in one pair of braces")
    return found


def _format(name: str, found: Mapping[str, Any]) -> VideoFormat:
    _known_keys(found, NEEDED, OTHERS)
    container_name = _one_of(found["container"], "container", CONTAINERS)
    container = CONTAINERS[container_name]
    extension = _one_of(found["extension"], f"extension of {container_name}", container.mimes)
    encoder = found["video_encoder"]
    if not isinstance(encoder, str) or not ENCODER_NAME.fullmatch(encoder) or encoder == "copy":
        raise ValueError(f"video_encoder {quoted(encoder)} is no encoder, so name one of 'ffmpeg -encoders' as libx264")
    plays = found.get("plays_in_browser", False)
    if not isinstance(plays, bool):
        raise ValueError(f"plays_in_browser {quoted(plays)} is not true or false, so write one of them")
    quality, option = _quality(found.get("quality"))
    return VideoFormat(
        name=name,
        extension=extension,
        mime=container.mimes[extension],
        muxer=container_name,
        codec=encoder,
        encoders=(_encoder(encoder, _options(found.get("options", {}), option), option),),
        pixels=_pixels(found, plays),
        container=container.arguments,
        quality=quality,
        workflow="tags",
        audio=_audio(found.get("audio_encoder"), container_name),
        plays_as="video" if plays else None,
    )


def _encoder(name: str, fixed: tuple[str, ...], option: str | None) -> Encoder:
    def options(quality: int, _pixels: PixelFormat) -> tuple[str, ...]:
        return fixed if option is None else (*fixed, f"-{option}:v", str(quality))

    return Encoder(name, options)


def _options(found: Any, quality_option: str | None) -> tuple[str, ...]:
    """Return arguments; ":v" keeps options such as "b" from the sound."""
    if not _is_object(found):
        raise ValueError(f'options {quoted(found)} is no pair of braces, so write them as {{"preset": "slow"}}')
    words: list[str] = []
    for name, value in found.items():
        _one_of(name, "option", OPTIONS)
        if name == quality_option:
            raise ValueError(f"option {quoted(name)} is the quality number too, so remove it from options")
        words += [f"-{name}:v", _value(name, value)]
    return tuple(words)


def _value(name: str, value: Any) -> str:
    good = isinstance(value, str | int | float) and not isinstance(value, bool)
    if isinstance(value, float):
        good = math.isfinite(value)
    if not good or not VALUE.fullmatch(str(value)):
        raise ValueError(
            f"option {quoted(name)} has {quoted(value)}, so give it a number or at most 39 letters, digits, '.', '_', '+' and '-'"
        )
    return str(value)


def _quality(found: Any) -> tuple[Quality, str | None]:
    """Return what the quality number means and the encoder's option that takes it, if any."""
    if found is None:
        return NO_QUALITY, None
    if not _is_object(found):
        raise ValueError(f"quality {quoted(found)} is no pair of braces, so write {', '.join(QUALITY_KEYS)} in it")
    _known_keys(found, QUALITY_KEYS, (), "quality ")
    option = _one_of(found["option"], "quality option", OPTIONS)
    numbers = [found[key] for key in ("low", "default", "high")]
    if (
        any(type(number) is not int for number in numbers)
        or not 0 <= numbers[0] <= numbers[1] <= numbers[2] <= HIGHEST_QUALITY
    ):
        raise ValueError(
            f"quality has low, default and high {quoted(numbers)}, so give whole numbers that rise from 0 to {HIGHEST_QUALITY}"
        )
    meaning = found["meaning"]
    if not isinstance(meaning, str) or not meaning.isprintable() or not 0 < len(meaning) <= LONGEST_MEANING:
        raise ValueError(
            f"quality has the meaning {quoted(meaning)}, so write 1 to {LONGEST_MEANING} signs in one line"
        )
    return Quality(default=numbers[1], low=numbers[0], high=numbers[2], meaning=meaning), option


def _pixels(found: Mapping[str, Any], plays: bool) -> tuple[PixelFormat, ...]:
    names = {
        key: _one_of(found[key], key, STORED_PIXELS)
        for key in ("pixel_format", "pixel_format_10bit", "pixel_format_alpha")
        if key in found
    }
    for key, name in names.items():
        pixels = STORED_PIXELS[name]
        if pixels.alpha != (key == "pixel_format_alpha"):
            has = "has" if pixels.alpha else "has no"
            raise ValueError(
                f"{plain(key)} {quoted(name)} {has} transparency, so give pixel_format_alpha and only this one that has it"
            )
        if key == "pixel_format_10bit" and pixels.bits < 10:
            raise ValueError(
                f"{plain(key)} {quoted(name)} has {pixels.bits} bits, so give one with 10 or remove the key"
            )
    return tuple(
        PixelFormat(name, STORED_PIXELS[name].bits, STORED_PIXELS[name].alpha, plays) for name in names.values()
    )


def _audio(found: Any, container: str) -> tuple[str, ...] | None:
    if found is None:
        return None
    return AUDIO_CODECS[_one_of(found, f"audio_encoder of {container}", CONTAINERS[container].audio)]


def _is_object(found: object) -> TypeGuard[dict[str, Any]]:
    """Whether a value of JSON is one with keys, which are texts."""
    return isinstance(found, dict)


def _known_keys(found: Mapping[str, Any], needed: Collection[str], others: Collection[str], of: str = "") -> None:
    for key in found:
        _one_of(key, f"{of}key", (*needed, *others))
    for key in needed:
        if key not in found:
            raise ValueError(f"the {of}key {quoted(key)} is missing, so add it")


def _one_of(value: Any, what: str, known: Iterable[str]) -> str:
    names = sorted(known)
    if not isinstance(value, str) or value not in names:
        raise ValueError(
            f"{plain(what, 600)} {quoted(value)} is not allowed, so choose one of {plain(', '.join(names), 600)}"
        )
    return value
