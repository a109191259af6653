"""Memory while a set of clips is written and read: that of a few frames, whatever its length."""

import subprocess
import sys

import pytest

from support.pack import ROOT

# Latents of 512x512 pixels: 2,000 frames are 131 MB as the VAE gives them, 66 MB on disk. What is read is a set of 2 GB, whose
# file of latents is lengthened to that without being written, and draws of a training from all over it: 0.8 GB of pages.
PROGRAM = """
import json, resource, sys
from pathlib import Path
import torch
from support import pack
from zoetrope.training.data.clip_set import ClipSet
from zoetrope.training.draws import Draws
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

def lengthened(folder, frames):
    size = frames * 4 * 64 * 64 * 2
    header = json.dumps({"latents": {"dtype": "F16", "shape": [frames, 4, 64, 64], "data_offsets": [0, size]}}).encode()
    header += b" " * (-len(header) % 8)
    with open(folder / "00000.safetensors", "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size)
    manifest = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(manifest.replace('"frames": 200', f'"frames": {frames}'))

few = written("few", 200)
many = written("many", 2000)
folder, frames = Path(sys.argv[1]) / "few", 2**31 // (4 * 64 * 64 * 2)
lengthened(folder, frames)
clips = ClipSet(folder)
assert clips.clips[0].frames == frames
draws = Draws(clips.clips, flips=False, frames=16, stride=4, batch=1, accumulation=1, text_dropout=0.1, timesteps=(0, 999), seed=1)
starts = set()
for step in range(400):
    numbers = draws.at(step, 0).clips[0].numbers
    starts.add(numbers[0])
    assert clips.latents(0, numbers).shape == (16, 4, 64, 64)
    clips.text("")
print(many - few, peak() - many, max(starts) - min(starts), frames)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="peak memory is asked of the resource module")
def test_memory_does_not_grow_with_the_clips(tmp_path):
    """Caching 2,000 frames takes less than 50 MB more than 200, and training on 2 GB less than 100 MB."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    found = subprocess.run(
        [sys.executable, str(program), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT / "tests"), "OMP_NUM_THREADS": "1"},
    )
    writing, reading, spread, frames = map(int, found.stdout.split())
    assert writing < 50e6
    assert reading < 100e6
    assert spread > 0.9 * frames
