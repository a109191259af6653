"""State files: all comes back, a broken write leaves the one before, other settings are refused by name."""

import os

import pytest
import safetensors.torch
import torch

from zoetrope.training import state_file
from zoetrope.training.state_file import TrainingState, read_state, write_state, write_whole


def state(**changed):
    given = {
        "step": 3,
        "tensors": {
            "weights/a": torch.arange(6.0).view(2, 3),
            "average/a": torch.ones(2, 3),
            "first/a": torch.zeros(2, 3),
        },
        "numbers": {"updates": 2, "scale": 2.0**15},
        "losses": (0.1, float("nan"), 1 / 3),
        "digest": {"frames": "16", "clips": "abc"},
    }
    return TrainingState(**{**given, **changed})


def test_everything_comes_back(tmp_path):
    path = tmp_path / "sub" / "x.state.safetensors"
    write_state(path, state())
    found = read_state(path)
    assert (found.step, dict(found.numbers), dict(found.digest)) == (
        3,
        {"updates": 2, "scale": 32768.0},
        state().digest,
    )
    assert found.losses[0::2] == state().losses[0::2] and found.losses[1] != found.losses[1]
    assert found.tensors.keys() == state().tensors.keys()
    assert all(torch.equal(tensor, found.tensors[name]) for name, tensor in state().tensors.items())
    assert torch.equal(found.learnt()["a"], torch.ones(2, 3))
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_a_file_may_be_read_by_whom_other_new_files_may(tmp_path):
    write_state(tmp_path / "x.safetensors", state())
    (tmp_path / "other").write_bytes(b"")
    assert (tmp_path / "x.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_other_settings_are_named():
    with pytest.raises(
        ValueError, match=r"'x' holds.*clips was abc and is nothing; frames was 16 and is 24.*start anew"
    ):
        state().require_same({"frames": "24"}, "x")
    state().require_same({"clips": "abc", "frames": "16"}, "x")


@pytest.mark.parametrize("failing", ["save", "replace"])
def test_a_write_that_fails_leaves_the_file_before(tmp_path, monkeypatch, failing):
    path = tmp_path / "x.safetensors"
    write_state(path, state())
    before = path.read_bytes()

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((safetensors.torch, "save_file") if failing == "save" else (state_file.os, "replace")), full)
    with pytest.raises(ValueError, match="'x.safetensors' cannot be written .No space left on device.; make room"):
        write_state(path, state(step=9))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


def test_parts_of_a_tensor_are_written(tmp_path):
    whole = torch.arange(6.0)
    write_whole(tmp_path / "x.safetensors", {"a": whole[:3], "b": whole[3:]}, {})
    found = safetensors.torch.load_file(tmp_path / "x.safetensors")
    assert torch.equal(found["a"], whole[:3]) and torch.equal(found["b"], whole[3:])


def test_files_of_another_kind_and_damaged_ones_are_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    safetensors.torch.save_file({"a": torch.ones(1)}, path)
    with pytest.raises(ValueError, match="'x.safetensors' is no state of a training"):
        read_state(path)
    write_state(path, state())
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match="'x.safetensors' cannot be read"):
        read_state(path)
