"""Formats of the user: good ones encode, everything else is one sentence and no ffmpeg argument."""

import json
import os
import re

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.clips import chart
from zoetrope.video.encode.encoder import VideoEncoder
from zoetrope.video.encode.job import encode_job
from zoetrope.video.formats.table import FORMATS
from zoetrope.video.formats.user_format_words import CONTAINERS, OPTIONS, STORED_PIXELS
from zoetrope.video.formats.user_formats import read_format, read_formats
from zoetrope.video.formats.video_format import PixelFormat, Quality

GOOD = {
    "extension": "mp4",
    "container": "mp4",
    "video_encoder": "libx264",
    "pixel_format": "yuv444p",
    "pixel_format_10bit": "yuv444p10le",
    "options": {"preset": "veryfast", "g": 12, "aq-strength": 0.8, "qmin": -1},
    "quality": {"option": "crf", "default": 16, "low": 0, "high": 51, "meaning": "crf, 0 is lossless"},
    "audio_encoder": "flac",
    "plays_in_browser": False,
}


@pytest.fixture
def read(tmp_path):
    """A function that writes a format file and reads it."""

    def write_and_read(found, name="mine.json"):
        path = tmp_path / name
        path.write_text(found if isinstance(found, str) else json.dumps(found), encoding="utf-8")
        return read_format(path)

    return write_and_read


def test_every_key_arrives(read):
    row = read(GOOD)
    (encoder,) = row.encoders
    assert (row.name, row.extension, row.mime, row.muxer, row.codec) == ("mine", "mp4", "video/mp4", "mp4", "libx264")
    assert row.pixels == (PixelFormat("yuv444p", plays=False), PixelFormat("yuv444p10le", bits=10, plays=False))
    assert row.quality == Quality(default=16, low=0, high=51, meaning="crf, 0 is lossless")
    words = ["-preset:v", "veryfast", "-g:v", "12", "-aq-strength:v", "0.8", "-qmin:v", "-1", "-crf:v", "20"]
    assert encoder.name == "libx264"
    assert list(encoder.options(20, row.pixels[0])) == words
    assert row.audio == ("-c:a", "flac")
    assert row.container(0) == ("-movflags", "use_metadata_tags+faststart")
    assert row.plays_as is None
    assert (row.workflow, row.loops_in_file, row.two_passes, row.is_folder) == ("tags", False, False, False)


def test_what_is_left_out_has_a_plain_meaning(read):
    row = read({"extension": "avi", "container": "avi", "video_encoder": "utvideo", "pixel_format": "gbrp"})
    assert row.quality_or_default(-1) == 0
    assert row.encoders[0].options(0, row.pixels[0]) == ()
    assert (row.audio, row.plays_as, row.container(3)) == (None, None, ())
    assert read({**GOOD, "plays_in_browser": True}).plays_as == "video"


def test_transparency_is_a_kind_of_pixels(read):
    row = read(
        {**GOOD, "video_encoder": "ffv1", "pixel_format": "gbrp", "pixel_format_alpha": "gbrap", "quality": None}
    )
    assert row.pixels_for(8, alpha=True).name == "gbrap"
    assert row.pixels_for(8, alpha=False).name == "gbrp"
    assert row.pixels_for(10, alpha=False).name == "yuv444p10le"


@pytest.mark.parametrize("bits, stored", [(8, "yuv444p"), (10, "yuv444p10le")])
def test_a_444_file_keeps_odd_sizes_and_colours(tmp_path, read, bits, stored):
    row, frames = read(GOOD), chart(3, 15, 17)
    with VideoEncoder(encode_job(tmp_path / "clip.mp4", (17, 15), 8.0, row, quality=1, bits=bits)) as encoder:
        encoder.write(frames if bits == 8 else frames.astype(np.uint16) * 257)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.pix_fmt, stream.width, stream.height) == (stored, 17, 15)
        assert len(list(container.decode(stream))) == 3


@pytest.mark.parametrize("container", CONTAINERS)
def test_each_container_is_written_with_all_its_names(tmp_path, read, container):
    for extension in CONTAINERS[container].mimes:
        encoder = "libvpx-vp9" if container == "webm" else "libx264"
        words = {"extension": extension, "container": container, "video_encoder": encoder, "pixel_format": "yuv420p"}
        row, path = read(words), tmp_path / f"clip.{extension}"
        with VideoEncoder(encode_job(path, (16, 16), 8.0, row, metadata={"workflow": "{}"})) as writer:
            writer.write(chart(2, 16, 16))
        with av.open(str(path)) as file:
            assert len(list(file.decode(video=0))) == 2


# (key or None for the whole text, value, words of the sentence)
BAD = [
    ("options", {"passlogfile": "x"}, "option 'passlogfile' is not allowed, so choose one of "),
    ("options", {"x264-params": "stats=x"}, "option 'x264-params' is not allowed"),
    ("options", {"-y": 1}, "option '-y' is not allowed"),
    ("options", {"preset": "../../x"}, "option 'preset' has '../../x', so give it a number or "),
    ("options", {"preset": "-y"}, "option 'preset' has '-y'"),
    ("options", {"preset": ";rm"}, "option 'preset' has ';rm'"),
    ("options", {"preset": ""}, "option 'preset' has ''"),
    ("options", {"preset": "fast\n"}, "option 'preset' has 'fast\\n'"),
    ("options", {"preset": "\u0661"}, "option 'preset' has '\\u0661'"),
    ("options", {"preset": "a" * 41}, "option 'preset' has 'aaaa"),
    ("options", {"g": True}, "option 'g' has True"),
    ("options", {"g": None}, "option 'g' has None"),
    ("options", {"g": [1]}, "option 'g' has [1]"),
    ("options", {"g": 10**100}, "option 'g' has 1000"),
    ("options", {"g": float("nan")}, "option 'g' has nan"),
    ("options", {"g": float("inf")}, "option 'g' has inf"),
    ("options", {"crf": 3}, "option 'crf' is the quality number too, so remove it from options"),
    ("options", ["preset"], "options ['preset'] is no pair of braces, so write "),
    ("container", "tee", "container 'tee' is not allowed, so choose one of avi, matroska, mov, mp4, webm"),
    ("container", ["mp4"], "container ['mp4'] is not allowed"),
    ("extension", "../mp4", "extension of mp4 '../mp4' is not allowed, so choose one of m4v, mp4"),
    ("extension", "mkv", "extension of mp4 'mkv' is not allowed"),
    ("extension", {}, "extension of mp4 {} is not allowed"),
    ("video_encoder", "libx264;", "video_encoder 'libx264;' is no encoder, so name one "),
    ("video_encoder", "-y", "video_encoder '-y' is no encoder"),
    ("video_encoder", "copy", "video_encoder 'copy' is no encoder"),
    ("video_encoder", 264, "video_encoder 264 is no encoder"),
    ("video_encoder", "libx264\u00e9", "video_encoder 'libx264\\xe9' is no encoder"),
    ("pixel_format", "yuv410p", "pixel_format 'yuv410p' is not allowed"),
    ("pixel_format", "yuva444p", "pixel_format 'yuva444p' has transparency, so give pixel_format_alpha "),
    ("pixel_format_alpha", "yuv444p", "pixel_format_alpha 'yuv444p' has no transparency"),
    ("pixel_format_10bit", "yuv444p", "pixel_format_10bit 'yuv444p' has 8 bits, so give one with 10 or remove the key"),
    ("quality", 5, "quality 5 is no pair of braces, so write option, default, low, high, meaning in it"),
    ("quality", {}, "the quality key 'option' is missing, so add it"),
    ("quality", {**GOOD["quality"], "option": "stats"}, "quality option 'stats' is not allowed"),
    (
        "quality",
        {**GOOD["quality"], "low": True},
        "low, default and high [True, 16, 51], so give whole numbers that rise",
    ),
    ("quality", {**GOOD["quality"], "low": 17}, "low, default and high [17, 16, 51]"),
    ("quality", {**GOOD["quality"], "low": -1}, "low, default and high [-1, 16, 51]"),
    ("quality", {**GOOD["quality"], "high": 300}, "low, default and high [0, 16, 300]"),
    ("quality", {**GOOD["quality"], "default": 1.5}, "low, default and high [0, 1.5, 51]"),
    (
        "quality",
        {**GOOD["quality"], "meaning": "a\nb"},
        "quality has the meaning 'a\\nb', so write 1 to 200 signs in one ",
    ),
    ("quality", {**GOOD["quality"], "step": 1}, "quality key 'step' is not allowed"),
    ("audio_encoder", "pcm_s16le", "audio_encoder of mp4 'pcm_s16le' is not allowed, so choose one of aac, flac, "),
    ("plays_in_browser", 1, "plays_in_browser 1 is not true or false"),
    ("filter", "movie=/etc/passwd", "key 'filter' is not allowed, so choose one of audio_encoder, container, "),
    (None, "[]", "it holds [], so write the keys in one pair of braces"),
    (None, "", "it is no JSON text (Expecting value: line 1 column 1 (char 0)), so correct it there"),
    (None, "{'a': 1}", "it is no JSON text"),
    (None, "[" * 60_000, "it is no JSON text"),
    (None, '{"a": ' + "1" * 5_000 + "}", "it is no JSON text"),
    (None, " " * 64_001, "it has more than 64000 bytes and cannot be a format, so remove it"),
]


@pytest.mark.parametrize("key, value, words", BAD)
def test_bad_words_are_one_sentence_with_file_value_and_cure(read, key, value, words):
    with pytest.raises(ValueError) as error:
        read(value if key is None else {**GOOD, key: value})
    sentence = str(error.value)
    assert sentence.startswith("mine.json: ")
    assert words in sentence
    assert re.search(r", so [a-z].*\.$", sentence)
    assert len(sentence) < 900


@pytest.mark.parametrize("key", ["extension", "container", "video_encoder", "pixel_format"])
def test_a_missing_key_is_named(read, key):
    with pytest.raises(ValueError, match=f"^mine.json: the key '{key}' is missing, so add it.$"):
        read({name: value for name, value in GOOD.items() if name != key})


@pytest.mark.parametrize("name", ["a b.json", "a.b.json", ".json", f"{'a' * 41}.json", "\u00e9.json"])
def test_a_file_name_that_is_no_format_name_is_refused(read, name):
    with pytest.raises(ValueError, match="1 to 40 letters, digits, - and _, so rename the file"):
        read(GOOD, name)


def test_other_bytes_and_no_files_are_refused(tmp_path):
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe{}")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(ValueError, match="^bytes.json: it is no JSON text"):
        read_format(tmp_path / "bytes.json")
    for name in ("folder.json", "missing.json"):
        with pytest.raises(ValueError, match=f"^{name}: it is no file, so remove it"):
            read_format(tmp_path / name)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.json")
        with pytest.raises(ValueError, match="it is no file"):
            read_format(tmp_path / "pipe.json")


def test_a_byte_order_mark_is_no_error(read):
    assert read("\ufeff" + json.dumps(GOOD)).name == "mine"


def test_folders_give_formats_and_sentences(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, name, found in [
        (first, "b", GOOD),
        (first, "a", GOOD),
        (first, "GIF", GOOD),
        (first, "broken", {}),
        (second, "A", GOOD),
        (second, "c", GOOD),
    ]:
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps(found))
    (first / "readme.txt").write_text("no format")
    rows, problems = read_formats([first, tmp_path / "missing", second], set(FORMATS))
    assert [row.name for row in rows] == ["a", "b", "c"]
    assert problems == [
        "GIF.json: there is a format GIF already, so give the file another name.",
        "broken.json: the key 'extension' is missing, so add it.",
        "A.json: there is a format A already, so give the file another name.",
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
# Ordinary words and anything else, so that both ways through are taken.
WORDS = st.sampled_from(["mp4", "libx264", "yuv420p", "crf", "aac", "-y", "../x", "file:x", "tee", 5, True]) | JSON
FOUND = st.dictionaries(st.sampled_from([*GOOD, "pixel_format_alpha", "other"]), WORDS, max_size=3)
SAFE = re.compile(r"[A-Za-z0-9_.+:-]*")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FOUND, st.dictionaries(st.sampled_from(sorted(OPTIONS)) | st.text(max_size=9), WORDS, max_size=2))
def test_anything_is_a_safe_format_or_a_sentence(read, found, options):
    try:
        row = read({**GOOD, "options": options, **found})
    except ValueError as error:
        assert str(error).startswith("mine.json: ")
        return
    words = row.encoders[0].options(row.quality.default, row.pixels[0])
    assert all(SAFE.fullmatch(word) for word in (row.extension, row.muxer, row.encoders[0].name, *words))
    assert all(word[1:].removesuffix(":v") in OPTIONS for word in words[::2])
    assert len(words) % 2 == 0


def test_no_option_reads_or_writes_a_file():
    # ffmpeg's options that do, or that hold further options.
    assert not OPTIONS & {"pass", "passlogfile", "stats", "vstats_file", "fpre", "vpre", "pre", "x264opts", "filter"}
    assert not any(name.endswith(("params", "opts")) for name in OPTIONS)


def test_pixels_know_what_ffmpeg_knows():
    for name, pixels in STORED_PIXELS.items():
        described = av.VideoFormat(name)
        assert {component.bits for component in described.components[:3]} == {pixels.bits}, name
        assert (len(described.components) == 4) == pixels.alpha, name
        assert described.is_rgb == pixels.is_rgb, name
        width, height = pixels.subsampling
        assert (described.chroma_width(8), described.chroma_height(8)) == (8 // width, 8 // height), name
