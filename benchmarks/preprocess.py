"""Time and peak memory of Preprocess Frames and of core's Canny node on the same clip, side by side.

    COMFYUI_DIR=... python benchmarks/preprocess.py [--size 512] [--frames 64] [--repeats 3] [--methods canny,soft_edge]

The nodes take turns in one process, core's with its default thresholds: lower ones take it longer. Memory is the
process's resident memory above what was in use before, sampled; on CUDA core's node works in the GPU's memory, which is
printed too. The result itself is part of it: 3 MiB for a frame of 512x512.
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

import torch  # noqa: E402
from comfy.cli_args import args as comfy_args  # noqa: E402

comfy_args.cpu = not torch.cuda.is_available()

import psutil  # noqa: E402
from comfy_extras.nodes_canny import Canny  # noqa: E402

from support import pack  # noqa: E402, F401
from zoetrope.nodes.preprocess import PreprocessFrames  # noqa: E402


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512, help="pixels a side")
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--methods", default="canny", help="of ours, separated by commas")
    return parser.parse_args()


def clip(frames: int, size: int) -> torch.Tensor:
    """Moving waves of many sizes with noise, (frames, size, size, 3)."""
    places = torch.linspace(0, 40, size)
    generator = torch.Generator().manual_seed(0)
    images = torch.empty(frames, size, size, 3)
    for number in range(frames):
        x = torch.sin(places + number / 4)[None] * torch.sin(places * 0.37)[:, None]
        images[number] = (0.5 + 0.4 * (x > 0.1) * x)[..., None]
        images[number] += 0.01 * torch.randn(size, size, 3, generator=generator)
    return images.clamp_(0, 1)


class Peak:
    """Peak memory inside a with block, above what was in use before it."""

    def __enter__(self) -> "Peak":
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
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
        self.done.set()
        self.sampler.join()
        self.host = self.highest - self.before
        self.device = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0


def main() -> None:
    options = arguments()
    images = clip(options.frames, options.size)
    contestants = {"core's Canny": lambda: Canny.execute(images, 0.4, 0.8)}
    for method in options.methods.split(","):
        contestants[method] = lambda method=method: PreprocessFrames.execute(images, method)
        contestants[f"{method}, smoothing 0.8"] = lambda method=method: PreprocessFrames.execute(
            images, method, temporal_smoothing=0.8
        )
    seconds = {name: [] for name in contestants}
    peaks = {name: [] for name in contestants}
    for _ in range(options.repeats + 1):
        for name, run in contestants.items():
            with Peak() as peak:
                start = time.perf_counter()
                run()
                seconds[name].append(time.perf_counter() - start)
            peaks[name].append((peak.host, peak.device))
    print(f"{options.frames} frames of {options.size}x{options.size}, {os.cpu_count()} processors")
    base = statistics.median(seconds["core's Canny"][1:])
    for name, times in seconds.items():
        middle = statistics.median(times[1:])
        host, device = (max(values) / 2**20 for values in zip(*peaks[name], strict=True))
        print(
            f"{name:28} {middle:7.3f} s  {middle / base:8.4f} x  {host:6.0f} MiB"
            + f", GPU {device:.0f} MiB" * (device > 0)
        )


main()
