"""What a training step costs: bytes kept for backward, and a step at SD1.5's true widths beside diffusers' and PEFT's.

    python scripts/in_host.py benchmarks/training.py saved
    python scripts/in_host.py benchmarks/training.py step [--stage motion_lora] [--frames 4] [--size 16] [--rounds 3]
    python scripts/in_host.py benchmarks/training.py gpu

saved: what autograd keeps of a toy step with every layer computed twice, over the same with none; the exit status is 1
above 1/8 or when a gradient differs. step: one step (forward, backward, AdamW) on the CPU of a MotionLoRA or a motion model,
ours over that written with diffusers' UNetMotionModel (and PEFT, if it can be imported), on the same seeded weights. The
predictions are compared first, then both take turns in one process, without and with checkpointing; the peak of resident
memory is that of one step in a process of its own for each. gpu: seconds and peak memory of ours for the sizes of
docs/training.md, on CUDA.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [os.environ["COMFYUI_DIR"], str(ROOT / "tests"), str(ROOT / "benchmarks")]
MOST_KEPT = 1 / 8
MOST_TIME, MOST_MEMORY = 0.85, 0.6  # of diffusers'
SAME = 1e-4  # relative difference of two predictions of one network in float32
STAGES = ("motion_lora", "motion_model")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("saved", "step", "gpu", "peak"))
    parser.add_argument("--stage", choices=STAGES, default=STAGES[0])
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--size", type=int, default=16, help="of a latent; an eighth of the pixels")
    parser.add_argument("--channels", type=int, default=320, help="of the first level; 32 to try the script out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=("ours", "theirs"), help="whose step, of peak")
    parser.add_argument("--twice", action="store_true", help="with checkpointing, of peak")
    return parser.parse_args()


ARGS = arguments()

import torch  # noqa: E402
from comfy.cli_args import args as comfy_args  # noqa: E402

comfy_args.cpu = ARGS.what != "gpu"
comfy_args.use_pytorch_cross_attention = True

from support import pack  # noqa: E402, F401  (the checkout becomes the package zoetrope, which the next lines import)

# isort: split
from training_sides import Clip, Ours, Theirs, checkpoint, has_peft, motion_weights  # noqa: E402

from support.toy_models import unet as toy  # noqa: E402
from support.toy_training import one_loss, ready  # noqa: E402
from zoetrope.host.training.motion_model import motion_model_target  # noqa: E402


def kept_bytes(checkpointing: str) -> tuple[int, dict[str, torch.Tensor]]:
    """What autograd keeps of a toy step beside the weights, and the gradients."""
    target = motion_model_target(toy.toy_model_patcher(), "v3", seed=1)
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with ready(target, checkpointing) as (weights, predictor):
        with torch.no_grad():
            for number, weight in enumerate(weights.values()):  # proj_out begins at 0, where nothing behind it learns
                weight += 0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(number))
        own = {
            weight.untyped_storage().data_ptr()
            for patcher in target.patchers
            for weight in (*patcher.model.parameters(), *patcher.model.buffers())
        }
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            one_loss(predictor)
        gradients = {name: weight.grad.clone() for name, weight in weights.items()}
    return sum(size for place, size in kept.items() if place not in own), gradients


def saved() -> None:
    (none, plain), (every, twice) = kept_bytes("none"), kept_bytes("all")
    equal = all(torch.equal(plain[name], twice[name]) for name in plain)
    print(
        f"kept for backward  {every / 2**20:.2f} MiB / {none / 2**20:.2f} MiB = {every / none:.4f} (1/{none / every:.1f})"
    )
    print(f"gradients          {'equal to the bit' if equal else 'DIFFERENT'}")
    if every > MOST_KEPT * none or not equal:
        sys.exit(f"Checkpointing may keep at most {MOST_KEPT:g}, with equal gradients.")


def sides(clip: Clip, which: str = "both") -> tuple[Ours | None, Theirs | None]:
    """Both steps on the same weights; those of the image network are the same memory."""
    model, motion = checkpoint(ARGS.channels), motion_weights(ARGS.channels)
    theirs = Theirs(ARGS.stage, model, motion, clip) if which != "ours" else None
    ours = Ours(ARGS.stage, model, motion, clip) if which != "theirs" else None
    return ours, theirs


def peak() -> None:
    """Child process: bytes of resident memory before a step, and at its highest."""
    ours, theirs = sides(Clip(ARGS.frames, ARGS.size), ARGS.side)
    side = ours or theirs
    assert side is not None
    side.step(ARGS.twice)  # makes what AdamW keeps
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the highest begins anew
    side.step(ARGS.twice)
    print(json.dumps([before, resident("VmHWM")]))


def resident(what: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))


def measured_peak(side: str, twice: bool) -> tuple[int, int]:
    same = [f"--{name}={getattr(ARGS, name)}" for name in ("stage", "frames", "size", "channels")]
    command = [sys.executable, __file__, "peak", "--side", side, *same, *(["--twice"] if twice else [])]
    # glibc gives large blocks back at once, on both sides.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    before, highest = json.loads(done.stdout.splitlines()[-1])
    return before, highest


def step() -> None:
    torch.set_num_threads(1)
    if ARGS.stage == "motion_lora" and not has_peft():
        sys.exit("A MotionLoRA needs PEFT on the other side: put it on PYTHONPATH, or take --stage motion_model.")
    seconds = timed_steps()
    gib = 2**30
    misses = []
    for twice in (False, True):
        name = "checkpointed" if twice else "plain"
        times = [statistics.median(seconds[side, twice]) for side in ("ours", "theirs")]
        (base, ours), (their_base, theirs) = (measured_peak(side, twice) for side in ("ours", "theirs"))
        print(
            f"{name:<12} time {times[0]:.2f} s / {times[1]:.2f} s = {times[0] / times[1]:.2f}, "
            f"peak {ours / gib:.2f} GiB / {theirs / gib:.2f} GiB = {ours / theirs:.2f}, of which the step "
            f"{(ours - base) / gib:.2f} GiB / {(theirs - their_base) / gib:.2f} GiB = {(ours - base) / (theirs - their_base):.2f}",
            flush=True,
        )
        misses += [f"{name} time"] * (times[0] > MOST_TIME * times[1]) + [f"{name} memory"] * (
            ours > MOST_MEMORY * theirs
        )
    if misses:
        sys.exit(f"Above {MOST_TIME:g} of the time or {MOST_MEMORY:g} of the memory: {', '.join(misses)}.")


def timed_steps() -> dict[tuple[str, bool], list[float]]:
    """CPU seconds of steps by side and checkpointing, in turns."""
    ours, theirs = sides(Clip(ARGS.frames, ARGS.size))
    assert ours is not None and theirs is not None
    mine, other = ours.prediction(), theirs.prediction()
    error = ((mine - other).norm() / other.norm()).item()
    print(
        f"{ARGS.stage}, {ARGS.frames} frames of {ARGS.size}x{ARGS.size}, predictions differ by {error:.1e}", flush=True
    )
    if error > SAME:
        sys.exit("The two sides compute different things.")
    theirs.as_published()
    seconds: dict[tuple[str, bool], list[float]] = {}
    for round_ in range(ARGS.rounds + 1):
        for twice in (False, True):
            for name, side in (("ours", ours), ("theirs", theirs)):
                start = time.process_time()
                side.step(twice)
                if round_:  # the first one makes what AdamW keeps
                    seconds.setdefault((name, twice), []).append(time.process_time() - start)
    print({f"{name} {twice}": [round(one, 2) for one in found] for (name, twice), found in seconds.items()}, flush=True)
    ours.close()
    return seconds


def gpu() -> None:
    if not torch.cuda.is_available():
        sys.exit("There is no GPU here.")
    for stage in STAGES:
        for size in (32, 48, 64, 96):
            for checkpointing in ("none", "motion", "all"):
                row = f"{stage:<13} {size * 8}x{size * 8}x16 {checkpointing:<7}"
                try:
                    print(row, gpu_row(stage, size, checkpointing), flush=True)
                except torch.cuda.OutOfMemoryError:
                    print(row, "out of memory", flush=True)
                torch.cuda.empty_cache()


def gpu_row(stage: str, size: int, checkpointing: str) -> str:
    ours = Ours(stage, checkpoint(dtype=torch.float16), motion_weights(), Clip(16, size))
    try:
        ours.step(checkpointing)
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(3):
            ours.step(checkpointing)
        torch.cuda.synchronize()
        return f"{(time.perf_counter() - start) / 3:.2f} s, {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB"
    finally:
        ours.close()


if __name__ == "__main__":
    {"saved": saved, "step": step, "gpu": gpu, "peak": peak}[ARGS.what]()
