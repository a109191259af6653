"""CameraCtrl on a MODEL, and its nodes."""

import folder_paths
import pytest
import torch

from support.files.camera import POSE_TEXT, authors_layout, camera_file
from support.toy_models import unet as toy
from support.toy_models.files import animate, motion_model, put, relative_error
from zoetrope.host.call.strength import strength_of
from zoetrope.host.conditioners import camera_ctrl as camera
from zoetrope.host.loading import model_files as files
from zoetrope.host.motion import conditioner as conditioners
from zoetrope.host.motion.settings import settings_of
from zoetrope.host.sampling.context_windows import WindowSettings, apply_windows
from zoetrope.motion_models.camera_poses import motion_poses, parse_poses
from zoetrope.nodes.camera_ctrl import ApplyCameraCtrl, CameraPoses
from zoetrope.temporal.values.frame_values import listed_values

NAME = "CameraCtrl_pruned.safetensors"
WIDTHS = (toy.WIDTH,) * 4
LEFT = motion_poses([("pan_left", 4.0)], 8)
RIGHT = motion_poses([("pan_right", 4.0)], 8)


@pytest.fixture
def model():
    return toy.toy_model_patcher()


@pytest.fixture
def motion(tmp_path):
    put(files.MOTION_MODELS, tmp_path / NAME, camera_file(WIDTHS))
    return motion_model(tmp_path, "v3")


def filmed(model, motion, poses, strength=1.0, **inputs):
    """A clone that follows poses."""
    guide = camera.camera_conditioner(NAME, motion.spec, poses, strength_of(strength, "strength"))
    return animate(model, motion, conditioners=(guide,), **inputs)


def sample(model, frames=8, **options):
    """A small clip, (frames, 4, 8, 8), where rounding grows more than at 16 x 16: for equal and for distant clips."""
    return toy.sample(model, noise=toy.noise_for(frames, 8), **options)


def test_poses_change_the_clip_and_other_poses_change_it_otherwise(model, motion):
    plain = toy.sample(animate(model, motion))
    left, right = (toy.sample(filmed(model, motion, poses)) for poses in (LEFT, RIGHT))
    assert relative_error(left, plain) > 1e-3
    assert relative_error(left, right) > 1e-3


def test_strength_zero_is_the_clip_without_a_camera_bit_for_bit(model, motion):
    plain = toy.sample(animate(model, motion))
    assert torch.equal(toy.sample(filmed(model, motion, LEFT, 0.0)), plain)
    assert relative_error(toy.sample(filmed(model, motion, LEFT, listed_values([0.0]))), plain) < 5e-5


@pytest.mark.newest_host
def test_merge_layers_of_zero_are_the_clip_without_a_camera(model, motion, tmp_path):
    """The published training starts from zero layers, which add nothing."""
    zero = {name: weight * ("qkv_merge" not in name) for name, weight in camera_file(WIDTHS).items()}
    put(files.MOTION_MODELS, tmp_path / NAME, zero)
    assert torch.equal(sample(filmed(model, motion, LEFT)), sample(animate(model, motion)))


@pytest.mark.newest_host
def test_strength_per_frame_is_between(model, motion):
    """Strength 1 at every frame is the number 1; a ramp is neither that nor the plain clip."""
    whole = toy.sample(filmed(model, motion, LEFT))
    ones = toy.sample(filmed(model, motion, LEFT, listed_values([1.0])))
    ramp = toy.sample(filmed(model, motion, LEFT, listed_values([i / 7 for i in range(8)])))
    assert relative_error(ones, whole) < 5e-5
    assert min(relative_error(ramp, whole), relative_error(ramp, toy.sample(animate(model, motion)))) > 1e-3


def test_conditionings_together_or_apart_give_the_same_clip(motion):
    together, apart = (
        toy.sample(filmed(toy.toy_model_patcher(split_conds=split), motion, LEFT)) for split in (False, True)
    )
    assert relative_error(together, apart) < 5e-5


@pytest.mark.newest_host
def test_shorter_poses_hold_the_last_one(model, motion):
    short = sample(filmed(model, motion, LEFT[:3]))
    assert torch.equal(short, sample(filmed(model, motion, LEFT[:3] + LEFT[2:3] * 5)))
    assert relative_error(short, sample(filmed(model, motion, LEFT))) > 1e-3


def test_windows_get_the_poses_of_their_own_frames(model, motion, monkeypatch):
    """Two windows without overlap: each is encoded once for all steps, from the poses of its frames."""
    seen = []

    def note(poses, *size, **options):
        seen.append(poses)
        return rays(poses, *size, **options)

    rays = camera.pluecker_rays
    monkeypatch.setattr(camera, "pluecker_rays", note)
    poses = LEFT[:4] + RIGHT[4:]
    windowed = apply_windows(
        filmed(model, motion, poses), WindowSettings(length=4, overlap=0, schedule="standard_static")
    )
    out = toy.sample(windowed, steps=3)
    assert seen == [poses[:4], poses[4:]]
    # Frames 0 to 3 are a clip of their own: what the poses of the others are does not matter to them.
    other = apply_windows(
        filmed(model, motion, LEFT[:4] * 2), WindowSettings(length=4, overlap=0, schedule="standard_static")
    )
    other = toy.sample(other, steps=3)
    assert relative_error(out[:4], other[:4]) < 5e-5 and relative_error(out[4:], other[4:]) > 1e-3


def test_cache_is_bounded_and_gone_after_the_run(model, motion, monkeypatch):
    """With room for nothing, features are encoded for every window again, with the same result."""
    filmed_model = apply_windows(
        filmed(model, motion, LEFT), WindowSettings(length=4, overlap=1, schedule="standard_static")
    )
    kept = sample(filmed_model)
    encoded = []
    encode = camera.CameraNetwork.encode
    monkeypatch.setattr(camera.CameraNetwork, "encode", lambda *args: encoded.append(1) or encode(*args))
    assert torch.equal(sample(filmed_model), kept)
    windows = len(encoded)
    monkeypatch.setattr(conditioners, "CACHED_BYTES", 0)
    assert torch.equal(sample(filmed_model), kept)
    assert len(encoded) == windows + 2 * windows  # two steps


@pytest.mark.newest_host
def test_clips_longer_than_the_encoders_positions(model, motion):
    """v3 takes 32 frames at once, the encoder 16: spans overlap by half."""
    spans = camera.spans_of(24, 16)
    assert [frames for frames, _ in spans] == [list(range(16)), list(range(8, 24))]
    assert [len(frames) for frames, _ in camera.spans_of(16, 16)] == [16]
    poses = motion_poses([("zoom_in", 4.0)], 24)
    out = sample(filmed(model, motion, poses), frames=24, steps=1)
    assert relative_error(out, sample(animate(model, motion), frames=24, steps=1)) > 1e-4


def test_half_precision_networks_follow_the_dtype_of_the_run(motion, tmp_path):
    put(files.MOTION_MODELS, tmp_path / NAME, camera_file(WIDTHS, dtype=torch.float16))
    guide = camera.camera_conditioner(NAME, motion.spec, LEFT, strength_of(1.0, "strength"))
    assert {weight.dtype for weight in guide.patcher.model.parameters()} == {torch.float16}
    half = toy.toy_model_patcher(dtype=torch.bfloat16)
    assert sample(animate(half, motion, conditioners=(guide,)), steps=1).isfinite().all()
    assert camera.load_camera_patcher(*guide.patcher.cached_patcher_init[1]).model.spec == guide.patcher.model.spec


@pytest.mark.newest_host
def test_authors_checkpoint_is_the_same_camera(model, motion, tmp_path):
    whole = sample(filmed(model, motion, LEFT), steps=1)
    torch.save(authors_layout(camera_file(WIDTHS)), tmp_path / "CameraCtrl.ckpt")
    folder_paths.filename_list_cache.pop(files.MOTION_MODELS, None)
    guide = camera.camera_conditioner("CameraCtrl.ckpt", motion.spec, LEFT, strength_of(1.0, "strength"))
    assert torch.equal(sample(animate(model, motion, conditioners=(guide,)), steps=1), whole)


def test_other_widths_and_other_files_are_refused_in_words(motion, tmp_path):
    put(files.MOTION_MODELS, tmp_path / "wide.safetensors", camera_file((64,) * 4))
    with pytest.raises(ValueError, match="'wide.safetensors' has a layer of 64 channels for block input 1, which this"):
        camera.camera_conditioner("wide.safetensors", motion.spec, LEFT, strength_of(1.0, "strength"))
    with pytest.raises(ValueError, match="'v3.safetensors': this file is a motion module"):
        camera.camera_conditioner("v3.safetensors", motion.spec, LEFT, strength_of(1.0, "strength"))


def test_motion_modules_it_was_not_trained_with_are_named(tmp_path, motion, caplog):
    with caplog.at_level("WARNING", "zoetrope"):
        camera.camera_conditioner(NAME, motion_model(tmp_path, "v2").spec, LEFT, strength_of(1.0, "strength"))
    assert "trained with motion module v3" in caplog.text


def test_apply_node_takes_what_apply_motion_model_takes(model, motion):
    out = ApplyCameraCtrl.execute(model, motion, NAME, LEFT, 0.5, beta_schedule="auto", effect=0.5).result[0]
    settings = settings_of(out)[0]
    assert settings.conditioners[0].strength.number == 0.5 and settings.effect.number == 0.5
    assert torch.equal(sample(out), sample(filmed(model, motion, LEFT, 0.5, effect=0.5)))


def poses_of(**inputs):
    return CameraPoses.execute(**{"motion": "pan_left", "speed": 4.0, "frames": 8} | inputs).result[0]


def test_poses_node_gives_motions_sums_and_chains():
    assert poses_of() == LEFT
    both = poses_of(and_motion="zoom_in", and_speed=0.5)
    assert both == motion_poses([("pan_left", 4.0), ("zoom_in", 0.5)], 8)
    going_on = poses_of(previous=LEFT)
    steps = [pose.world_to_camera[3] for pose in going_on]  # 4 * 1.5 / 16 to the left per frame, without a pause
    assert steps == pytest.approx([i * 0.375 for i in range(16)])


def test_poses_node_takes_another_lens():
    pose = poses_of(fx=0.7, original_width=512, original_height=512)[0]
    assert (pose.fx, pose.fy, pose.aspect) == (0.7, LEFT[0].fy, 1.0)


def test_poses_node_reads_texts_and_files(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path))
    (tmp_path / "way.txt").write_text(POSE_TEXT, encoding="utf-8")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    assert [socket.options for socket in CameraPoses.define_schema().inputs if socket.id == "pose_file"] == [
        ["none", "way.txt"]
    ]
    written = parse_poses(POSE_TEXT)
    assert poses_of(pose_file="way.txt") == poses_of(pose_text=POSE_TEXT) == written
    assert CameraPoses.validate_inputs(pose_file="way.txt") is CameraPoses.validate_inputs(pose_file="none") is True
    before = CameraPoses.fingerprint_inputs(pose_file="way.txt", speed=1.0)
    assert before is not None and CameraPoses.fingerprint_inputs(pose_file="none") is None
    going_on = poses_of(previous=LEFT, pose_file="way.txt")
    assert len(going_on) == 10 and going_on[8].world_to_camera == pytest.approx(LEFT[7].world_to_camera)


def test_poses_node_refuses_in_words(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path))
    (tmp_path / "short.txt").write_text("head\n1 2 3\n", encoding="utf-8")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00\x80")
    assert "not in ComfyUI's input folder" in CameraPoses.validate_inputs(pose_file="../secret.txt")
    with pytest.raises(ValueError, match="'../secret.txt' is not in ComfyUI's input folder"):
        poses_of(pose_file="../secret.txt")
    with pytest.raises(ValueError, match="'short.txt': Line 2 of the camera poses has 3 numbers"):
        poses_of(pose_file="short.txt")
    with pytest.raises(ValueError, match="'binary.txt' is no plain text"):
        poses_of(pose_file="binary.txt")
    with pytest.raises(ValueError, match="pose_text is connected and pose_file is 'short.txt'"):
        poses_of(pose_file="short.txt", pose_text=POSE_TEXT)
