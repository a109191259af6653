"""Two processes train as one with twice the batch, and what happens to one of them happens to both."""

import json
import math
import os
import subprocess
import sys

import pytest
import torch

from support.pack import ROOT
from support.toy_models.files import motion_model, relative_error
from support.toy_processes import FOUR, KINDS, first_step, new_target
from support.toy_training import files_in
from support.training_clips import ToyClips
from zoetrope.host.training.loop import train
from zoetrope.training.state_file import read_state

pytestmark = pytest.mark.newest_host


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where two processes left what happened, each as ``process N.json``."""
    place = tmp_path_factory.mktemp("processes")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    script = str(ROOT / "tests" / "support" / "toy_processes.py")
    done = subprocess.run(
        [*torchrun, script, str(place)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=600,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return place


@pytest.fixture(scope="module")
def happened(folder):
    """What happened to process 0 and to process 1, by scenario."""
    return [json.loads((folder / f"process {rank}.json").read_text(encoding="utf-8")) for rank in (0, 1)]


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_one_process_with_twice_the_batch(folder, happened, tmp_path, kind):
    """AdamW's first moment after its first step is 0.1 of the gradient, in both."""
    files = files_in(tmp_path)
    alone = train(new_target(kind, motion_model(tmp_path, "v3")), ToyClips(FOUR), first_step(kind, 2), files)
    ours, expected = (
        read_state(path).tensors for path in (folder / "files of 0" / f"{kind}.state.safetensors", files.state)
    )
    moments = [name for name in expected if name.startswith("first/")]
    assert ours.keys() == expected.keys() and len(moments) == (440 if kind == "model" else 320)
    ours_whole, expected_whole = (torch.cat([found[name].flatten() for name in moments]) for found in (ours, expected))
    assert relative_error(ours_whole, expected_whole) < 1e-5
    # Each weight's own gradient too; rounding counts for more in those that are small.
    length = expected_whole.norm()
    for name in moments:
        assert (ours[name] - expected[name]).norm() < 1e-5 * expected[name].norm() + 1e-6 * length, name
    (loss,) = happened[0][f"first {kind}"]["losses"]
    assert abs(loss - alone.losses[0]) < 1e-6 * loss
    assert read_state(files.state).digest == read_state(folder / "files of 0" / f"{kind}.state.safetensors").digest


def test_only_process_0_writes_and_is_watched(folder, happened):
    assert not list((folder / "files of 1").iterdir())
    assert [one["whole"]["heard"] for one in happened] == [[1, 2, 3], []]
    assert happened[0]["whole"]["losses"] == happened[1]["whole"]["losses"]


@pytest.mark.parametrize("rank", [0, 1])
def test_an_interrupt_of_either_saves_and_ends_both(folder, happened, rank):
    assert {one[f"interrupted {rank}"]["ended"] for one in happened} == {"InterruptProcessingException"}
    assert [one[f"interrupted {rank}"]["heard"] for one in happened] == [[1], []]


def test_going_on_is_the_same_to_the_bit(folder, happened):
    ours, expected = (read_state(folder / f"{name}.state.safetensors") for name in ("stopped 1", "whole"))
    assert read_state(folder / "stopped 0.state.safetensors").step == 1
    assert happened[0]["gone on"]["heard"] == [2, 3]
    assert ours.losses == expected.losses and ours.tensors.keys() == expected.tensors.keys()
    assert all(torch.equal(tensor, expected.tensors[name]) for name, tensor in ours.tensors.items())


def test_no_memory_in_one_saves_and_ends_both(folder, happened):
    assert {one["no memory"]["ended"] for one in happened} == {"RuntimeError"}
    assert "ran out of memory in step 2" in happened[1]["no memory"]["words"]
    assert read_state(folder / "no memory.state.safetensors").step == 1


def test_a_fault_in_one_ends_both(happened):
    assert [one["unreadable"]["ended"] for one in happened] == ["OtherProcessError", "OSError"]
    assert [one["no place"]["ended"] for one in happened] == ["ValueError", "OtherProcessError"]
    assert "cannot be written" in happened[0]["no place"]["words"]


def test_a_step_without_numbers_in_one_is_left_out_by_both(folder, happened):
    for one in happened:
        assert [math.isfinite(loss) for loss in one["no number"]["losses"]] == [True, False, True]
    state = read_state(folder / "no number.state.safetensors")
    assert (state.step, state.numbers["updates"]) == (3, 2)


def test_processes_that_differ_are_refused(happened):
    for one in happened:
        assert one["other seed"]["ended"] == "ValueError"
        assert (
            "Process 1 of the training does not begin as process 0 does; they differ in 'seed'"
            in one["other seed"]["words"]
        )
