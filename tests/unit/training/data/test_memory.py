"""Memory while a set of clips is written and read: that of a few frames, whatever its length."""

import subprocess
import sys

import pytest

from support.pack import ROOT

# Latents of 512x512 pixels: 2,000 frames are 131 MB as the VAE gives them, 66 MB on disk.
PROGRAM = """
import resource, sys
from pathlib import Path
import torch
from support import pack
from zoetrope.training.data.clip_set import ClipSet
from zoetrope.training.data.write import ClipSetPlan, PlannedClip, write_clip_set

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

def chunks(frames):
    for first in range(0, frames, 8):
        yield (torch.randn(min(8, frames - first), 4, 64, 64),)

def written(name, frames):
    clip = PlannedClip(name=name, caption="", frames=frames, source={}, chunks=lambda: chunks(frames))
    plan = ClipSetPlan(frames=16, stride=4, flips=False, pictures={}, text={}, clips=[clip])
    write_clip_set(Path(sys.argv[1]) / name, plan, lambda caption: {"cross_attn": torch.zeros(1, 77, 768)})
    return peak()

few = written("few", 200)
many = written("many", 2000)
clips = ClipSet(Path(sys.argv[1]) / "many")
for start in range(0, 2000 - 61, 8):
    clips.latents(0, range(start, start + 61, 4))
print(many - few, peak() - many)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="peak memory is asked of the resource module")
def test_memory_does_not_grow_with_the_clips(tmp_path):
    """Caching 2,000 frames takes less than 50 MB more than 200, and reading all of them less than 100 MB."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    found = subprocess.run(
        [sys.executable, str(program), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT / "tests"), "OMP_NUM_THREADS": "1"},
    )
    writing, reading = map(int, found.stdout.split())
    assert writing < 50e6
    assert reading < 100e6
