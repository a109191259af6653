"""Time and peak memory from latents to an mp4, over core's VAE Decode + Create Video + Save Video; and of long clips.

    COMFYUI_DIR=... python benchmarks/video.py [--part core] [--part length] [--frames 96] [--rounds 3] [--vae sd tiny]

Times are of one process in which the two sides take turns; CPU time counts all processors and all children. Memory is
each side's in a process of its own: resident, with all children, at its highest, sampled, less what there was before,
with an allocator that gives freed blocks back. A run of 2 frames comes first and pays for what a process pays once.
Both sides get the same latents and the same VAE with random weights, and write H.264 of crf 23 and preset medium: ours
with the ffmpeg program, core's with PyAV.

VAEs: ``sd`` is SD1.5's autoencoder, 32 channels wide at every level; ``tiny`` is TAESD with two convolutions, so that
nearly all the time is the writing; ``taesd`` is TAESD itself. Ends with an error when ours takes more than 1.1 times
core's time, or the long clip more than 1.2 times the memory of the short one.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [os.environ["COMFYUI_DIR"], str(ROOT / "tests")]
RATE, CRF = 8.0, 23  # frames a second; 23 is what core's encoder takes by default
LENGTHS = (100, 1000)
SAMPLED_EVERY = 0.04  # seconds; one look at all processes takes 1 to 2 ms
TIME, MEMORY = 1.1, 1.2
# glibc otherwise keeps freed blocks of up to 32 MiB for later, more or fewer of them by chance.
GIVES_BACK = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=["core", "length"], nargs="+", default=["core", "length"])
    parser.add_argument("--vae", choices=["sd", "tiny", "taesd"], nargs="+", default=["sd", "tiny"])
    parser.add_argument("--frames", type=int, default=96, help="in the comparison with core")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=256, help="pixels a side")
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    return parser.parse_args()


class Peak:
    """Highest resident memory of this process and its children in a with block, above what was in use before it."""

    def __enter__(self) -> "Peak":
        self.process = psutil.Process()
        self.before = self.highest = self.resident()
        self.done = threading.Event()
        self.sampler = threading.Thread(target=self._sample)
        self.sampler.start()
        return self

    def resident(self) -> int:
        total = self.process.memory_info().rss
        for child in self.process.children(recursive=True):
            try:
                total += child.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total

    def _sample(self) -> None:
        while not self.done.wait(SAMPLED_EVERY):
            self.highest = max(self.highest, self.resident())

    def __exit__(self, *error) -> None:
        self.done.set()
        self.sampler.join()
        self.bytes = self.highest - self.before


def random_vae(name: str) -> Any:
    """A real comfy.sd.VAE whose random weights keep the size of what passes through them."""
    import comfy.sd
    from comfy.ldm.models.autoencoder import AutoencoderKL
    from comfy.taesd.taesd import TAESD

    torch.manual_seed(0)
    if name == "sd":
        shape = {"double_z": True, "z_channels": 4, "in_channels": 3, "out_ch": 3, "resolution": 256, "ch": 32}
        depth = {"ch_mult": [1, 1, 1, 1], "num_res_blocks": 0, "attn_resolutions": [], "dropout": 0.0}
        params = {"ddconfig": {**shape, **depth}, "embed_dim": 4}
        return comfy.sd.VAE(sd=random_weights(AutoencoderKL(**params)), config={"params": params})
    vae = comfy.sd.VAE(sd=random_weights(TAESD(latent_channels=4)))
    if name == "tiny":
        enlarge = torch.nn.Upsample(scale_factor=8, mode="bilinear")
        wide, narrow = torch.nn.Conv2d(4, 8, 3, padding=1), torch.nn.Conv2d(8, 3, 3, padding=1)
        vae.first_stage_model.taesd_decoder = torch.nn.Sequential(wide, torch.nn.ReLU(), enlarge, narrow)
    return vae


def random_weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Biases 0, norms 1, products scaled by the square root of what they sum up."""
    weights = {}
    for key, weight in network.state_dict().items():
        weights[key] = weight
        if weight.ndim == 1:
            weights[key] = torch.full(weight.shape, float("norm" in key and key.endswith("weight")))
        elif weight.ndim > 1:
            weights[key] = torch.randn(weight.shape) * weight[0].numel() ** -0.5
    return weights


def moving_latents(frames: int, size: int) -> torch.Tensor:
    """(frames, 4, size / 8, size / 8): soft blobs that drift with some grain that stays, never twice the same."""
    generator = torch.Generator().manual_seed(0)
    keys = torch.nn.functional.interpolate(torch.randn(6, 4, 5, 5, generator=generator), size // 8, mode="bicubic")
    speeds, phases = torch.rand(6, generator=generator) * 0.3 + 0.05, torch.rand(6, generator=generator) * 6.28
    amounts = torch.sin(torch.arange(frames)[:, None] * speeds + phases)
    return torch.einsum("fk,kchw->fchw", amounts, keys) + 0.2 * torch.randn(
        4, size // 8, size // 8, generator=generator
    )


def ours(latents: torch.Tensor, vae: Any, **widgets: Any) -> None:
    """What Combine Video does with samples and vae."""
    from zoetrope.host.video import frame_source as sources
    from zoetrope.host.video import save_video as video
    from zoetrope.host.video.save_settings import VideoSettings

    chosen = {"format": "h264-mp4", "quality": CRF, **widgets}
    plan = VideoSettings(frame_rate=RATE, filename_prefix="ours", **chosen).resolved()
    video.save_video(sources.frame_source(None, {"samples": latents}, vae), plan)


def cores(latents: torch.Tensor, vae: Any) -> None:
    """VAE Decode, Create Video, Save Video; the images stay in ComfyUI's cache, as here in a variable."""
    from comfy_extras.nodes_video import CreateVideo, SaveVideo

    from nodes import VAEDecode

    (images,) = VAEDecode().decode(vae, {"samples": latents})
    (film,) = CreateVideo.execute(images, RATE).args
    SaveVideo.execute(film, "cores", "auto", {"codec": "auto"})


SIDES: dict[str, Callable[..., None]] = {"ours": ours, "core": cores}


def child(vae: str, frames: int, size: int, sides: list[str], rounds: int, **widgets: Any) -> dict[str, Any]:
    """In a process of its own: the peak of the first run, and seconds and CPU seconds of every run of each side."""
    from comfy.cli_args import args

    args.cpu, args.disable_metadata = not torch.cuda.is_available(), True
    import folder_paths

    from support import pack  # noqa: F401

    found: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        for kind in ("output", "temp"):
            getattr(folder_paths, f"set_{kind}_directory")(os.path.join(folder, kind))
            os.mkdir(os.path.join(folder, kind))
        network, latents = random_vae(vae), moving_latents(frames, size)
        for side in sides:
            SIDES[side](latents[:2], network, **widgets)
        with Peak() as peak:
            found[sides[0]].append(timed(lambda: SIDES[sides[0]](latents, network, **widgets)))
        for _ in range(rounds):
            for side in sides:
                found[side].append(timed(lambda side=side: SIDES[side](latents, network, **widgets)))
    return {"bytes": peak.bytes, **found}


def timed(run: Callable[[], None]) -> tuple[float, float]:
    """Seconds, and CPU seconds with those of children that ended."""
    start, cpu = time.perf_counter(), sum(os.times()[:4])
    run()
    return time.perf_counter() - start, sum(os.times()[:4]) - cpu


def in_child(options: argparse.Namespace, **what: Any) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", json.dumps({"size": options.size, **what})]
    environment = {**os.environ, **({} if what["rounds"] else GIVES_BACK)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def against_core(options: argparse.Namespace) -> bool:
    """Print the ratios for each VAE; whether ours is quick enough."""
    good = True
    for vae in options.vae:
        clip = {"vae": vae, "frames": options.frames}
        memory = [in_child(options, **clip, sides=[side], rounds=0)["bytes"] for side in SIDES]
        runs = in_child(options, **clip, sides=list(SIDES), rounds=options.rounds)
        rounds = list(zip(runs["ours"][1:], runs["core"], strict=True))
        print(f"{vae} VAE, {options.frames} frames, over core's nodes")
        for number, name in enumerate(("time", "CPU")):
            mine, core = (statistics.median(pair[side][number] for pair in rounds) for side in (0, 1))
            ratio = statistics.median(pair[0][number] / pair[1][number] for pair in rounds)
            print(f"{name:7} {mine:.2f} s / {core:.2f} s, median ratio {ratio:.2f}")
            good = good and (name != "time" or ratio <= TIME)
        print(f"memory  {compared(*memory)}", flush=True)
    return good


def over_length(options: argparse.Namespace) -> bool:
    """Print the ratio of a long clip's memory to a short one's; whether it is small enough."""
    good = True
    for widgets in ({"format": "h264-mp4"}, {"format": "h264-mp4", "pingpong": True}, {"format": "gif", "quality": -1}):
        run = {**widgets, "vae": "tiny", "sides": ["ours"], "rounds": 0}
        short, long = (in_child(options, **run, frames=frames) for frames in LENGTHS)
        name = widgets["format"] + " and back" * ("pingpong" in widgets)
        print(f"{name}, {LENGTHS[1]} frames over {LENGTHS[0]}, tiny VAE, {long['ours'][0][0]:.0f} s")
        print(f"memory  {compared(long['bytes'], short['bytes'])}", flush=True)
        good = good and long["bytes"] <= MEMORY * short["bytes"]
    return good


def compared(one: float, other: float) -> str:
    return f"{one / 2**20:.0f} MiB / {other / 2**20:.0f} MiB = {one / other:.3f}"


def main() -> int:
    options = arguments()
    if options.child:
        print(json.dumps(child(**options.child)))
        return 0
    print(f"{options.size}x{options.size}, {os.cpu_count()} processors, {torch.get_num_threads()} torch threads")
    parts = {"core": against_core, "length": over_length}
    return int(not all([parts[name](options) for name in options.part]))


if __name__ == "__main__":
    sys.exit(main())
