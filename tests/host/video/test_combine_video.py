"""Combine Video inside the real ComfyUI: real VAEs at small size, real ffmpeg, the executor's own call path.

Shapes: F = frames, C = channels, T = time axis of video latents, H = height, W = width.
"""

import json
import types

import numpy as np
import pytest
import torch
from comfy.cli_args import args
from comfy.ldm.modules.temporal_ae import VideoDecoder
from comfy.nested_tensor import NestedTensor
from comfy_api.latest import InputImpl

from support.clips import chart, decode, exif_texts, left_behind, mp4_tags, webp_chunks
from support.combine import (
    PROMPT,
    WORKFLOW,
    combine,
    image_vae,
    images,
    latents,
    plan_for,
    saved_file,
    video_vae,
)
from zoetrope.host.video import formats, save_settings
from zoetrope.host.video import frame_source as sources
from zoetrope.host.video import save_video as video
from zoetrope.nodes.combine_video import CombineVideo

pytestmark = pytest.mark.usefixtures("folders")


def test_images_become_an_mp4(folders):
    output, ui = combine(images=images(17))
    assert ui["images"] == [{"filename": "animation_00001_.mp4", "subfolder": "zoetrope", "type": "output"}]
    assert ui["animated"] == [True]
    assert ui["video"] == [
        {
            **ui["images"][0],
            "frames": 17,
            "fps": 8.0,
            "frame_rate": 8.0,
            "width": 64,
            "height": 48,
            "codec": "h264",
            "pixel_format": "yuv420p",
            "bit_depth": 8,
            "alpha": False,
            "audio": False,
            "duration": 17 / 8,
            "format": "video/mp4",
        }
    ]
    frames, _ = decode(saved_file(folders, ui))
    assert np.abs(frames.astype(float) - chart(17)).mean() <= 2.0
    assert isinstance(output, InputImpl.VideoFromFile)
    assert left_behind(folders) == ["output", "output/zoetrope", "output/zoetrope/animation_00001_.mp4", "temp"]


def test_ui_survives_the_executor_and_json_and_shows_no_folder(folders):
    _, ui = combine(images=images(2))
    assert all(isinstance(value, list) for value in ui.values())
    assert str(folders) not in json.dumps(ui)


def test_the_video_output_feeds_core_nodes(folders):
    output, _ = combine(images=images(9), frame_rate=24.0)
    components = output.get_components()
    assert components.images.shape == (9, 48, 64, 3)
    assert components.frame_rate == 24
    assert output.get_dimensions() == (64, 48)


@pytest.mark.parametrize("pingpong", [False, True])
def test_latents_are_decoded_a_few_at_a_time_whatever_their_number(folders, pingpong):
    samples, vae = latents(37), image_vae()
    with torch.inference_mode():
        whole = vae.decode(samples["samples"])
    vae.calls.clear()
    _, ui = combine(samples=samples, vae=vae, pingpong=pingpong, quality=1)
    assert max(vae.calls) <= 8
    order = [*range(37), *range(35, 0, -1)] if pingpong else [*range(37)]
    assert sum(vae.calls) == 37  # what is shown again comes from disk
    assert ui["video"][0]["frames"] == len(order)
    # 4:2:0 blurs the colours of such noise but keeps its brightness, which tells which frame is which.
    found = decode(saved_file(folders, ui))[0].astype(float).mean(axis=-1)
    expected = (whole * 255).numpy().mean(axis=-1)
    distances = np.abs(found[:, None] - expected[None]).mean(axis=(2, 3))
    assert distances.argmin(axis=1).tolist() == order


def test_pingpong_images(folders, monkeypatch):
    monkeypatch.setattr(video, "FrameSpool", None)  # what is in memory needs no disk
    _, ui = combine(images=images(4), pingpong=True)
    frames, _ = decode(saved_file(folders, ui))
    assert np.abs(frames.astype(float) - chart(4)[[0, 1, 2, 3, 2, 1]]).mean() <= 2.0


def test_video_latents_are_decoded_whole(folders):
    """A video VAE's frames depend on each other: 2 latent frames give 5 pictures (4 * (T - 1) + 1)."""
    vae = video_vae()
    samples = {"samples": torch.randn(1, 16, 2, 4, 4, generator=torch.Generator().manual_seed(0))}
    _, ui = combine(samples=samples, vae=vae)
    assert vae.calls == [1]
    assert ui["video"][0]["frames"] == 5
    assert (ui["video"][0]["width"], ui["video"][0]["height"]) == (32, 32)


def test_a_decoder_that_mixes_its_batch_gets_the_whole_clip(folders):
    """SVD's VAE counts as an image VAE but has temporal layers."""
    decoder = VideoDecoder(
        ch=32, out_ch=3, ch_mult=(1,), num_res_blocks=1, attn_resolutions=[], in_channels=3, resolution=8, z_channels=4
    )
    calls = []

    def decode_all(samples):
        calls.append(len(samples))
        return torch.zeros(len(samples), 16, 16, 3)

    model = types.SimpleNamespace(decoder=decoder)
    vae = types.SimpleNamespace(latent_dim=2, first_stage_model=model, decode=decode_all)
    _, ui = combine(samples=latents(20), vae=vae)
    assert calls == [20]
    assert ui["video"][0]["frames"] == 20


def test_odd_sizes_are_reported_as_stored(folders):
    _, ui = combine(images=images(2, 47, 63))
    assert (ui["video"][0]["width"], ui["video"][0]["height"]) == (64, 48)
    _, ui = combine(images=images(2, 47, 63), format="webp")
    assert (ui["video"][0]["width"], ui["video"][0]["height"]) == (63, 47)


def test_workflow_is_embedded_as_the_canvas_reads_it(folders):
    _, ui = combine(images=images(2))
    tags = mp4_tags(saved_file(folders, ui))
    assert (json.loads(tags["prompt"]), json.loads(tags["workflow"])) == (PROMPT, WORKFLOW)
    _, ui = combine(images=images(2), format="webp")
    texts = exif_texts(dict(webp_chunks(saved_file(folders, ui)))["EXIF"])
    assert (json.loads(texts["prompt"]), json.loads(texts["workflow"])) == (PROMPT, WORKFLOW)


@pytest.mark.parametrize("format", ["h264-mp4", "webp"])
def test_workflow_stays_out_when_the_user_or_the_server_says_so(folders, monkeypatch, format):
    _, ui = combine(images=images(2), format=format, save_workflow=False)
    assert b"ZoetropeCombineVideo" not in saved_file(folders, ui).read_bytes()
    monkeypatch.setattr(args, "disable_metadata", True)
    _, ui = combine(images=images(2), format=format)
    assert b"ZoetropeCombineVideo" not in saved_file(folders, ui).read_bytes()


def test_names_count_up_and_fill_in_the_size(folders):
    names = [combine(images=images(1), filename_prefix="a/b/%width%x%height%")[1]["video"][0] for _ in range(2)]
    assert [name["filename"] for name in names] == ["64x48_00001_.mp4", "64x48_00002_.mp4"]
    assert names[0]["subfolder"] == "a/b"


def test_previews_go_to_the_temporary_folder(folders):
    _, ui = combine(images=images(2), save_output=False)
    assert ui["images"][0]["type"] == "temp"
    assert left_behind(folders / "output") == []
    assert left_behind(folders / "temp") == ["zoetrope", "zoetrope/animation_00001_.mp4"]


def test_sound_is_muxed_and_cut_to_the_clip(folders):
    audio = {"waveform": torch.rand(1, 2, 44100 * 4) * 0.1, "sample_rate": 44100}
    output, _ = combine(images=images(16), audio=audio)
    sound = output.get_components().audio
    assert sound["sample_rate"] == 44100
    assert abs(sound["waveform"].shape[-1] / 44100 - 2.0) <= 1 / 8


def test_sound_goes_on_through_what_is_shown_again(folders):
    """4 frames there and 2 back, three times, are 18: 2.25 s."""
    audio = {"waveform": torch.rand(1, 2, 44100 * 4) * 0.1, "sample_rate": 44100}
    output, _ = combine(images=images(4), audio=audio, pingpong=True, loop_count=2)
    assert abs(output.get_components().audio["waveform"].shape[-1] / 44100 - 2.25) <= 1 / 8


def test_sound_that_gif_cannot_hold_is_mentioned(folders, caplog):
    combine(images=images(2), format="gif", audio={"waveform": torch.zeros(1, 1, 100), "sample_rate": 100})
    assert "gif files have no sound" in caplog.text


def test_defaults_are_those_of_the_schema(folders):
    """API prompts get no defaults from the server, so the two lists must agree."""
    schema = {i.id: i for i in CombineVideo.GET_SCHEMA().inputs}
    defaults = dict(zip(reversed(schema), reversed(CombineVideo.execute.__func__.__defaults__), strict=False))
    for name, value in defaults.items():
        assert schema[name].optional
        assert value == getattr(schema[name], "default", None)
    assert [name for name in schema if name not in defaults] == ["frame_rate", "format", "filename_prefix"]


def test_input_order_is_the_contract():
    names = "frame_rate format filename_prefix images samples vae audio loop_count pingpong quality bit_depth save_output save_workflow length video"
    assert [i.id for i in CombineVideo.GET_SCHEMA().inputs] == names.split()


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({}, "Neither images nor samples is connected: connect exactly one"),
        ({"images": images(1), "samples": latents(1)}, "Both images and samples are connected"),
        ({"samples": latents(1)}, "samples but no vae to decode them: connect"),
        ({"images": images(1)[:0]}, r"images has the shape \(0, 48, 64, 3\); connect an IMAGE"),
        ({"images": images(1), "filename_prefix": "../escape"}, "is no name inside the output folder"),
        ({"images": images(1), "filename_prefix": "/tmp/escape"}, "is no name inside the output folder"),
        ({"images": images(1), "quality": 60}, "Quality 60 does not exist for h264-mp4: give -1 or 1 to 51"),
        ({"images": images(1), "frame_rate": 0.0}, "frame_rate is 0.0; give a number from 0.01 to 240.0"),
        ({"images": images(1), "frame_rate": 60.0, "format": "gif"}, "gif plays at most 50 frames a second"),
        (
            {"images": images(1, 16, 16), "format": "h265-mp4", "filename_prefix": "clip"},
            "h265-mp4 takes frames from 34x34 pixels on",
        ),
        (
            {"images": images(1), "format": "avi"},
            "There is no video format 'avi'",
        ),
        (
            {"images": images(1), "format": "gif", "bit_depth": "10"},
            "gif has 8 bits a colour, not 10: set bit_depth to 8",
        ),
    ],
)
def test_wrong_inputs_are_one_sentence_and_no_file(folders, inputs, sentence):
    with pytest.raises(ValueError, match=sentence):
        combine(**inputs)
    assert left_behind(folders) == ["output", "temp"]


def test_a_file_where_a_folder_should_be_is_one_sentence(folders):
    (folders / "output" / "taken").write_bytes(b"")
    with pytest.raises(ValueError, match=r"No file can be made at filename_prefix 'taken/clip' \("):
        combine(images=images(1), filename_prefix="taken/clip")
    assert left_behind(folders) == ["output", "output/taken", "temp"]


@pytest.mark.parametrize("wrap", [lambda x: x[:, :, None], lambda x: NestedTensor((x, torch.zeros(1, 8, 4)))])
def test_latents_of_single_pictures_come_in_other_shapes_too(folders, wrap):
    """With a time axis of length 1, or packed with the latents of sound."""
    _, ui = combine(samples={"samples": wrap(latents(3)["samples"])}, vae=image_vae())
    assert ui["video"][0]["frames"] == 3


def test_video_latents_with_an_image_vae_name_the_cure(folders):
    samples = {"samples": torch.zeros(1, 4, 3, 4, 4)}
    with pytest.raises(ValueError, match=r"Latents of shape \(1, 4, 3, 4, 4\) are not what this VAE decodes to frames"):
        combine(samples=samples, vae=image_vae())


def test_settings_are_checked_before_anything_is_decoded(folders):
    vae = video_vae()  # whose frames are decoded at once
    with pytest.raises(ValueError, match="Quality 60"):
        combine(samples={"samples": torch.zeros(1, 16, 2, 4, 4)}, vae=vae, quality=60)
    assert vae.calls == []


@pytest.mark.parametrize("format", ["h264-mp4", "prores-mov"])  # the second needs a proxy
def test_a_run_checks_its_settings_once_and_asks_once_for_the_formats(folders, monkeypatch, format):
    CombineVideo.GET_SCHEMA()  # the list of formats in the menu is made for every answer of the server
    counted = {}

    def count(module, name):
        function = getattr(module, name)

        def counting(*args):
            counted[name] = counted.get(name, 0) + 1
            return function(*args)

        monkeypatch.setattr(module, name, counting)

    for name in ("exact_rate", "clean_prefix", "check_format", "available_formats"):
        count(save_settings, name)
    for name in ("_user_formats", "find_ffmpeg", "keep_writable"):
        count(formats, name)
    combine(images=images(9), format=format)
    assert len(counted) == 7
    assert set(counted.values()) == {1}


def test_two_runs_at_once_write_two_files(folders):
    """The second run starts when the first has its name but not yet its file."""
    names = []

    def at(numbers):
        if numbers[0] == 8:
            inner = sources.FrameSource(1, lambda _: images(1))
            names.append(video.save_video(inner, settings).file.path.name)
        return images(len(numbers))

    settings = plan_for("clip")
    names.append(video.save_video(sources.FrameSource(16, at), settings).file.path.name)
    assert names == ["clip_00002_.mp4", "clip_00001_.mp4"]
    assert left_behind(folders / "output") == ["clip_00001_.mp4", "clip_00002_.mp4"]


def sound(seconds, rate=8000):
    return {"waveform": torch.full((1, 1, round(seconds * rate)), 0.1), "sample_rate": rate}


LENGTHS = [  # frames a second are 8
    ("frames", 2.0, [0, 1, 2, 3, 4, 5]),
    ("cut to sound", 0.5, [0, 1, 2, 3]),
    ("cut to sound", 2.0, [0, 1, 2, 3, 4, 5]),
    ("cut to sound", 0.01, [0]),
    ("loop to sound", 1.9, [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1, 2]),
    ("loop to sound", 0.4, [0, 1, 2]),
]


@pytest.mark.parametrize(("length", "seconds", "order"), LENGTHS)
@pytest.mark.parametrize("decoded", [False, True])
def test_the_film_is_as_long_as_is_wanted(folders, length, seconds, order, decoded):
    """Images, and latents, which are decoded once and read again from disk."""
    vae = image_vae()
    frames = {"samples": latents(6), "vae": vae} if decoded else {"images": images(6)}
    whole = decode(saved_file(folders, combine(**frames, format="ffv1-mkv")[1]))[0].astype(int)
    vae.calls.clear()
    _, ui = combine(**frames, format="ffv1-mkv", audio=sound(seconds), length=length)
    got = decode(saved_file(folders, ui))[0].astype(int)
    assert ui["video"][0]["frames"] == len(got) == len(order)
    assert np.abs(got - whole[order]).max() <= 1
    assert sum(vae.calls) <= 6
    assert ui["video"][0]["audio"]


def test_a_gif_can_be_as_long_as_a_sound_that_it_does_not_hold(folders):
    _, ui = combine(images=images(4), format="gif", audio=sound(1.0), length="loop to sound")
    assert ui["video"][0]["frames"] == 8


@pytest.mark.parametrize("audio", [None, sound(0.0)])
def test_a_length_by_sound_without_sound_is_refused(folders, audio):
    with pytest.raises(
        ValueError, match="length is 'cut to sound' and there is no sound: connect audio, or set length to"
    ):
        combine(images=images(2), audio=audio, length="cut to sound")
    assert left_behind(folders) == ["output", "temp"]


def test_it_asks_for_what_is_connected_after_its_widgets_are_checked():
    widgets = {"frame_rate": 8.0, "format": "h264-mp4", "filename_prefix": "x", "quality": -1, "bit_depth": "8"}
    assert CombineVideo.check_lazy_status(**widgets, images=None, audio=None) == ["images", "audio"]
    assert CombineVideo.check_lazy_status(**widgets, images=torch.zeros(1, 8, 8, 3), loop_count=0) == []
    with pytest.raises(ValueError, match=r"^Quality 200 does not exist for h264-mp4"):
        CombineVideo.check_lazy_status(**{**widgets, "quality": 200}, images=None)
