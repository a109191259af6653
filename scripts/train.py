"""Train a MotionLoRA, a motion model or a domain adapter headless, through ComfyUI's API queue.

    python scripts/train.py --clips my_clips --checkpoint dreamshaper_8.safetensors --motion-model v3_sd15_mm.ckpt --out spin
    python scripts/train.py --kind domain_adapter --clips my_clips --checkpoint dreamshaper_8.safetensors --out my_look
    python scripts/train.py --kind motion_model --processes 4 --clips many_clips --checkpoint v1-5.safetensors --out walks

``--clips`` is a folder of videos, the caption of clip.mp4 being the text in clip.txt; with ``--server`` it is the name of a
folder below that server's input folder. Ctrl-C saves what was learnt, and the same command goes on. A ComfyUI is found or made
as by scripts/demo.py; without models of your own, small demo models take their place to try it out.

``--processes`` trains with as many GPUs of this machine, without a server and without pictures while it trains.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from comfy_host import PACK, SetupError, ensure_host
from comfy_host.client import Prompt
from comfy_host.progress import clock, run_prompt
from demo import choose_models, connected, guarded

KINDS = {
    "motion_lora": "ZoetropeTrainMotionLora",
    "motion_model": "ZoetropeTrainMotionModel",
    "domain_adapter": "ZoetropeTrainDomainAdapter",
}
FOLDERS = {"motion_lora": "animatediff_motion_lora", "motion_model": "animatediff_models", "domain_adapter": "loras"}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=list(KINDS), default="motion_lora", help="what is trained")
    parser.add_argument("--clips", required=True, help="folder of videos")
    parser.add_argument("--out", required=True, metavar="NAME", help="name of the file, without an ending")
    parser.add_argument("--checkpoint", help="a checkpoint's name in ComfyUI, or a file")
    parser.add_argument("--motion-model", help="a motion module's name in ComfyUI, or a file")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--rank", type=int, default=32, help="of a MotionLoRA or a domain adapter")
    parser.add_argument("--size", type=int, default=512, help="side of a square whose area clips get, in pixels")
    parser.add_argument("--frames", type=int, default=16, help="of a clip")
    parser.add_argument("--stride", type=int, default=4, help="every so many frames of the videos")
    parser.add_argument("--batch", type=int, default=1, help="of each process")
    parser.add_argument("--accumulation", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--loss", choices=("paper", "debiased"), default="paper")
    parser.add_argument("--checkpointing", choices=("auto", "none", "motion", "all"), default="auto")
    parser.add_argument("--caption", default="", help="of videos that have no text beside them")
    parser.add_argument("--anew", action="store_true", help="begin again, and write over what is there")
    parser.add_argument("--server", metavar="URL", help="use this running ComfyUI instead of starting one")
    parser.add_argument("--processes", type=int, default=1, help="that train together, each on a GPU of its own")
    return parser.parse_args(arguments)


def build_prompt(options: argparse.Namespace, folder: str) -> Prompt:
    """The graph: loaders, Training Clips and the trainer.

    Args:
        options: of the command line.
        folder: of the videos, below the server's input folder.
    """
    clips = {
        "folder": folder,
        "vae": ["1", 2],
        "clip": ["1", 1],
        "name": options.out,
        "size": options.size,
        "frames": options.frames,
        "stride": options.stride,
        "fps": 0.0,
        "flip": False,
        "caption_prefix": "",
        "fallback_caption": options.caption,
    }
    trainer: dict[str, Any] = {
        "model": ["1", 0],
        "clips": ["2", 0],
        "name": options.out,
        "steps": options.steps,
        "learning_rate": options.learning_rate,
        "batch": options.batch,
        "accumulation": options.accumulation,
        "seed": options.seed,
        "loss": options.loss,
        "checkpointing": options.checkpointing,
        "resume": "start anew" if options.anew else "continue",
    }
    prompt: Prompt = {
        "1": {
            "class_type": "CheckpointLoaderSimple",
            "inputs": {"ckpt_name": _name(options.checkpoint) or "v1-5-pruned-emaonly-fp16.safetensors"},
        },
        "2": {"class_type": "ZoetropeTrainingClips", "inputs": clips},
        "3": {"class_type": KINDS[options.kind], "inputs": trainer},
    }
    if options.kind != "motion_model":
        trainer["rank"] = options.rank
    else:
        trainer["start"] = "new v3"
    if options.kind == "motion_lora" or (options.kind == "motion_model" and options.motion_model):
        named = _name(options.motion_model) or "mm_sd_v15_v2.ckpt"
        prompt["4"] = {"class_type": "ZoetropeLoadMotionModel", "inputs": {"motion_model": named}}
        trainer["motion_model"] = ["4", 0]
    return prompt


def _name(value: str | None) -> str | None:
    return value and (Path(value).name if Path(value).is_file() else value)


def input_folder(options: argparse.Namespace) -> tuple[str, list[str]]:
    """The folder of videos as the server knows it, and what a server of ours is told so that it does.

    Raises:
        SetupError: there is no such folder here.
    """
    if options.server:
        return options.clips, []
    folder = Path(options.clips).resolve()
    if not folder.is_dir():
        raise SetupError(f"--clips {options.clips!r} is no folder; give one with videos.")
    return folder.name, ["--input-directory", str(folder.parent)]


def run_together(options: argparse.Namespace, arguments: list[str]) -> int:
    """Start ``train_distributed.py`` in several processes with the same options; its exit status.

    Raises:
        SetupError: the options do not go together.
    """
    if options.server:
        raise SetupError("--processes needs no server; leave --server out.")
    input_folder(options)
    host = ensure_host()
    torchrun = [host.python, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={options.processes}"]
    environment = {**os.environ, "COMFYUI_DIR": str(host.comfyui)}
    # A share of the processors each, where nothing else was said.
    environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // options.processes)))
    child = subprocess.Popen([*torchrun, str(PACK / "scripts" / "train_distributed.py"), *arguments], env=environment)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    try:
        return child.wait()
    except KeyboardInterrupt:  # torchrun got it too, and hands it on; they save what was learnt
        return child.wait()


def run(options: argparse.Namespace) -> None:
    folder, extra = input_folder(options)
    prompt = build_prompt(options, folder)
    began = time.monotonic()
    with connected(options, extra) as (client, host):
        choose_models(client, prompt, options, host)
        entry = run_prompt(client, prompt)
        name = entry["outputs"]["3"]["zoetrope_file"][0]
        place = Path("models") / FOLDERS[options.kind] / name
        print(f"{options.kind}: {place if host is None else host.base / place}")
    print(f"Done in {clock(time.monotonic() - began)}.")


def main() -> int:
    options, status = parse(), 0

    def work() -> None:
        nonlocal status
        if options.processes > 1:
            status = run_together(options, sys.argv[1:])
        else:
            run(options)

    return guarded(work) or status


if __name__ == "__main__":
    sys.exit(main())
