"""Sets of clips made by the real nodes: real files, a real VAE and CLIP at toy size.

Shapes: F = frames, H, W = size in pixels.
"""

import os

import comfy.utils
import folder_paths
import numpy as np
import pytest
import torch
from comfy import model_management
from comfy.taesd.taesd import TAESD
from comfy_api.latest import InputImpl, Types

from support.clips import chart
from support.files.footage import film, webp, written
from support.run_nodes import run_node
from support.sampling_nodes import toy_vae
from support.toy_models.clip import toy_clip
from zoetrope.host.training_data.clip_sets import clips_folder
from zoetrope.nodes.training_clips import NO_FOLDER, CameraMotionClips, TrainingClips
from zoetrope.training.data.clip_set import ClipSet

pytestmark = [pytest.mark.usefixtures("folders"), pytest.mark.newest_host]
SMALL = {"size": 64, "frames": 4, "stride": 2, "fps": 0.0, "flip": False, "caption_prefix": "", "fallback_caption": ""}


@pytest.fixture(autouse=True)
def source(tmp_path, monkeypatch):
    """Input and user folders of this test only; returns a folder of videos."""
    (tmp_path / "input" / "shots").mkdir(parents=True)
    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path / "input"))
    monkeypatch.setattr(folder_paths, "user_directory", str(tmp_path / "user"))
    return tmp_path / "input" / "shots"


@pytest.fixture(scope="module")
def vae():
    return toy_vae(TAESD(latent_channels=4))


@pytest.fixture(scope="module")
def clip():
    return toy_clip()


class CountingVAE:
    """A VAE that notes how many frames each call encodes."""

    def __init__(self, vae):
        self.vae, self.calls = vae, []

    def __getattr__(self, name):
        return getattr(self.vae, name)

    def encode(self, pixels):
        self.calls.append(len(pixels))
        return self.vae.encode(pixels)


def training_clips(vae, clip, **inputs):
    """Run the node, whose inputs are lists; returns (clips, contact sheet, info)."""
    given = {"folder": "shots", "name": "set", "vae": vae, "clip": clip, **SMALL, **inputs}
    return run_node(TrainingClips, **given)[0]


def shot(path, frames=12, size=(64, 64), rate=24, caption=None):
    written(path, film(chart(frames, size[1], size[0]), rate))
    if caption is not None:
        path.with_suffix(".txt").write_text(caption, encoding="utf-8")


def video(frames=12, rate=12):
    images = torch.from_numpy(chart(frames, 64, 64)).float() / 255
    return InputImpl.VideoFromComponents(Types.VideoComponents(images=images, frame_rate=rate))


def rows(clips):
    return [(c.name, c.caption, c.frames, c.height, c.width) for c in clips.clips]


def test_a_folder_becomes_a_set(source, vae, clip):
    shot(source / "shot10.mp4", 6, caption="a cat\n on a wall ")
    shot(source / "shot2.mkv", 12, (160, 90))
    webp(source / "moves.webp", chart(5, 64, 64), [100] * 5)
    (source / "notes.md").write_text("no video")
    clips, sheet, info = training_clips(vae, clip, caption_prefix="film, ", fallback_caption="a thing")
    assert rows(clips) == [
        ("moves.webp", "film, a thing", 5, 8, 8),
        ("shot2.mkv", "film, a thing", 12, 8, 8),
        ("shot10.mp4", "film, a cat on a wall", 6, 8, 8),
    ]
    assert (clips.frames, clips.stride, clips.flips) == (4, 2, False)
    assert os.path.samefile(clips.folder, os.path.join(folder_paths.get_user_directory(), "default/zoetrope/clips/set"))
    assert sheet.shape == (1, 3 * 196, 3 * 196, 3) and float(sheet.min()) >= 0 and float(sheet.max()) <= 1
    assert "3 clips, 23 frames (3 encoded now, 0 taken from before)" in info
    assert "2 clips are shorter than 7 frames" in info


def test_latents_and_captions_are_what_core_makes(source, vae, clip):
    images = torch.from_numpy(chart(11, 64, 64)).float() / 255
    clips, *_ = training_clips(vae, clip, folder=NO_FOLDER, images=images, captions="a ball", flip=True)
    with torch.inference_mode():
        wanted, mirrored = vae.encode(images), vae.encode(images.flip(2))
        cond, pooled = clip.encode_from_tokens(clip.tokenize("a ball"), return_pooled=True)
    # half precision keeps 11 bits
    torch.testing.assert_close(clips.latents(0, range(11)), wanted.float(), atol=1e-4, rtol=2**-11)
    torch.testing.assert_close(clips.latents(0, range(11), flipped=True), mirrored.float(), atol=1e-4, rtol=2**-11)
    assert float((wanted - mirrored).abs().max()) > 1e-3
    text = clips.text("a ball")
    assert torch.equal(text["cross_attn"], cond) and torch.equal(text["pooled_output"], pooled)
    assert not torch.equal(clips.text("")["cross_attn"], cond)


def test_buckets_keep_proportions(source, vae, clip):
    shot(source / "wide.mp4", 4, (256, 144))
    shot(source / "tall.mp4", 4, (128, 256))
    clips, _, info = training_clips(vae, clip, size=128)
    # 128 * sqrt(16 / 9) = 170.7 x 96; 90.5 x 181
    assert [(c.name, c.height * 8, c.width * 8) for c in clips.clips] == [("tall.mp4", 192, 64), ("wide.mp4", 128, 192)]
    assert "sizes: 64x192 (1), 192x128 (1)" in info


def test_a_frame_rate_is_reached_before_anything_else(source, vae, clip):
    """24 a second to 8: every third frame, in a file as in memory."""
    shot(source / "a.mp4", 24)
    from_file, *_ = training_clips(vae, clip, fps=8.0)
    every, *_ = training_clips(vae, clip, fps=0.0, name="every")
    assert (from_file.clips[0].frames, every.clips[0].frames) == (8, 24)
    chosen = every.latents(0, range(0, 24, 3))
    assert float((from_file.latents(0, range(8)) - chosen).abs().max()) < 1e-3
    in_memory, *_ = training_clips(vae, clip, folder=NO_FOLDER, videos=video(24, 24), fps=8.0, name="memory")
    assert in_memory.clips[0].frames == 8
    got = in_memory.latents(0, range(8))
    right, wrong = ((got - other).abs().mean() for other in (chosen, every.latents(0, range(1, 24, 3))))
    assert right < 0.5 * wrong  # a codec lies between


def test_short_clips_are_refused_before_anything_is_encoded(source, vae, clip):
    shot(source / "long.mp4", 8)
    shot(source / "short.mp4", 3)
    counting = CountingVAE(vae)
    with pytest.raises(
        ValueError, match="1 of 2 clips have fewer than 4 frames: 'short.mp4' has 3; remove them, lower frames to 3"
    ):
        training_clips(counting, clip)
    assert counting.calls == []


def test_unreadable_videos_are_named_and_left_out(source, vae, clip):
    shot(source / "good.mp4", 8)
    (source / "bad.mp4").write_bytes(b"no video" * 100)
    clips, _, info = training_clips(vae, clip)
    assert [c.name for c in clips.clips] == ["good.mp4"]
    assert "left out 1: 'bad.mp4': " in info
    os.remove(source / "good.mp4")
    with pytest.raises(ValueError, match="None of the 1 videos can be read: 'bad.mp4': "):
        training_clips(vae, clip, name="bad")


def test_a_video_that_breaks_off_is_named_and_left_out(source, vae, clip, monkeypatch):
    from zoetrope.host.video.video_input import VideoInput

    shot(source / "good.mp4", 8)
    shot(source / "worse.mp4", 8)
    whole = VideoInput.frames

    def frames(self, size, fit):
        for number, frame in enumerate(whole(self, size, fit)):
            if "worse" in self.video.get_stream_source() and number == 5:
                raise ValueError("No frame of the video can be decoded.")
            yield frame

    monkeypatch.setattr(VideoInput, "frames", frames)
    clips, _, info = training_clips(vae, clip)
    assert [c.name for c in clips.clips] == ["good.mp4"]
    assert "left out 1: 'worse.mp4': No frame of the video can be decoded." in info


def test_nothing_is_encoded_twice(source, vae, clip):
    shot(source / "a.mp4", 8, caption="a ball")
    shot(source / "b.mp4", 12)
    counting = CountingVAE(vae)
    first, *_ = training_clips(counting, clip)
    assert counting.calls == [8, 8, 4]
    again, _, info = training_clips(counting, clip)
    assert again.digest == first.digest and "0 encoded now, 2 taken" in info
    (source / "a.txt").write_text("a box")
    shot(source / "c.mp4", 4)
    more, _, info = training_clips(counting, clip, frames=3)
    assert counting.calls == [8, 8, 4, 4] and "1 encoded now, 2 taken" in info
    assert more.clips[0].caption == "a box" and more.digest != first.digest
    os.utime(source / "b.mp4", (1, 1))
    training_clips(counting, clip, frames=3)
    assert counting.calls == [8, 8, 4, 4, 8, 4]


def test_another_vae_size_or_text_encoder_is_another_set(source, vae, clip):
    shot(source / "a.mp4", 4)
    first, *_ = training_clips(vae, clip)
    other_text, _, info = training_clips(vae, toy_clip(seed=9))
    assert "0 encoded now" in info and other_text.digest != first.digest
    assert not torch.equal(other_text.text("")["cross_attn"], first_text(clip))
    other = toy_vae(TAESD(latent_channels=4))
    with torch.no_grad():
        next(other.first_stage_model.parameters()).mul_(1.01)
    assert "1 encoded now" in training_clips(other, clip)[2]
    assert "1 encoded now" in training_clips(other, clip, size=128)[2]
    assert "1 encoded now" in training_clips(other, clip, size=128, flip=True)[2]


def first_text(clip):
    with torch.inference_mode():
        return clip.encode_from_tokens(clip.tokenize(""))


def test_loras_on_the_text_encoder_count(source, vae, clip):
    shot(source / "a.mp4", 4)
    first, *_ = training_clips(vae, clip)
    key = next(name for name in clip.patcher.model_state_dict() if name.endswith("q_proj.weight"))
    patched = clip.clone()
    weight = patched.patcher.model_state_dict()[key]
    patched.add_patches({key: ("diff", (torch.ones_like(weight),))}, 0.5)
    second, *_ = training_clips(vae, patched)
    assert second.digest != first.digest
    assert not torch.equal(second.text("")["cross_attn"], first_text(clip))
    again, *_ = training_clips(vae, patched)  # by now it may be merged into the weights
    assert again.digest == second.digest


def test_an_interrupt_leaves_nothing_half(source, vae, clip):
    shot(source / "a.mp4", 8)
    before, *_ = training_clips(vae, clip)
    shot(source / "b.mp4", 24)

    class Interrupting(CountingVAE):
        def encode(self, pixels):
            model_management.interrupt_current_processing(len(self.calls) == 1)
            return super().encode(pixels)

    with pytest.raises(model_management.InterruptProcessingException):
        training_clips(Interrupting(vae), clip)
    assert os.listdir(clips_folder("set").parent) == ["set"]
    assert ClipSet(clips_folder("set")).digest == before.digest


def test_lists_of_videos_and_captions(source, vae, clip):
    def listed(**inputs):
        given = {"folder": NO_FOLDER, "name": "set", "vae": vae, "clip": clip, **SMALL, **inputs}
        boxed = {key: value if isinstance(value, list) else [value] for key, value in given.items()}
        with torch.inference_mode():
            return TrainingClips.execute(**boxed).args

    clips, *_ = listed(videos=[video(5), video(6)], captions=["one", "two"])
    assert rows(clips) == [("video 1", "one", 5, 8, 8), ("video 2", "two", 6, 8, 8)]
    batches = [torch.rand(4, 32, 32, 3), torch.rand(5, 32, 32, 3)]
    clips, *_ = listed(images=batches, captions=["both"])
    assert rows(clips) == [("images 1", "both", 4, 8, 8), ("images 2", "both", 5, 8, 8)]
    with pytest.raises(ValueError, match="3 captions for 2 IMAGE batches: give one for each"):
        listed(images=batches, captions=["a", "b", "c"])
    for wrong in ({}, {"videos": [video(5)], "images": batches}, {"folder": "shots", "images": batches}):
        with pytest.raises(ValueError, match=r"Give clips in one way: choose a folder, or \(none\)"):
            listed(**wrong)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"\xff\xfe\x00broken", "'a.txt' cannot be read"), (b"word " * 20_000, "'a.txt' has more than 64,000 bytes")],
)
def test_captions_that_are_no_text_are_named(source, vae, clip, content, words):
    shot(source / "a.mp4", 4)
    (source / "a.txt").write_bytes(content)
    with pytest.raises(ValueError, match=words):
        training_clips(vae, clip)


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", "a.", "con:", "x" * 81, "a\n"])
def test_names_that_are_none_are_refused_before_anything_runs(name):
    assert "name is " in TrainingClips.validate_inputs(folder=[NO_FOLDER], name=[name])
    assert "name is " in CameraMotionClips.validate_inputs(name=name)
    assert TrainingClips.validate_inputs(folder=["no"], name=["set"]).startswith(
        "'no' is not in ComfyUI's input folder"
    )
    assert TrainingClips.validate_inputs(folder=["shots"], name=["my set.v2"]) is True
    assert CameraMotionClips.validate_inputs(name="my set.v2") is True


def test_a_change_in_the_folder_makes_the_node_run_again(source):
    shot(source / "a.mp4", 4)
    first = TrainingClips.fingerprint_inputs(folder=["shots"])
    (source / "a.txt").write_text("a ball")
    assert TrainingClips.fingerprint_inputs(folder=["shots"]) != first
    assert TrainingClips.fingerprint_inputs(folder=[NO_FOLDER]) is None
    assert TrainingClips.define_schema().inputs[0].options == [NO_FOLDER, "shots"]


CAMERA = {
    "motion": "zoom_in",
    "amount_from": 0.2,
    "amount_to": 0.5,
    "ease": "linear",
    "clips": 5,
    "frames": 4,
    "size": 64,
}


def camera_clips(vae, clip, images, **inputs):
    given = {"images": images, "vae": vae, "clip": clip, "name": "moves", "captions": "", "seed": 1, **CAMERA, **inputs}
    return run_node(CameraMotionClips, **given)[0]


def test_pictures_become_clips_with_a_move(vae, clip):
    images = torch.from_numpy(chart(2, 96, 96)).float() / 255
    clips, sheet, info = camera_clips(vae, clip, images, captions="one\n\n two ")
    assert rows(clips) == [(f"zoom_in {n + 1}", ("one", "two")[n % 2], 4, 8, 8) for n in range(5)]
    assert (clips.frames, clips.stride) == (4, 1) and "5 clips, 20 frames" in info
    amounts = [source["amount"] for source in clips.manifest.sources]
    assert len(set(amounts)) == 5 and all(0.2 <= amount <= 0.5 for amount in amounts)
    # The first frame of a zoom in is the whole picture.
    with torch.inference_mode():
        whole = vae.encode(torch.nn.functional.interpolate(images.movedim(-1, 1), 64, mode="area").movedim(1, -1))
    assert float((clips.latents(0, [0]) - whole[:1]).abs().mean()) < 0.1 * float((whole[0] - whole[1]).abs().mean())
    again, _, info = camera_clips(vae, clip, images, captions="one\ntwo")
    assert again.digest == clips.digest and "0 encoded now" in info
    other, *_ = camera_clips(vae, clip, images, captions="one\ntwo", seed=2)
    assert other.digest != clips.digest


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"amount_from": 0.6}, "amount_from 0.6 is larger than amount_to 0.5"),
        ({"captions": "a\nb\nc"}, "3 captions for 2 images"),
        ({"clips": 1}, "clips is 1 for 2 images"),
    ],
)
def test_camera_moves_that_make_no_sense_are_refused(vae, clip, inputs, words):
    with pytest.raises(ValueError, match=words):
        camera_clips(vae, clip, torch.rand(2, 64, 64, 3), **inputs)


def test_a_checkpoint_without_vae_or_text_encoder_is_told(source, vae, clip):
    shot(source / "a.mp4", 4)
    for given in ((None, clip), (vae, None)):
        with pytest.raises(ValueError, match="holds no VAE or no text encoder"):
            training_clips(*given)


def test_progress_ends_at_all_frames(source, vae, clip, monkeypatch):
    seen = []
    monkeypatch.setattr(
        comfy.utils, "PROGRESS_BAR_HOOK", lambda done, total, *more, **named: seen.append((done, total))
    )
    shot(source / "a.mp4", 12)
    shot(source / "b.mp4", 4)
    training_clips(vae, clip)
    assert seen[0] == (8, 16) and seen[-1] == (16, 16)  # the host leaves out what comes too soon after another
    assert set(seen) <= {(8, 16), (12, 16), (16, 16)}
    assert np.diff([done for done, _ in seen]).min() > 0
