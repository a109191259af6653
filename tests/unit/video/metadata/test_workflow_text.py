"""Any workflow comes back unchanged from the places where ComfyUI's canvas looks."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from support.clips import chart, decode, exif_texts, mp4_tags, webp_chunks
from zoetrope.video.encode.encoder import VideoEncoder
from zoetrope.video.encode.job import encode_job
from zoetrope.video.ffmpeg import VideoError
from zoetrope.video.formats.table import FORMATS
from zoetrope.video.metadata.webp import add_exif
from zoetrope.video.metadata.workflow_text import escape, workflow_metadata

# NUL ends a string in every container; lone surrogates are no Unicode text. JSON texts hold neither.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=200)
HOSTILE = {
    "lines": "a\nb\r\nc\rd\n",
    "signs": "x=1; # not a comment \\ \\\\ ; = # [CHAPTER]\nTITLE=no",
    "unicode": "\u65e5\u672c\u8a9e \u00fcml\u00e4ut \U0001f3ac \u2028",
    "end": "ends with a backslash \\",
    "workflow": json.dumps({"text": "long; " * 33_000}),
    "format": "%s %n %(x)s ${HOME} $(id) `id` ' \"",
}


def encode(folder, name, metadata, frames=2, size=(16, 16)):
    row = FORMATS[name]
    path = folder / f"clip.{row.extension}"
    with VideoEncoder(encode_job(path, size, 8.0, row, metadata=metadata)) as encoder:
        encoder.write(chart(frames, size[1], size[0]))
    return path


def webp_texts(path):
    return exif_texts(dict(webp_chunks(path))["EXIF"])


def as_mp4_keeps_it(text):
    """FFMETADATA cannot end a value in a backslash; a space follows it there."""
    return text + " " if text.endswith("\\") else text


def test_hostile_texts_come_back_from_mp4(tmp_path):
    assert len(HOSTILE["workflow"]) > 190_000
    tags = mp4_tags(encode(tmp_path, "h264-mp4", HOSTILE))
    assert {key: tags[key] for key in HOSTILE} == {key: as_mp4_keeps_it(text) for key, text in HOSTILE.items()}


@pytest.mark.parametrize("frames", [1, 2])
def test_hostile_texts_come_back_from_webp(tmp_path, frames):
    path = encode(tmp_path, "webp", HOSTILE, frames)
    assert webp_texts(path) == HOSTILE
    assert len(decode(path)[0]) == frames


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXT, min_size=1, max_size=30))
def test_any_text_comes_back_from_mp4(tmp_path, texts):
    pairs = {f"key{number}": text for number, text in enumerate(texts)}
    tags = mp4_tags(encode(tmp_path, "h264-mp4", pairs))
    assert {key: tags[key] for key in pairs} == {key: as_mp4_keeps_it(text) for key, text in pairs.items()}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXT, min_size=1, max_size=30), frames=st.sampled_from([1, 2]))
def test_any_text_comes_back_from_webp(tmp_path, texts, frames):
    pairs = {f"key{number}": text for number, text in enumerate(texts)}
    assert webp_texts(encode(tmp_path, "webp", pairs, frames)) == pairs


@given(TEXT)
def test_escaped_text_is_one_line_without_bare_signs(text):
    escaped, plain = escape(text), []
    signs = iter(escaped)
    for sign in signs:
        if sign == "\\":
            sign = next(signs)
        else:
            assert sign not in "=;#\n\r"
        plain.append(sign)
    assert "".join(plain) == text


def test_nul_is_removed_because_no_container_can_hold_it():
    assert escape("a\0b") == "ab"


@pytest.mark.parametrize("frames", [1, 2])
def test_webp_stays_a_valid_file_for_pillow(tmp_path, frames):
    from PIL import Image

    with Image.open(
        encode(tmp_path, "webp", {"prompt": '{"a": 1}', "workflow": '{"b": 2}'}, frames, (17, 15))
    ) as image:
        assert image.size == (17, 15)
        assert image.n_frames == frames
        exif = image.getexif()
        # 0x0110 Model and 0x010F Make: the tags core's SaveAnimatedWEBP uses.
        assert exif[0x0110] == 'prompt:{"a": 1}'
        assert exif[0x010F] == 'workflow:{"b": 2}'


@pytest.mark.parametrize("frames", [1, 2])
def test_webp_header_announces_the_chunk(tmp_path, frames):
    chunks = webp_chunks(encode(tmp_path, "webp", {"workflow": "{}"}, frames))
    kind, header = chunks[0]
    assert kind == "VP8X"
    assert header[0] & 0x08  # WebP container specification: the E bit
    assert chunks[-1][0] == "EXIF"


@pytest.mark.parametrize("name", ["h264-mp4", "gif", "webp"])
def test_without_metadata_none_is_written(tmp_path, name):
    data = encode(tmp_path, name, {}).read_bytes()
    assert b"workflow" not in data
    assert b"EXIF" not in data


def test_gif_keeps_it_in_a_comment(tmp_path):
    with Image.open(encode(tmp_path, "gif", {"workflow": "{}"})) as image:
        image.seek(image.n_frames - 1)
        image.load()
    assert b"workflow:{}" in (tmp_path / "clip.gif").read_bytes()


def test_other_files_get_no_exif(tmp_path):
    path = tmp_path / "clip.webp"
    path.write_bytes(b"RIFF\0\0\0\0AVI ")
    with pytest.raises(VideoError, match="not a WebP file"):
        add_exif(path, {"workflow": "{}"}, 16, 16)
    assert path.read_bytes() == b"RIFF\0\0\0\0AVI "


def test_json_is_written_once_and_ascii():
    prompt, extra = {"1": {"class_type": "A", "inputs": {"text": "\u65e5\n"}}}, {"workflow": {"nodes": []}, "more": [1]}
    pairs = workflow_metadata(prompt, extra)
    assert {key: json.loads(text) for key, text in pairs.items()} == {"prompt": prompt, **extra}
    assert all(text.isascii() for text in pairs.values())
    assert workflow_metadata(None, None) == {}


def test_what_is_no_mapping_or_no_json_has_nothing_to_embed():
    for extra in (None, [], ["workflow"], "workflow", 5):
        assert workflow_metadata({"1": {}}, extra) == {"prompt": '{"1": {}}'}
    around: list = []
    around.append(around)
    for value in ({1, 2}, around, {(1, 2): 3}):
        with pytest.raises(ValueError, match=r"cannot be written as JSON \(.*\).*turn save_workflow off"):
            workflow_metadata(None, {"workflow": value})
