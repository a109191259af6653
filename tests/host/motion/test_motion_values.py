"""scale, effect, masks, per-block values, ranges and keyframes of Apply Motion Model, and what survives later nodes."""

import comfy.hooks
import pytest
import torch

from support.toy_models import unet as toy
from support.toy_models.files import animate, motion_model, put, relative_error
from support.toy_models.motion import motion_state_dict
from zoetrope.host.loading import model_files as files
from zoetrope.host.motion.load import adjust_motion_model, info, load_motion_model
from zoetrope.host.sampling.context_windows import apply_windows
from zoetrope.motion_models.adjustment import Adjustment
from zoetrope.motion_models.block_values import BlockValues, parse_block_values
from zoetrope.temporal.values.schedule import parse_value_schedule
from zoetrope.temporal.windows.settings import WindowSettings


@pytest.fixture(scope="module")
def model():
    return toy.toy_model_patcher()


@pytest.fixture(scope="module")
def motion(tmp_path_factory):
    return motion_model(tmp_path_factory.mktemp("motion"), "v2")


@pytest.fixture(scope="module")
def moving(model, motion):
    """The clip with nothing set."""
    return sample(animate(model, motion))


def sample(animated, frames=4, **options):
    """A small clip, (frames, 4, 8, 8)."""
    return toy.sample(animated, noise=toy.noise_for(frames, 8), **options)


def predictions(animated):
    """What the small clip is predicted to be after each of four steps."""
    return toy.predictions(animated, noise=toy.noise_for(4, 8))


def keyframes(*points):
    group = comfy.hooks.HookKeyframeGroup()
    for percent, strength in points:
        group.add(comfy.hooks.HookKeyframe(strength, start_percent=percent))
    return group


@pytest.mark.newest_host
@pytest.mark.parametrize("name", ["scale", "effect"])
def test_values_masks_and_lists_of_one_number_are_the_number(model, motion, moving, name):
    expected = sample(animate(model, motion, **{name: 0.4}))
    for value in (parse_value_schedule("0: 0.4"), [0.4], torch.full((1, 8, 8), 0.4), torch.full((3, 9, 7), 0.4)):
        assert relative_error(sample(animate(model, motion, **{name: value})), expected) < 1e-4
    assert relative_error(expected, moving) > 1e-2


def only_last_module(value):
    """Motion in the last module only, so that a frame's effect shows in that frame."""
    return {"per_block": "down: 0, mid: 0, up: 0, up.3.2: 1", "effect": value}


def test_effect_per_frame_in_windows_belongs_to_the_frame_of_the_clip(model, motion):
    """20 frames in windows of 8: a frame of effect 0 must be the plain model's, the others not."""
    windows = WindowSettings(length=8, overlap=2, schedule="standard_static", fuse="pyramid")
    values = [float(frame % 3 != 0) for frame in range(20)]

    def one_step(effect):
        return sample(apply_windows(animate(model, motion, **only_last_module(effect)), windows), frames=20, steps=1)

    ours, still = one_step(values), one_step([0.0] * 20)
    for frame, value in enumerate(values):
        assert (relative_error(ours[frame], still[frame]) < 1e-5) == (value == 0.0)


@pytest.mark.newest_host
def test_mask_of_zeros_and_ones(model, motion, moving):
    still = sample(animate(model, motion, effect=[0.0]))  # one number would take the noise schedule away too
    assert relative_error(sample(animate(model, motion, mask=torch.zeros(1, 64, 64))), still) < 1e-5
    assert relative_error(sample(animate(model, motion, mask=torch.ones(64, 64))), moving) < 1e-5


@pytest.mark.newest_host
def test_per_block_zero_is_a_module_less(model, motion, moving, tmp_path):
    """A module whose proj_out is zero changes nothing, so it stands for one whose effect is 0."""
    weights = motion_state_dict("v2")
    silent = {
        k: torch.zeros_like(w) if k.startswith("up_blocks.2.") and "proj_out" in k else w for k, w in weights.items()
    }
    quiet = load_motion_model(put(files.MOTION_MODELS, tmp_path / "silent.safetensors", silent))
    expected = sample(animate(model, quiet))
    assert relative_error(sample(animate(model, motion, per_block="up.2: 0")), expected) < 1e-5
    assert relative_error(expected, moving) > 1e-3


@pytest.mark.newest_host
def test_per_block_scale_is_the_scale(model, motion):
    expected = sample(animate(model, motion, scale=1.6))
    assert (
        relative_error(
            sample(animate(model, motion, per_block="down: 1 scale 1.6, mid: 1 scale 1.6, up: 1 scale 1.6")),
            expected,
        )
        < 1e-5
    )


def test_a_block_it_lacks_is_a_line_in_the_log(model, tmp_path, caplog):
    with caplog.at_level("WARNING", "zoetrope"):
        animate(model, motion_model(tmp_path, "v3"), per_block="down: 1, mid: 0.5")
    assert "per_block names 'mid'" in caplog.text


def test_keyframes_multiply_effect_over_the_steps(model, motion):
    plain = predictions(animate(model, motion, effect=[0.0]))
    ours = predictions(animate(model, motion, timestep_keyframes=keyframes((0.0, 0.0), (0.5, 1.0))))
    assert relative_error(ours[0], plain[0]) < 1e-6
    assert relative_error(ours[-1], plain[-1]) > 1e-3


def test_stacked_models_have_their_own_ranges(model, motion, tmp_path):
    other = motion_model(tmp_path, "v3", name="other.safetensors")
    both = animate(animate(model, motion, end_percent=0.5), other, start_percent=0.5001)
    first, second = predictions(animate(model, motion)), predictions(animate(model, other))
    ours = predictions(both)
    assert relative_error(ours[0], first[0]) < 1e-6
    assert relative_error(ours[0], second[0]) > 1e-3
    assert relative_error(ours[-1], first[-1]) > 1e-3


@pytest.mark.parametrize("inputs", [{"per_block": "up.2: 0"}, {"effect": [0.0, 1.0]}, {"mask": torch.zeros(1, 8, 8)}])
def test_settings_survive_clones_and_later_patches(model, motion, inputs):
    animated = animate(model, motion, **inputs)
    later = animated.clone()
    later.set_model_unet_function_wrapper(lambda apply, args: apply(args["input"], args["timestep"], **args["c"]))
    assert torch.equal(sample(later.clone()), sample(animated))


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"scale": "much"}, "scale is 'much'"),
        ({"effect": float("nan")}, "effect is nan"),
        ({"effect": []}, "values per frame is empty"),
        ({"mask": torch.zeros(1, 1, 8, 8)}, "mask has the shape"),
        ({"per_block": "sideways: 1"}, "per_block cannot read 'sideways: 1'"),
        ({"start_percent": 0.6, "end_percent": 0.5}, "end_percent 0.5 lies before start_percent 0.6"),
    ],
)
def test_bad_values_are_named(model, motion, inputs, words):
    with pytest.raises(ValueError, match=words):
        animate(model, motion, **inputs)


@pytest.mark.newest_host
def test_adjusting_positions_changes_the_clip_and_not_the_model(model, motion, moving):
    before = {key: weight.clone() for key, weight in motion.patcher.model.state_dict().items()}
    slower = adjust_motion_model(motion, Adjustment(cap=16, interpolate=32), BlockValues())
    assert relative_error(sample(animate(model, slower)), moving) > 1e-3
    assert all(torch.equal(motion.patcher.model.state_dict()[key], weight) for key, weight in before.items())
    assert slower.spec.max_frames == 32 and "adjusted" in info(slower)


@pytest.mark.newest_host
def test_stretched_positions_take_more_frames_and_survive_a_second_use(model, motion):
    longer = adjust_motion_model(motion, Adjustment(stretch=8), BlockValues())
    frames = 40
    with pytest.raises(ValueError, match="positions for 32 frames"):
        sample(animate(model, motion), frames=frames, steps=1)
    twice = animate(animate(model, longer), longer)
    assert sample(twice, frames=frames, steps=1).isfinite().all()


@pytest.mark.newest_host
def test_adjusted_blocks_multiply_those_of_apply(model, motion):
    half = adjust_motion_model(motion, Adjustment(), parse_block_values("up: 0.5"))
    expected = sample(animate(model, motion, per_block="up: 0.25"))
    assert relative_error(sample(animate(model, half, per_block="up: 0.5")), expected) < 1e-5
    assert half.patcher is motion.patcher
    assert info(half).splitlines()[-1] == "per_block: up: 0.5"


def test_info_says_what_it_is(motion):
    text = info(motion)
    assert motion.name in text and "AnimateDiff v2" in text and "32 frames" in text
