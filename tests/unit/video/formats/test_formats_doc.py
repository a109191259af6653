"""docs/formats.md says what the code does."""

import json
import re
from pathlib import Path

import pytest

from support import pack
from zoetrope.video.formats.table import FORMATS
from zoetrope.video.formats.user_format_words import CONTAINERS, OPTIONS, STORED_PIXELS
from zoetrope.video.formats.user_formats import HIGHEST_QUALITY, LARGEST_FILE, NEEDED, OTHERS, QUALITY_KEYS, read_format

DOC = (Path(pack.ROOT) / "docs" / "formats.md").read_text(encoding="utf-8")
SOUND = {"aac": "AAC", "libopus": "Opus", "pcm_s16le": "PCM", "flac": "FLAC"}
# Where the canvas of frontend 1.47 looks: metadata/parser.ts and pnginfo.ts.
CANVAS_READS = {"mp4", "webm", "mov", "webp", "png"}


def table(first_column, number=0):
    """Rows of a table by its first cell, each a dict of its columns."""
    lines = DOC.splitlines()
    (*_, start) = [at for at, line in enumerate(lines) if line.startswith(f"| {first_column} |")][: number + 1]
    header, _, *rest = [line for line in lines[start : lines.index("", start)]]
    names, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in (header, *rest))
    return {row[0]: dict(zip(names, row, strict=True)) for row in rows}


def words(cell):
    return re.findall(r"`([^`]+)`", cell)


def test_every_format_has_its_rows_and_nothing_else_has():
    assert list(table("format")) == list(table("format", 1)) == list(FORMATS)


@pytest.mark.parametrize("row", FORMATS.values(), ids=list(FORMATS))
def test_a_format_is_described_as_it_is(row):
    said = table("format")[row.name]
    assert said["extension"] == f".{row.extension}"
    assert said["bits"] == ", ".join(str(bits) for bits in sorted({pixels.bits for pixels in row.pixels}))
    assert said["transparency"] == ("yes" if any(pixels.alpha for pixels in row.pixels) else "no")
    assert said["sound"] == ("no" if row.audio is None else SOUND[row.audio[row.audio.index("-c:a") + 1]])
    assert row.codec.lower() in said["codec"].lower().replace(".", "") or row.codec == "apng"
    assert ("lossless" in said["codec"]) == (row.quality.low == row.quality.high or row.name == "webp")
    places = {"tags": "tags", "comment": "comment", "exif": "EXIF", "text": "text"}
    assert places[row.workflow] in said["workflow"]
    assert said["drop on the canvas"].startswith("opens it") == (row.extension in CANVAS_READS)
    assert said["in the node"].startswith("plays" if row.plays_as else "a preview")
    assert ("with 10 bits a preview" in said["in the node"]) == (
        row.plays_as is not None and any(not pixels.plays for pixels in row.pixels)
    )


@pytest.mark.parametrize("row", FORMATS.values(), ids=list(FORMATS))
def test_the_quality_number_is_described_as_it_is(row):
    said, quality = table("format", 1)[row.name], row.quality
    assert (said["from"], said["to"], said["default"]) == (str(quality.low), str(quality.high), str(quality.default))
    assert said["meaning"] == quality.meaning


def test_the_example_is_a_format(tmp_path):
    (text,) = re.findall(r"```json\n(.*?)```", DOC, re.DOTALL)
    (name,) = re.findall(r"`models/video_formats/([^`]+)`", DOC)
    (tmp_path / name).write_text(text)
    row = read_format(tmp_path / name)
    assert f"{row.name}.json" == name
    assert set(json.loads(text)) == {*NEEDED, *OTHERS} - {"pixel_format_alpha"}


def test_all_words_of_own_formats_are_listed():
    keys = {words(key)[0]: said for key, said in table("key").items()}
    assert [key for key, said in keys.items() if said["needed"] == "yes"] == list(NEEDED)
    assert [key for key, said in keys.items() if said["needed"] == "no"] == list(OTHERS)
    assert set(words(keys["quality"]["what it is"])) == set(QUALITY_KEYS)
    assert f"0 to {HIGHEST_QUALITY}" in keys["quality"]["what it is"]
    assert f"{LARGEST_FILE} bytes" in DOC
    containers = {words(name)[0]: said for name, said in table("container").items()}
    assert {name: words(said["extensions"]) for name, said in containers.items()} == {
        name: list(container.mimes) for name, container in CONTAINERS.items()
    }
    assert {name: tuple(words(said["audio encoders"])) for name, said in containers.items()} == {
        name: container.audio for name, container in CONTAINERS.items()
    }
    listed = {
        (name, int(bits), alpha)
        for bits, said in table("bits").items()
        for alpha, column in ((False, "pixel formats"), (True, "with transparency"))
        for name in words(said[column])
    }
    assert listed == {(pixels.name, pixels.bits, pixels.alpha) for pixels in STORED_PIXELS.values()}
    assert set(words(DOC.split("\nOptions:\n")[1].split("\n\n")[0])) == OPTIONS
