"""What Combine Video writes in each format, and what the node shows of it."""

import json
import re
from datetime import datetime

import av
import cv2
import folder_paths
import numpy as np
import pytest
import torch
from comfy_api.latest import Types
from PIL import Image

from support.clips import chart, decode, left_behind, mp4_tags
from support.combine import PROMPT, combine, image_vae, images, latents, saved_file
from zoetrope.host.video import formats
from zoetrope.nodes.combine_video import CombineVideo

pytestmark = pytest.mark.usefixtures("folders")


@pytest.mark.parametrize("format", ["webp", "apng", "vp9-webm", "av1-mp4"])
def test_what_browsers_play_is_shown_itself(folders, format):
    _, ui = combine(images=images(5), format=format)
    assert ui["images"] == [{key: ui["video"][0][key] for key in ("filename", "subfolder", "type")}]
    assert ui["animated"] == [True]
    assert len(decode(saved_file(folders, ui))[0]) == 5
    assert [name for name in left_behind(folders / "temp") if "preview" in name] == []


@pytest.mark.parametrize(
    ("format", "inputs"),
    [
        ("gif", {}),
        ("prores-mov", {"audio": {"waveform": torch.rand(1, 1, 8000) * 0.1, "sample_rate": 8000}}),
        ("h264-mp4", {"bit_depth": "10"}),
        ("png-frames", {}),
    ],
)
def test_what_browsers_do_not_play_is_shown_by_a_small_film(folders, format, inputs):
    _, ui = combine(images=images(5, 1040, 48), format=format, **inputs)
    (shown,) = ui["images"]
    assert (shown["type"], ui["animated"]) == ("temp", [True])
    proxy = folders / "temp" / shown["subfolder"] / shown["filename"]
    frames, _ = decode(proxy)
    assert frames.shape == (5, 512, 24, 3)
    small = np.stack([cv2.resize(frame, (24, 512), interpolation=cv2.INTER_AREA) for frame in chart(5, 1040, 48)])
    assert np.abs(frames.astype(float) - small).mean() <= 3.0
    with av.open(str(proxy)) as container:
        assert len(container.streams.audio) == ("audio" in inputs)
        assert "workflow" not in container.metadata
    file = saved_file(folders, ui)
    assert ui["video"][0]["type"] == "output"
    assert file.is_file()
    assert not [name for name in left_behind(folders) if name.endswith(".part")]


def test_one_picture_a_frame_is_a_folder_and_its_first_file_is_named(folders):
    output, ui = combine(images=images(3), format="png-frames")
    (entry,) = ui["video"]
    assert (entry["subfolder"], entry["filename"]) == ("zoetrope/animation_00001_", "frame_00001.png")
    folder = folders / "output" / entry["subfolder"]
    assert sorted(file.name for file in folder.iterdir()) == [f"frame_0000{n}.png" for n in (1, 2, 3)]
    found = np.stack([np.asarray(Image.open(file)) for file in sorted(folder.iterdir())])
    assert np.array_equal(found, chart(3))
    with Image.open(folder / "frame_00001.png") as picture:
        assert json.loads(picture.text["prompt"]) == PROMPT
    assert torch.equal(output.get_components().images, images(3))


@pytest.mark.parametrize("format", ["webp", "png-frames"])
def test_pictures_become_a_film_in_cores_save_video(folders, format):
    """Core cannot read these files itself."""
    output, _ = combine(images=images(20), format=format, quality=-1)
    assert (output.get_frame_count(), output.get_duration(), output.get_dimensions()) == (20, 2.5, (64, 48))
    target = folders / "saved.mp4"
    output.save_to(str(target), format="auto", codec="auto", metadata={"prompt": PROMPT}, crf=None)
    frames, _ = decode(target)
    assert np.abs(frames.astype(float) - chart(20)).mean() <= 4.0
    assert json.loads(mp4_tags(target)["prompt"]) == PROMPT
    part = output.as_trimmed(0.5, 1.0)
    assert np.abs(part.get_components().images.numpy() * 255 - chart(20)[4:12]).mean() <= 4.0
    assert output.as_trimmed(2.0, 1.0, strict_duration=True) is None
    assert output.as_trimmed(-3.0, 1.0).get_frame_count() == 8  # it begins half a second before the clip
    with av.open(part.get_stream_source()) as container:
        assert len(list(container.decode(video=0))) == 8


@pytest.mark.parametrize(
    ("format", "codec"),
    [("vp9-webm", "vp9"), ("prores-mov", "h264"), ("ffv1-mkv", "h264"), ("gif", "h264"), ("apng", "h264")],
)
def test_every_film_can_be_saved_by_cores_save_video(folders, format, codec):
    """Left to itself core copies ProRes, GIF and APNG into an mp4, which cannot hold them."""
    output, _ = combine(images=images(9), format=format)
    assert (output.get_frame_count(), output.get_duration(), output.get_frame_rate()) == (9, 9 / 8, 8)
    components = output.get_components()
    assert (len(components.images), components.frame_rate) == (9, 8)
    target = folders / "saved.mp4"
    output.save_to(str(target), format=Types.VideoContainer.AUTO, codec="auto", metadata={"prompt": PROMPT})
    with av.open(str(target)) as container:
        assert container.streams.video[0].codec_context.codec.canonical_name == codec
    frames, _ = decode(target)
    assert len(frames) == 9


def test_pictures_are_saved_in_ten_bits_when_core_asks_for_them(folders):
    output, _ = combine(images=images(2), format="png-frames", bit_depth="10")
    output.save_to(str(folders / "saved.mp4"), bit_depth=10)
    with av.open(str(folders / "saved.mp4")) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p10le"


@pytest.mark.parametrize(("format", "frames", "best"), [("h264-mp4", 18, 1), ("webp", 6, 100)])
def test_loops_are_written_out_where_the_file_cannot_say_them(folders, format, frames, best):
    samples, vae = latents(4), image_vae()
    with torch.inference_mode():
        whole = (vae.decode(samples["samples"]) * 255).numpy().mean(axis=-1)
    _, ui = combine(samples=samples, vae=vae, format=format, pingpong=True, loop_count=2, quality=best)
    found = decode(saved_file(folders, ui))[0].astype(float).mean(axis=-1)
    distances = np.abs(found[:, None] - whole[None]).mean(axis=(2, 3))
    assert distances.argmin(axis=1).tolist() == ([0, 1, 2, 3, 2, 1] * 3)[:frames]
    assert left_behind(folders / "temp") == []


def test_transparency_is_kept_or_said_to_be_lost(folders, caplog):
    clear = torch.cat([images(3), torch.linspace(0, 1, 64)[None, None, :, None].expand(3, 48, 64, 1)], dim=-1)
    _, ui = combine(images=clear, format="apng")
    with Image.open(saved_file(folders, ui)) as image:
        assert image.mode == "RGBA"
        assert np.array_equal(np.asarray(image)[..., 3], (clear[0, ..., 3] * 255 + 0.5).byte().numpy())
    assert (ui["video"][0]["alpha"], caplog.text) == (True, "")
    _, ui = combine(images=clear, format="h264-mp4")
    assert ui["video"][0]["alpha"] is False
    assert "h264-mp4 has no transparency" in caplog.text
    combine(images=clear, format="vp9-webm", bit_depth="10")
    assert "vp9-webm keeps transparency in 8 bits only" in caplog.text


def test_names_of_nodes_and_dates_are_filled_in_without_a_browser(folders, caplog):
    _, ui = combine(images=images(1), filename_prefix="%date:yyyy%/%ZoetropeCombineVideo.text%")
    assert ui["video"][0]["subfolder"] == str(datetime.now().year)
    assert ui["video"][0]["filename"].startswith("=;#_")
    _, ui = combine(images=images(1), filename_prefix="%KSampler.seed%")
    assert ui["video"][0]["filename"] == "%KSampler.seed%_00001_.mp4"
    assert "filename_prefix has %KSampler.seed% and no node that runs is called 'KSampler'" in caplog.text


@pytest.fixture
def own_formats(tmp_path, monkeypatch):
    """The folder of the user's formats."""
    folder = tmp_path / "video_formats"
    folder.mkdir()
    monkeypatch.setitem(folder_paths.folder_names_and_paths, formats.FORMATS_FOLDER, ([str(folder)], set()))
    return folder


MINE = {
    "extension": "mp4",
    "container": "mp4",
    "video_encoder": "libx264",
    "pixel_format": "yuv444p",
    "options": {"preset": "veryfast"},
    "quality": {"option": "crf", "default": 1, "low": 1, "high": 51, "meaning": "crf"},
    "audio_encoder": "aac",
}


def test_a_format_of_the_user_is_written_in_full_colour(folders, own_formats):
    """A colour for every pixel: hard edges are within a step of 255, as rounding to YUV and back allows."""
    (own_formats / "mine.json").write_text(json.dumps(MINE))
    assert "mine" in formats.format_names()
    blocks = np.random.default_rng(0).integers(0, 256, (1, 3, 4, 3), np.uint8).repeat(16, axis=1).repeat(16, axis=2)
    _, ui = combine(images=torch.from_numpy(np.repeat(blocks, 3, axis=0)).float() / 255, format="mine")
    frames, _ = decode(saved_file(folders, ui))
    assert np.abs(frames.astype(int) - blocks).max() <= 1
    assert (ui["video"][0]["pixel_format"], ui["images"][0]["type"]) == ("yuv444p", "temp")


def test_a_format_that_is_none_is_said_in_the_log_and_not_offered(own_formats, caplog):
    (own_formats / "bad.json").write_text(json.dumps({**MINE, "options": {"passlogfile": "x"}}))
    assert "bad" not in formats.format_names()
    formats.register_folder()
    assert "bad.json" in caplog.text
    assert "passlogfile" in caplog.text


def said_before_anything_runs(**widgets) -> str:
    """What Combine Video says of its widgets before the nodes that it is connected to run."""
    try:
        assert CombineVideo.check_lazy_status(**widgets, images=None) == [
            *(k for k, v in widgets.items() if v is None),
            "images",
        ]
    except ValueError as error:
        return str(error)
    return ""


def test_a_format_that_does_not_open_is_said_before_anything_runs():
    linked = {"frame_rate": 8.0, "filename_prefix": "x"}
    assert said_before_anything_runs(**linked, format="h264-mp4") == ""
    sentence = said_before_anything_runs(**linked, format="nvenc-h264")
    assert sentence == "" or "choose h264-mp4" in sentence
    assert "choose h264-mp4, " in said_before_anything_runs(**linked, format="avi")


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({"format": "gif", "bit_depth": "10"}, "gif has 8 bits a colour, not 10"),
        ({"format": "gif", "frame_rate": 60.0}, "gif plays at most 50 frames a second"),
        ({"format": "h264-mp4", "quality": 60}, "Quality 60 does not exist for h264-mp4"),
        ({"format": "apng", "quality": 5}, r"give -1 \(it is lossless"),
        ({"filename_prefix": "../x"}, "is no name inside the output folder"),
        ({"bit_depth": "12"}, "bit_depth '12' does not exist: give 8 or 10"),
        ({"frame_rate": 0.0}, "A frame rate of 0.0 cannot be written"),
    ],
)
def test_what_cannot_be_written_is_said_before_anything_runs(inputs, sentence):
    """Not after minutes of sampling."""
    widgets = {"frame_rate": 8.0, "format": "h264-mp4", "filename_prefix": "x"} | inputs
    assert re.search(sentence, said_before_anything_runs(**widgets))


def test_only_the_prefix_is_checked_when_the_prompt_is_queued():
    """ComfyUI shows a sentence of ours at every input that is named, so only one is; ranges and lists are ComfyUI's."""
    assert CombineVideo.validate_inputs() is True
    assert "is no name inside the output folder" in CombineVideo.validate_inputs("../x")
