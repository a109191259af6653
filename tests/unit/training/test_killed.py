"""State files against the real thing: processes that are killed while they save, and a disk that takes no more."""

import subprocess
import sys

import pytest

from support.pack import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and resource limits")

# Forks five processes that save states as fast as they can, kills each at a random time, and reads what is there.
KILLED = """
import os, random, signal, sys, time
from pathlib import Path
import torch
from support import pack
from zoetrope.training.state_file import TrainingState, read_state, remove_unfinished, write_state

path = Path(sys.argv[1]) / "x.state.safetensors"

def state(step):
    tensors = {f"weights/{n}": torch.full((1000, 250), float(step)) for n in range(8)}
    return TrainingState(step=step, tensors=tensors, numbers={"updates": step}, losses=(0.5,) * step, digest={})

write_state(path, state(1))
draws = random.Random()
in_mid_save = 0
for number in range(5):
    before = path.stat().st_mtime_ns
    child = os.fork()
    if not child:
        for step in range(2, 1_000_000):
            write_state(path, state(step))
    while path.stat().st_mtime_ns == before:
        time.sleep(0.002)
    time.sleep(draws.uniform(0.0, 0.2))
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    found = read_state(path)
    assert found.numbers["updates"] == found.step == len(found.losses)
    assert len(found.tensors) == 8 and all(bool((tensor == found.step).all()) for tensor in found.tensors.values())
    in_mid_save += len(os.listdir(path.parent)) > 1
    remove_unfinished(path)
    assert os.listdir(path.parent) == [path.name]
    print(found.step)
print("in mid save:", in_mid_save)
"""

# The limit on the size of files is met in the middle of a write, as a full disk is.
FULL = """
import os, resource, sys
from pathlib import Path
import torch
from support import pack
from zoetrope.training.data.write import ClipSetPlan, PlannedClip, write_clip_set
from zoetrope.training.state_file import TrainingState, read_state, write_state

path = Path(sys.argv[1]) / "x.state.safetensors"

def state(step, size):
    return TrainingState(step=step, tensors={"weights/a": torch.ones(size)}, numbers={}, losses=(), digest={})

def clips(frames, tokens):
    clip = PlannedClip(name="a", caption="", frames=frames, source={}, chunks=lambda: iter([(torch.ones(frames, 4, 8, 8),)]))
    plan = ClipSetPlan(frames=1, stride=1, flips=False, pictures={}, text={}, clips=[clip])
    write_clip_set(path.with_name("set"), plan, lambda caption: {"cross_attn": torch.ones(1, tokens, 768)})

write_state(path, state(1, 10))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for attempt in (lambda: write_state(path, state(2, 100_000)), lambda: clips(1000, 1), lambda: clips(1, 77)):
    try:
        attempt()
    except ValueError as error:
        print(error)
print(read_state(path).step, os.listdir(path.parent))
"""


def output_of(program, tmp_path):
    script, folder = tmp_path / "program.py", tmp_path / "files"
    script.write_text(program)
    folder.mkdir()
    found = subprocess.run(
        [sys.executable, str(script), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT / "tests"), "OMP_NUM_THREADS": "1"},
    )
    assert found.returncode == 0, found.stderr[-2000:]
    return found.stdout.splitlines()


def test_a_killed_process_leaves_a_whole_state(tmp_path):
    *steps, last = output_of(KILLED, tmp_path)
    assert len(steps) == 5 and all(int(step) > 1 for step in steps)  # each of them did save
    assert last.startswith("in mid save: ")


def test_a_disk_that_takes_no_more_is_told_and_leaves_what_was_there(tmp_path):
    state, latents, captions, left = output_of(FULL, tmp_path)
    assert state.startswith("'x.state.safetensors' cannot be written (") and "File too large" in state
    assert all(line.startswith("The training clips 'set' cannot be written (") for line in (latents, captions))
    assert left == "1 ['x.state.safetensors']"
