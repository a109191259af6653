"""Time and peak memory of one UNet step with a motion module, over the same step without, as ratios.

    COMFYUI_DIR=... python benchmarks/overhead.py [--size 512] [--repeats 5] [--family v2] [--compile]

Networks have the true SD1.5 sizes and random weights; the two models take turns in one process, so a machine
that slows down slows both. On CUDA it also prints the ratio of peak allocated memory by the caching allocator,
on a CPU that of the process's resident memory, sampled. With --compile the same two also run through core's
TorchCompileModel (inductor), and their times are compared with the uncompiled ones'.
"""

import argparse
import os
import statistics
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [os.environ["COMFYUI_DIR"], str(ROOT / "tests")]

SITES = {
    "input": {1: 320, 2: 320, 4: 640, 5: 640, 7: 1280, 8: 1280, 10: 1280, 11: 1280},
    "middle": {0: 1280},
    "output": dict(enumerate([1280] * 6 + [640] * 3 + [320] * 3)),
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, help="pixels a side (default 512 on CUDA, 128 on a CPU)")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--family", choices=["v1", "v2", "v3"], default="v2")
    parser.add_argument("--compile", action="store_true", help="also through core's TorchCompileModel")
    return parser.parse_args()


ARGS = arguments()

import torch  # noqa: E402
from comfy.cli_args import args as comfy_args  # noqa: E402

comfy_args.cpu = not torch.cuda.is_available()
comfy_args.use_pytorch_cross_attention = ARGS.compile  # of core's other functions torch makes no graph

import comfy.model_base  # noqa: E402
import comfy.model_management  # noqa: E402
import comfy.model_patcher  # noqa: E402
import comfy.ops  # noqa: E402
import comfy.supported_models  # noqa: E402
import psutil  # noqa: E402
from comfy_extras.nodes_torch_compile import TorchCompileModel  # noqa: E402

from support import pack  # noqa: E402, F401
from support.toy_models import unet as toy  # noqa: E402
from zoetrope.host.motion.apply import apply_motion_model  # noqa: E402
from zoetrope.host.motion.load import MotionModel  # noqa: E402
from zoetrope.host.motion.settings import MotionSettings  # noqa: E402
from zoetrope.motion_models.families import FAMILIES  # noqa: E402
from zoetrope.motion_models.networks.motion_module import MotionNetwork  # noqa: E402
from zoetrope.motion_models.spec import MotionSpec, Site  # noqa: E402

DEVICE = comfy.model_management.get_torch_device()
DTYPE = torch.float16 if DEVICE.type == "cuda" else torch.float32


def checkpoint() -> comfy.model_patcher.ModelPatcher:
    """SD1.5's UNet with random weights."""
    config = {
        **toy.toy_sd15_unet_config(DTYPE),
        "model_channels": 320,
        "channel_mult": [1, 2, 4, 4],
        "context_dim": 768,
    }
    model = comfy.model_base.BaseModel(comfy.supported_models.SD15(config), device=DEVICE)
    return comfy.model_patcher.CoreModelPatcher(randomise(model), load_device=DEVICE, offload_device=DEVICE)


def motion_model() -> MotionModel:
    """A motion model of true size with random weights."""
    family = next(family for family in FAMILIES if family.name == ARGS.family)
    places = [(place, index, width) for place, widths in SITES.items() for index, width in widths.items()]
    sites = tuple(Site(*place) for place in places if place[0] != "middle" or family.middle)
    spec = MotionSpec(family, sites, family.positions)
    network = MotionNetwork(spec, comfy.ops.manual_cast, comfy.ops.scaled_dot_product_attention, DEVICE, DTYPE)
    patcher = comfy.model_patcher.CoreModelPatcher(randomise(network), load_device=DEVICE, offload_device=DEVICE)
    return MotionModel("random", spec, patcher, path="")


def randomise(module: torch.nn.Module) -> torch.nn.Module:
    for parameter in module.parameters():
        parameter.data.normal_(std=0.02)
    return module.requires_grad_(False)


class Meter:
    """APPLY_MODEL wrapper that notes seconds and peak bytes of each UNet call."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.peaks: list[int] = []

    def __call__(self, executor, *args, **kwargs):
        with Peak() as peak:
            start = time.perf_counter()
            out = executor(*args, **kwargs)
            if DEVICE.type == "cuda":
                torch.cuda.synchronize()
            self.seconds.append(time.perf_counter() - start)
        self.peaks.append(peak.bytes)
        return out


class Peak:
    """Peak memory inside a with block, above what was in use before it."""

    def __enter__(self) -> "Peak":
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            self.before = torch.cuda.memory_allocated()
            return self
        self.process = psutil.Process()
        self.before = self.highest = self.process.memory_info().rss
        self.done = threading.Event()
        self.sampler = threading.Thread(target=self._sample)
        self.sampler.start()
        return self

    def _sample(self) -> None:
        while not self.done.wait(0.002):
            self.highest = max(self.highest, self.process.memory_info().rss)

    def __exit__(self, *error) -> None:
        if DEVICE.type == "cuda":
            self.bytes = torch.cuda.max_memory_allocated() - self.before
            return
        self.done.set()
        self.sampler.join()
        self.bytes = self.highest - self.before


def ratio(name: str, other: str, seconds: dict[str, float]) -> str:
    return f"{seconds[name]:.3f} s / {seconds[other]:.3f} s = {seconds[name] / seconds[other]:.2f}"


def main() -> None:
    size = ARGS.size or (512 if DEVICE.type == "cuda" else 128)
    names = ["plain", "motion"] + ["plain compiled", "motion compiled"] * ARGS.compile
    base, motion, meters = checkpoint(), motion_model(), {name: Meter() for name in names}
    settings = MotionSettings(name=motion.name, spec=motion.spec)
    models = {}
    for name, meter in meters.items():
        model = base.clone()
        model.add_wrapper_with_key("apply_model", "meter", meter)  # before ours, so that it times ours too
        if "motion" in name:
            model = apply_motion_model(model, motion, settings, "use_existing")
        models[name] = TorchCompileModel.execute(model, "inductor").args[0] if "compiled" in name else model
    prompts = [[[torch.randn(1, 77, 768), {}]] for _ in range(2)]
    noise = toy.noise_for(ARGS.frames, size // 8)
    for _ in range(ARGS.repeats + 1):
        for model in models.values():
            toy.sample(model, *prompts, noise=noise, steps=1, cfg=7.0)
    seconds = {name: statistics.median(meter.seconds[1:]) for name, meter in meters.items()}
    peaks = {name: max(meter.peaks[1:]) for name, meter in meters.items()}
    where = torch.cuda.get_device_name() if DEVICE.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{where}; {ARGS.family}, {ARGS.frames} frames, {size}x{size}, {DTYPE}, cond and uncond in one call")
    print(f"time    {ratio('motion', 'plain', seconds)}")
    for name in ("plain", "motion") if ARGS.compile else ():
        print(
            f"{name} compiled  {ratio(f'{name} compiled', name, seconds)}, first call {meters[f'{name} compiled'].seconds[0]:.0f} s"
        )
    mib = {name: peak / 2**20 for name, peak in peaks.items()}
    print(f"memory  {mib['motion']:.0f} MiB / {mib['plain']:.0f} MiB = {peaks['motion'] / peaks['plain']:.2f}")


main()
