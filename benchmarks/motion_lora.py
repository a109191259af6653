"""Peak memory and time that a stack of three rank-64 MotionLoRAs adds to sampling, as ratios.

    COMFYUI_DIR=... python benchmarks/motion_lora.py

Memory: two processes load and sample the same clip from files, one with the stack, one without; the difference of
their peaks is divided by the size of the three files, and the exit status is 1 when that reaches 1.2. Time: one step
of each, taking turns in one process. Widths are 320 at every level of the UNet, weights are random, on the CPU, where
LoRAs act beside the weights.
"""

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
CHANNELS, RANK, LORAS, FRAMES = 320, 64, 3, 8
LIMIT = 1.2  # of the size of the files

from comfy.cli_args import args  # noqa: E402

args.cpu = True


def write_files(folder: Path) -> int:
    """A v2 motion model and the MotionLoRAs; bytes of the latter."""
    import safetensors.torch

    from support import pack  # noqa: F401
    from support.toy_models.motion import lora_state_dict, motion_state_dict

    safetensors.torch.save_file(motion_state_dict("v2", CHANNELS), folder / "motion.safetensors")
    paths = [folder / f"lora{number}.safetensors" for number in range(LORAS)]
    for seed, path in enumerate(paths):
        safetensors.torch.save_file(lora_state_dict(channels=CHANNELS, rank=RANK, seed=seed), path)
    return sum(path.stat().st_size for path in paths)


def models(folder: Path, with_loras: list[bool]) -> list:
    """A MODEL for each entry, all of one checkpoint and one motion model."""
    import comfy.model_base
    import comfy.model_patcher
    import comfy.supported_models
    import folder_paths

    from support.toy_models import unet as toy
    from support.toy_models.files import animate
    from zoetrope.host.call.strength import Strength
    from zoetrope.host.loading import model_files as files
    from zoetrope.host.lora.motion_lora import load_motion_lora
    from zoetrope.host.motion.load import load_motion_model

    files.register_model_folders()
    for kind in (files.MOTION_MODELS, files.MOTION_LORAS):
        folder_paths.add_model_folder_path(kind, str(folder), is_default=True)
    config = {**toy.toy_sd15_unet_config(), "model_channels": CHANNELS}
    base = comfy.model_base.BaseModel(comfy.supported_models.SD15(config), device=toy.CPU)
    patcher = comfy.model_patcher.CoreModelPatcher(toy.fill(base, 0), load_device=toy.CPU, offload_device=toy.CPU)
    motion = load_motion_model("motion.safetensors")
    stack = ()
    if any(with_loras):
        stack = tuple(load_motion_lora(f"lora{n}.safetensors", Strength(0.5)) for n in range(LORAS))
    return [animate(patcher, motion, loras=stack if wanted else ()) for wanted in with_loras]


def peak(folder: Path, with_loras: bool) -> None:
    """Child process: sample and print the peak of resident memory in bytes."""
    from support import pack  # noqa: F401
    from support.toy_models import unet as toy

    for model in models(folder, [with_loras]):
        toy.sample(model, frames=FRAMES, steps=1)
    scale = 1 if sys.platform == "darwin" else 1024
    print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale))


def measured_peak(folder: Path, with_loras: bool) -> int:
    command = [sys.executable, __file__, str(folder), str(int(with_loras))]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        on_disk = write_files(folder)
        peaks = {wanted: statistics.median(measured_peak(folder, wanted) for _ in range(2)) for wanted in (False, True)}
        extra = peaks[True] - peaks[False]
        print(f"{LORAS} MotionLoRAs of rank {RANK}, {on_disk / 2**20:.0f} MiB of files, {CHANNELS} channels, CPU")
        print(f"memory  {extra / 2**20:.0f} MiB more at the peak = {extra / on_disk:.2f} of the files")
        time_a_step(folder)
    if extra >= LIMIT * on_disk:
        sys.exit(f"The stack may add less than {LIMIT} times the size of its files.")


def time_a_step(folder: Path) -> None:
    from support.toy_models import unet as toy

    seconds: dict[int, list[float]] = {0: [], 1: []}
    pair = models(folder, [False, True])
    for _ in range(4):
        for number, model in enumerate(pair):
            start = time.perf_counter()
            toy.sample(model, frames=FRAMES, steps=1, noise=toy.noise_for(FRAMES, 32))
            seconds[number].append(time.perf_counter() - start)
    plain, with_loras = (statistics.median(seconds[number][1:]) for number in (0, 1))
    print(f"time    {with_loras:.2f} s / {plain:.2f} s = {with_loras / plain:.2f}")


if len(sys.argv) > 1:
    peak(Path(sys.argv[1]), sys.argv[2] == "1")
else:
    main()
