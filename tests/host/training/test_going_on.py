"""Going on with a training after a stop, in another process: to the bit as if it had never stopped."""

import os
import subprocess
import sys

import comfy.model_management
import pytest
import torch

from support.pack import ROOT
from support.toy_models.files import motion_model
from support.toy_training import assert_same, files_in, settings, state_of, toy_target
from support.training_clips import ToyClips
from zoetrope.host.training.loop import train
from zoetrope.training.state_file import read_state

STEPS = 4
# name -> what is trained, and settings that are another half of the state
TRAININGS = {
    "lora": ("lora", {"loss": "debiased", "warm_up": 2}),
    "model": ("model", {"ema": 0.9}),
    "adapter": ("adapter", {"batch": 2, "min_snr": 5.0}),
    "interrupted": ("lora", {"accumulation": 2}),
}
PROGRAM = """
import sys
from pathlib import Path
import torch
from support import pack
from support.comfyui import use_comfyui
use_comfyui(use_pytorch_cross_attention=True)
sys.path.insert(0, sys.argv[3])
from test_going_on import finish
torch.set_num_threads(int(sys.argv[2]))
finish(Path(sys.argv[1]))
"""


def asked(name, steps=STEPS):
    return settings(steps=steps, frames=2, preview_every=0, **TRAININGS[name][1])


def motion_in(folder):
    (folder / "motion").mkdir(exist_ok=True)
    return motion_model(folder / "motion", "v3")


def finish(folder):
    """What the other process does: the trainings of a folder, to their end."""
    for name, (kind, _) in TRAININGS.items():
        result = train(toy_target(kind, motion_in(folder)), ToyClips(), asked(name), files_in(folder, name))
        print(name, result.trained, len(result.losses))


class Stopping(ToyClips):
    """Clips that end the prompt in the middle of the third step, before the second of its two UNet calls."""

    def text(self, caption):
        if len(self.asked) == 6:
            comfy.model_management.interrupt_current_processing()
        return super().text(caption)


@pytest.mark.newest_host
def test_another_process_goes_on_to_the_bit(tmp_path):
    motion = motion_in(tmp_path)
    for name, (kind, _) in TRAININGS.items():
        train(toy_target(kind, motion), ToyClips(), asked(name), files_in(tmp_path, f"whole {name}"))
        if name != "interrupted":
            train(toy_target(kind, motion), ToyClips(), asked(name, 2), files_in(tmp_path, name))
    clips, target, stopped = Stopping(), toy_target("lora", motion), files_in(tmp_path, "interrupted")
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        train(target, clips, asked("interrupted"), stopped)
    assert len(clips.asked) == 6  # no UNet call came after it
    assert read_state(stopped.state).step == 2
    assert target.model.model.current_patcher is None  # its memory is free for the next prompt
    assert "forward" not in {name for layer in target.model.model.modules() for name in vars(layer)}
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    here = os.path.dirname(__file__)
    found = subprocess.run(
        [sys.executable, str(program), str(tmp_path), str(torch.get_num_threads()), here],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests"), "PYTHONHASHSEED": "77"},
    )
    assert found.returncode == 0, found.stderr[-2000:]
    assert found.stdout.split("\n")[:4] == [f"{name} {STEPS - 2} {STEPS}" for name in TRAININGS]
    for name, (kind, _) in TRAININGS.items():
        files, whole = files_in(tmp_path, name), files_in(tmp_path, f"whole {name}")
        assert_same(state_of(files), state_of(whole))
        assert files.result.read_bytes() == whole.result.read_bytes()
        again = train(toy_target(kind, motion), ToyClips(), asked(name), files)
        assert (again.trained, len(again.losses)) == (0, STEPS)  # what is finished is not trained again


@pytest.mark.newest_host
def test_a_finished_training_whose_file_is_gone_or_older_writes_it_again(tmp_path):
    """As after a stop between the two files, of which the state is written first."""
    files, few = files_in(tmp_path), settings(steps=2, frames=2, preview_every=0)
    train(toy_target("adapter", None), ToyClips(), settings(steps=1, frames=2, preview_every=0), files)
    older = files.result.read_bytes()
    train(toy_target("adapter", None), ToyClips(), few, files)
    newest = files.result.read_bytes()
    assert older != newest
    files.result.write_bytes(older)
    os.utime(files.result, ns=(0, files.state.stat().st_mtime_ns - 1))
    assert train(toy_target("adapter", None), ToyClips(), few, files).trained == 0
    assert files.result.read_bytes() == newest
    files.result.unlink()
    train(toy_target("adapter", None), ToyClips(), few, files)
    assert files.result.read_bytes() == newest
    files.result.write_bytes(b"what somebody else put there")
    train(toy_target("adapter", None), ToyClips(), few, files)
    assert files.result.read_bytes() == b"what somebody else put there"
