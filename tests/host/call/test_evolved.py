"""AnimateDiff-Evolved on the same MODEL: what cannot work together says so before anything is computed."""

import pytest

from support.toy_models import unet as toy
from zoetrope.host.call.frames import published_frames
from zoetrope.host.sampling.context_windows import apply_windows
from zoetrope.temporal.windows.settings import WindowSettings

WINDOWS = WindowSettings(length=4, overlap=1)


@pytest.fixture
def model():
    """As AnimateDiff-Evolved leaves it: its motion model is an additional model under its key."""
    model = toy.toy_model_patcher()
    model.set_additional_models("ADE", [toy.toy_model_patcher(seed=1)])
    return model


def test_its_motion_in_our_windows_is_refused(model):
    with pytest.raises(ValueError, match=r"motion model of AnimateDiff-Evolved.* use Zoetrope's Apply Motion Model"):
        toy.sample(toy.answer_with(apply_windows(model, WINDOWS), lambda x, *_: x), frames=8)


def test_a_clip_of_one_window_is_none_of_our_business(model):
    toy.sample(toy.answer_with(apply_windows(model, WINDOWS), lambda x, *_: x), frames=4)


def test_windows_of_both_packs_are_refused():
    """Its windows announce themselves before ours are asked."""
    model = toy.answer_with(apply_windows(toy.toy_model_patcher(), WINDOWS), lambda x, *_: x)
    announced = published_frames(range(8), 16, 8)["ad_params"]
    model.model_options["transformer_options"]["ad_params"] = announced
    with pytest.raises(ValueError, match=r"Windows of another pack .* remove one of the two"):
        toy.sample(model, frames=8)
    announced["sub_idxs"] = None  # it announces a clip that it does not cut, too
    toy.sample(model, frames=8)
