"""What goes wrong while a training runs: full disks, numbers that are none, models and settings that are not for training."""

import logging

import pytest
import safetensors.torch
import torch
from comfy.patcher_extension import WrappersMP
from safetensors import SafetensorError

from support.toy_models import sdxl as toy_sdxl
from support.toy_models import unet as toy
from support.toy_models.files import motion_model
from support.toy_training import assert_same, files_in, settings, state_of, toy_target
from support.training_clips import ToyClip, ToyClips
from zoetrope.host.motion.view_windows import apply_views
from zoetrope.host.sampling.context_windows import apply_windows
from zoetrope.host.sampling.free_init import apply_free_init
from zoetrope.host.training.domain_adapter import domain_adapter_target
from zoetrope.host.training.loop import train
from zoetrope.host.training.motion_lora import MotionLoraOptions, motion_lora_target
from zoetrope.host.training.motion_model import motion_model_target
from zoetrope.host.training.places import claimed
from zoetrope.host.training.predict import COMPILE_WRAPPER
from zoetrope.temporal.free_init import FreeInitSettings
from zoetrope.temporal.windows.settings import WindowSettings
from zoetrope.training.optimiser import MOST_BAD_STEPS
from zoetrope.training.stages import DOMAIN_ADAPTER_STAGE
from zoetrope.training.state_file import read_state

SHORT = {"frames": 2, "preview_every": 0}


@pytest.fixture(scope="module")
def motion(tmp_path_factory):
    return motion_model(tmp_path_factory.mktemp("motion"), "v3")


def full_disk_at(monkeypatch, write):
    """The disk is full when file number ``write``, from 1, is saved."""
    save, written = safetensors.torch.save_file, []

    def saved(tensors, path, metadata=None):
        written.append(path)
        if len(written) == write:
            with open(path, "wb") as half:
                half.write(b"half")
            raise SafetensorError("I/O error: No space left on device (os error 28)")
        save(tensors, path, metadata)

    monkeypatch.setattr(safetensors.torch, "save_file", saved)


@pytest.mark.newest_host
@pytest.mark.parametrize("write", [3, 4])
def test_a_full_disk_keeps_what_was_saved_and_the_training_goes_on_to_the_bit(tmp_path, monkeypatch, write):
    """Files 1 and 2 are those of step 1, file 3 is the state of step 2 and file 4 what it is for."""
    asked = settings(steps=3, save_every=1, preview_every=0)
    whole, files, target = files_in(tmp_path, "whole"), files_in(tmp_path), toy_target("adapter", None)
    train(toy_target("adapter", None), ToyClips(), asked, whole)
    with monkeypatch.context() as patch:
        full_disk_at(patch, write)
        with pytest.raises(ValueError, match="cannot be written .I/O error: No space left.*make room on the disk"):
            train(target, ToyClips(), asked, files)
    assert read_state(files.state).step == write - 2
    assert safetensors.torch.load_file(files.result).keys() == safetensors.torch.load_file(whole.result).keys()
    assert {path.name for path in tmp_path.iterdir()} == {p.name for f in (whole, files) for p in (f.result, f.state)}
    assert target.model.model.current_patcher is None
    train(toy_target("adapter", None), ToyClips(), asked, files)
    assert_same(state_of(files), state_of(whole))


@pytest.mark.parametrize("write", [1, 2])
def test_a_disk_that_is_full_at_the_first_saving_leaves_a_name_that_can_be_used_again(places, monkeypatch, write):
    few = settings(steps=1, preview_every=0)
    with monkeypatch.context() as patch:
        full_disk_at(patch, write)
        with pytest.raises(ValueError, match="make room"), claimed(DOMAIN_ADAPTER_STAGE, "look") as files:
            train(toy_target("adapter", None), ToyClips(), few, files)
    with claimed(DOMAIN_ADAPTER_STAGE, "look") as files:
        assert train(toy_target("adapter", None), ToyClips(), few, files).trained == (2 - write)
        assert files.result.is_file()


def test_what_a_killed_training_left_half_written_is_removed_by_the_next_of_its_name(places):
    with claimed(DOMAIN_ADAPTER_STAGE, "look") as files:
        left = [path.with_name(f".{path.name}.4711.part") for path in (files.result, files.state)]
        others = [path.with_name(f".other{path.name}.4711.part") for path in (files.result, files.state)]
        for path in (*left, *others):
            path.mkdir()
            (path / "content").write_bytes(b"half")
    with claimed(DOMAIN_ADAPTER_STAGE, "look"):
        assert not any(path.exists() for path in left) and all(path.exists() for path in others)


class Broken(ToyClips):
    """Clips that hold no number from UNet call ``first`` on, up to ``last``."""

    def __init__(self, first, last):
        super().__init__()
        self.first, self.last = first, last

    def latents(self, clip, numbers, flipped=False):
        found = super().latents(clip, numbers, flipped)
        return found * float("nan") if self.first <= len(self.asked) <= self.last else found


@pytest.mark.newest_host
def test_a_step_without_numbers_changes_nothing(tmp_path):
    files, plain = files_in(tmp_path), files_in(tmp_path, "plain")
    result = train(toy_target("adapter", None), Broken(2, 3), settings(steps=3, preview_every=0), files)
    assert [loss == loss for loss in result.losses] == [True, False, False]
    train(toy_target("adapter", None), ToyClips(), settings(steps=1, preview_every=0), plain)
    ours, expected = (safetensors.torch.load_file(one.result) for one in (files, plain))
    assert_same(ours, expected)


@pytest.mark.newest_host
def test_ten_such_steps_end_it_and_the_file_is_the_last_good_one(tmp_path):
    files, plain = files_in(tmp_path), files_in(tmp_path, "plain")
    asked = settings(steps=30, save_every=2, preview_every=0)
    clips = Broken(3, 99)
    with pytest.raises(ValueError, match="in 10 steps in a row .up to step 12.*a lower learning_rate than 0.001"):
        train(toy_target("adapter", None), clips, asked, files)
    assert len(clips.asked) == 2 + MOST_BAD_STEPS
    train(toy_target("adapter", None), ToyClips(), settings(steps=2, preview_every=0), plain)
    ours, expected = (safetensors.torch.load_file(one.result) for one in (files, plain))
    assert_same(ours, expected)


@pytest.mark.newest_host
def test_clips_of_several_sizes_are_never_in_one_call(tmp_path):
    sizes = ((16, 16), (8, 16), (16, 8))
    made = tuple(ToyClip(f"{n}", "a box", 3, *sizes[n % 3]) for n in range(5))
    clips = ToyClips(made)
    result = train(toy_target("adapter", None), clips, settings(steps=4, batch=2, preview_every=0), files_in(tmp_path))
    assert all(loss == loss for loss in result.losses)
    calls = [clips.asked[n : n + 2] for n in range(0, len(clips.asked), 2)]
    assert len(calls) == 4 and {clip for call in calls for clip, *_ in call} >= {0, 1, 2}
    assert all(len({(made[clip].height, made[clip].width) for clip, *_ in call}) == 1 for call in calls)


def one_step(target, directory, name):
    """State after one step."""
    files = files_in(directory, name)
    train(target, ToyClips(), settings(steps=1, loss="debiased", preview_every=0), files)
    return state_of(files)


@pytest.mark.newest_host
def test_what_only_sampling_needs_has_no_part_in_training(motion, tmp_path, caplog):
    """Windows, FreeInit, compiled graphs, and an attention that has no gradient: the state is that without them."""

    def lora_on(model):
        return motion_lora_target(model, motion, MotionLoraOptions(rank=2), seed=1)

    def fails(*_args, **_kwargs):
        raise AssertionError("this has no gradient")

    plain = toy.toy_model_patcher()
    expected = one_step(lora_on(plain), tmp_path, "plain")
    windows = WindowSettings(length=2, overlap=1)
    core = toy.with_core_handler(plain, "standard_static", "pyramid")
    changed = apply_free_init(apply_views(apply_windows(plain, windows), windows), FreeInitSettings())
    changed.model_options["transformer_options"]["optimized_attention_override"] = fails
    changed.add_wrapper_with_key(WrappersMP.APPLY_MODEL, COMPILE_WRAPPER, fails)
    with caplog.at_level(logging.INFO, "zoetrope"):
        for name, model in {"all": changed, "core": core}.items():
            assert_same(one_step(lora_on(model), tmp_path, name), expected)
    told = [record.getMessage() for record in caplog.records if "no part in training" in record.getMessage()]
    assert len(told) == 2 and "Context Windows, View Windows, FreeInit" in told[0] and "Context Windows" in told[1]
    assert changed.get_attachment("zoetrope_views") is windows  # the MODEL itself keeps them


@pytest.mark.newest_host
@pytest.mark.parametrize("kind", ["lora", "adapter"])
def test_an_image_model_in_eight_bits_stays_so(motion, tmp_path, kind):
    small = torch.float8_e4m3fn
    model = toy.toy_model_patcher(dtype=small, compute=torch.float32)
    target = (
        motion_lora_target(model, motion, MotionLoraOptions(rank=2), seed=1)
        if kind == "lora"
        else domain_adapter_target(model, 2, seed=1)
    )
    files = files_in(tmp_path)
    before = {name: weight.view(torch.uint8).clone() for name, weight in eight_bits(model, small)}
    result = train(target, ToyClips(), settings(steps=2, **SHORT), files)
    assert all(0 < loss < 100 for loss in result.losses) and before
    assert all(torch.equal(weight.view(torch.uint8), before[name]) for name, weight in eight_bits(model, small))
    state = read_state(files.state)
    learnt = [tensor for name, tensor in state.tensors.items() if name.startswith("weights/") and name.endswith(".up")]
    assert all(tensor.dtype == torch.float32 and tensor.any() for tensor in learnt) and learnt


def eight_bits(model, dtype):
    return [(name, weight) for name, weight in model.model.diffusion_model.named_parameters() if weight.dtype == dtype]


def test_checkpoints_of_another_kind_are_refused(motion):
    sdxl = toy_sdxl.toy_sdxl_patcher()
    with pytest.raises(ValueError, match="train motion models on an SD1.5 checkpoint"):
        motion_model_target(sdxl, "v3", seed=1)
    with pytest.raises(ValueError, match="'v3.safetensors' is made for SD1.5.* of the same base"):
        motion_lora_target(sdxl, motion, MotionLoraOptions(), seed=1)
