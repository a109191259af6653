"""Windows stacked in one UNet call, and View Windows, on a MODEL with motion models."""

import pytest
import torch

from support.files.camera import camera_file
from support.toy_models import sdxl as toy_sdxl
from support.toy_models import unet as toy
from support.toy_models.files import animate, motion_model, put, relative_error
from support.toy_models.motion import SHAPES
from zoetrope.host.call.strength import strength_of
from zoetrope.host.conditioners import camera_ctrl as camera
from zoetrope.host.conditioners.animatelcm_i2v import ImageReferenceConditioner
from zoetrope.host.conditioners.pia import PiaConditioner
from zoetrope.host.loading import model_files as files
from zoetrope.host.motion import view_windows as views
from zoetrope.host.sampling.context_windows import apply_windows
from zoetrope.motion_models.camera_poses import motion_poses
from zoetrope.nodes.windows import ViewWindows
from zoetrope.temporal.values.frame_values import listed_values
from zoetrope.temporal.windows.schedules import windows_for_step
from zoetrope.temporal.windows.settings import WindowSettings

SIZE = 8  # of the latent: one pixel in the deepest level
FRAMES = 7
STATIC = WindowSettings(length=3, overlap=1, schedule="standard_static")  # three windows
newest = pytest.mark.newest_host
CLOSE = 3e-4  # float32 products in other batches leave 1e-4 after one step; in float64 nothing is left


@pytest.fixture(scope="module")
def model():
    return toy.toy_model_patcher()


@pytest.fixture(scope="module")
def v2(tmp_path_factory):
    return motion_model(tmp_path_factory.mktemp("v2"), "v2")


def clip_of(model, frames=FRAMES, steps=1, **options):
    noise = options.pop("noise", None)
    return toy.sample(model, noise=toy.noise_for(frames, SIZE) if noise is None else noise, steps=steps, **options)


def viewed(model, length=4, overlap=1, schedule="standard_uniform", fuse="pyramid", **options):
    return ViewWindows.execute(model, length, overlap, schedule, fuse, **options).result[0]


def busy(model, directory, family):
    """A motion model with values by frame and by pixel, and with the guide of its family."""
    image = torch.randn(FRAMES, 4, SIZE, SIZE, generator=torch.Generator().manual_seed(8)) / 0.18215
    motion, conditioners = motion_model(directory, family), ()
    if family == "v3":
        put(files.MOTION_MODELS, directory / "camera.safetensors", camera_file((toy.WIDTH,) * 4))
        poses = motion_poses([("pan_left", 4.0)], FRAMES)
        strength = strength_of(listed_values([frame / 6 for frame in range(FRAMES)]), "strength")
        conditioners = (camera.camera_conditioner("camera.safetensors", motion.spec, poses, strength),)
    elif family == "pia":
        conditioners = (PiaConditioner(image[:1], "motion_medium"),)
    elif family == "animatelcm_i2v":
        conditioners = (ImageReferenceConditioner(image),)
    mask = torch.rand((FRAMES, 8, 8), generator=torch.Generator().manual_seed(9))
    return animate(
        model, motion, conditioners=conditioners, scale=[0.5 + frame / 10 for frame in range(FRAMES)], mask=mask
    )


@pytest.mark.parametrize(
    ("family", "split_conds"),
    [
        ("v1", False),
        ("v3", True),
        pytest.param("pia", False, marks=newest),
        pytest.param("animatelcm_i2v", True, marks=newest),
        pytest.param("sdxl_beta", False, marks=newest),
        pytest.param("hotshot_xl", False, marks=newest),
    ],
)
def test_stacked_windows_are_the_windows_one_at_a_time(tmp_path, family, split_conds):
    """Three windows in one call, cond and uncond in that call or each in its own."""
    calls, prompts, model = [], {}, toy.toy_model_patcher(split_conds=split_conds)
    if SHAPES[family][2] == 3:
        prompts = {"positive": toy_sdxl.conditioning(), "negative": toy_sdxl.conditioning(seed=6)}
        model = toy_sdxl.toy_sdxl_patcher()
    moving = busy(model, tmp_path, family)
    moving = toy.watch(moving, lambda x, control, options: calls.append(len(x)))
    one, all_three = (clip_of(apply_windows(moving, STATIC, together), **prompts) for together in (1, 3))
    conds = 1 if split_conds else 2
    assert set(calls) == {3 * conds, 9 * conds}
    assert relative_error(all_three, one) < CLOSE


def test_stacked_windows_of_one_frame_have_no_motion(model, v2):
    """Two windows of a frame each are not a clip of two frames."""
    still = apply_windows(
        animate(model, v2, schedule="use_existing"), WindowSettings(length=1, overlap=0, schedule="batched"), 2
    )
    assert relative_error(clip_of(still, frames=4), clip_of(model, frames=4)) < CLOSE


@pytest.mark.parametrize("split_conds", [False, True], ids=["together", "split"])
def test_views_without_overlap_are_clips_of_their_own(tmp_path, v2, split_conds):
    """v2 modules are all that joins frames: pieces of 3 frames are what those 3 frames alone become."""
    moving = animate(toy.toy_model_patcher(split_conds=split_conds), v2)
    noise = toy.noise_for(6, SIZE)
    whole = clip_of(viewed(moving, 3, schedule="batched"), noise=noise)
    for piece in (slice(0, 3), slice(3, 6)):
        assert relative_error(whole[piece], clip_of(moving, noise=noise[piece])) < CLOSE
    assert relative_error(whole, clip_of(moving, noise=noise)) > 1e-3


@newest
def test_norms_of_v1_see_the_whole_clip(model, tmp_path):
    """Only attention is cut: the same pieces are not clips of their own where norms join all frames."""
    moving, noise = animate(model, motion_model(tmp_path, "v1")), toy.noise_for(6, SIZE)
    whole = clip_of(viewed(moving, 3, schedule="batched"), noise=noise)
    assert relative_error(whole[:3], clip_of(moving, noise=noise[:3])) > 1e-3


@newest
@pytest.mark.parametrize("family", ["v1", "v3", "pia"])
def test_one_view_is_the_plain_clip_bit_for_bit_and_shorter_views_are_not(model, tmp_path, family):
    moving = busy(model, tmp_path, family)
    plain = clip_of(moving)
    assert torch.equal(clip_of(viewed(moving, length=FRAMES)), plain)
    short = clip_of(viewed(moving))
    assert short.isfinite().all() and relative_error(short, plain) > 1e-4


def test_order_of_nodes_does_not_matter_and_clones_keep_views(model, v2):
    windows = WindowSettings(length=5, overlap=2, schedule="standard_static")
    made = [
        viewed(apply_windows(animate(model, v2), windows)),
        apply_windows(viewed(animate(model, v2)), windows),
        animate(viewed(viewed(apply_windows(model, windows), length=2)), v2).clone(),
    ]
    clips = [clip_of(one) for one in made]
    assert torch.equal(clips[0], clips[1]) and torch.equal(clips[0], clips[2])
    assert relative_error(clips[0], clip_of(apply_windows(animate(model, v2), windows))) > 1e-4
    assert views.views_of(model) is None


def test_views_move_with_the_steps_and_only_whole_clips_are_loops(model, v2, monkeypatch):
    cut = []

    def note(settings, frames, step):
        cut.append((settings.schedule, settings.closed_loop, frames, step))
        return windows_for_step(settings, frames, step)

    monkeypatch.setattr(views, "windows_for_step", note)
    looped = viewed(animate(model, v2), schedule="looped_uniform", closed_loop=True)
    clip_of(looped, steps=3)
    assert cut == [("looped_uniform", True, FRAMES, step) for step in range(3)]
    cut.clear()
    clip_of(apply_windows(looped, WindowSettings(length=6, overlap=2, schedule="standard_static"), 2), steps=2)
    assert set(cut) == {("standard_uniform", False, 6, step) for step in range(2)}


@newest
def test_views_in_stacked_windows_are_views_in_each(model, v2):
    moving = viewed(animate(model, v2))
    windows = WindowSettings(length=5, overlap=3, schedule="standard_static")
    one, both = (clip_of(apply_windows(moving, windows, together)) for together in (1, 2))
    assert relative_error(both, one) < CLOSE


def test_views_allow_more_frames_than_positions(model, tmp_path, caplog):
    moving = animate(model, motion_model(tmp_path, "v1"))
    with pytest.raises(ValueError, match="positions for 24 frames, but 40 "):
        clip_of(moving, frames=40)
    with pytest.raises(ValueError, match="but 25 would .* set the view_length of View Windows to at most 24"):
        clip_of(viewed(moving, length=25), frames=40)
    with caplog.at_level("WARNING", "zoetrope"):
        assert clip_of(viewed(moving, length=16, overlap=4), frames=40, steps=1).isfinite().all()
    assert "trained on" not in caplog.text
    with caplog.at_level("WARNING", "zoetrope"):
        clip_of(viewed(moving, length=6), frames=8, steps=1)
    assert "6 frames are sampled together" in caplog.text


def test_settings_are_checked_in_the_nodes_own_words(model):
    with pytest.raises(ValueError, match="view_overlap 4 must be smaller than view_length 4.* raise view_length"):
        viewed(model, overlap=4)


def test_without_a_motion_model_nothing_changes(model):
    assert torch.equal(clip_of(viewed(model)), clip_of(model))
