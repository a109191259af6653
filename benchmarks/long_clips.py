"""Peak memory and time per frame of long clips in Context Windows, as ratios to a short clip.

    COMFYUI_DIR=... python benchmarks/long_clips.py [--frames 64 512] [--schedule standard_uniform]

Each length is sampled in a process of its own, the two in turns, with a v2 motion model at toy size. The peak counts
what sampling adds to the process, less the latents that core itself keeps for a clip. Ends with an error when the long
clip needs more than 1.3 times the memory or its frames cost more than 1.1 times the time of the short one's.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [os.environ["COMFYUI_DIR"], str(ROOT / "tests")]
SIZE, STEPS, REPEATS = 16, 2, 3  # of the latent, sampling steps, processes of each length
# Noise, the latent it starts from, x, the sampler's denoised, and cond, uncond and their sum in fp32 and x's own type.
LATENTS = 12
MEMORY, TIME = 1.3, 1.1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, nargs=2, default=[64, 512], metavar=("SHORT", "LONG"))
    parser.add_argument("--schedule", default="standard_uniform")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def peak() -> int:
    """Highest resident memory of this process so far, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(frames: int, schedule: str) -> dict[str, float]:
    """Child process: bytes above the loaded model for sampling the clip, and seconds for sampling it again."""
    from comfy.cli_args import args

    args.cpu = True
    from support import pack  # noqa: F401
    from support.toy_models import unet as toy
    from support.toy_models.files import animate, motion_model
    from zoetrope.host.sampling.context_windows import apply_windows
    from zoetrope.temporal.windows.settings import WindowSettings

    with tempfile.TemporaryDirectory() as folder:
        model = animate(toy.toy_model_patcher(), motion_model(Path(folder)))
        model = apply_windows(model, WindowSettings(length=16, overlap=4, schedule=schedule))
        toy.sample(model, frames=2, steps=1)
        before = peak()
        noise = toy.noise_for(frames, SIZE)
        toy.sample(model, frames=frames, steps=STEPS, noise=noise)
        added = peak() - before - LATENTS * noise.nbytes
        start = time.perf_counter()
        toy.sample(model, frames=frames, steps=STEPS, noise=noise)
        return {"bytes": added, "seconds": time.perf_counter() - start}


def measured(frames: int, schedule: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", str(frames), "--schedule", schedule]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def main() -> int:
    options = arguments()
    if options.child:
        print(json.dumps(measure(options.child, options.schedule)))
        return 0
    runs: dict[int, list[dict[str, float]]] = {frames: [] for frames in options.frames}
    for _ in range(REPEATS):
        for frames in options.frames:
            runs[frames].append(measured(frames, options.schedule))
    medians = {
        frames: {name: statistics.median(run[name] for run in found) for name in ("bytes", "seconds")}
        for frames, found in runs.items()
    }
    short, long = (medians[frames] for frames in options.frames)
    memory = long["bytes"] / short["bytes"]
    per_frame = (long["seconds"] / options.frames[1]) / (short["seconds"] / options.frames[0])
    print(f"{options.frames[1]} frames over {options.frames[0]}, {options.schedule} 16/4, {SIZE}x{SIZE} latents, CPU")
    print(f"memory          {long['bytes'] / 2**20:.0f} MiB / {short['bytes'] / 2**20:.0f} MiB = {memory:.2f}")
    print(f"time per frame  {per_frame:.2f}")
    return int(memory > MEMORY or per_frame > TIME)


if __name__ == "__main__":
    sys.exit(main())
