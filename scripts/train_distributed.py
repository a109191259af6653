"""One process of a training in several, as ``scripts/train.py --processes`` starts them with torchrun.

    COMFYUI_DIR=... torchrun --nproc-per-node 2 scripts/train_distributed.py --clips my_clips --checkpoint ... --out walks

It takes the options of scripts/train.py; by hand it is of use on several machines that share a file system. Each process takes
a GPU of its own (on a machine without one, all share the processors) and loads the models in itself, without a server;
``--batch`` is that of one process. Models are named or given as files, there are no demo models in their place.
"""

# ruff: noqa: E402  (GPU, ComfyUI and the pack are chosen before they are imported)

from __future__ import annotations

import argparse
import os
import signal
import sys
import types
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

if "LOCAL_RANK" in os.environ:  # before torch looks for GPUs
    _gpus = [gpu for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu]
    _number = int(os.environ["LOCAL_RANK"])
    os.environ["CUDA_VISIBLE_DEVICES"] = _gpus[_number] if _number < len(_gpus) else str(_number)

import torch
import train
from comfy_host import HOME, PACK

COMFYUI = os.environ.get("COMFYUI_DIR", "")
if not COMFYUI:
    raise SystemExit("Training needs ComfyUI: set COMFYUI_DIR, or start it with scripts/train.py --processes.")
sys.path.insert(0, COMFYUI)
_package = types.ModuleType("zoetrope")  # the checkout, without its __init__, which registers nodes
_package.__path__ = [str(PACK)]
sys.modules["zoetrope"] = _package

# isort: split
from comfy.cli_args import args

args.cpu, args.base_directory = not torch.cuda.is_available(), str(HOME / "base")

# isort: split
import comfy.model_management
import comfy.sd
import folder_paths
from utils.extra_config import load_extra_path_config

# The checkout becomes the package zoetrope at run time.
# pyright: reportMissingImports=false
from zoetrope.host.loading.model_files import register_model_folders
from zoetrope.host.motion.load import load_motion_model
from zoetrope.host.training.agreement import OtherProcessError, OtherProcessMemoryError, agreed
from zoetrope.host.training.domain_adapter import domain_adapter_target
from zoetrope.host.training.live import line_of
from zoetrope.host.training.loop import TrainingResult
from zoetrope.host.training.loop import train as train_target
from zoetrope.host.training.motion_lora import MotionLoraOptions, motion_lora_target
from zoetrope.host.training.motion_model import motion_model_target
from zoetrope.host.training.places import claimed, files_of
from zoetrope.host.training.target import Target
from zoetrope.host.training.watching import StepReport, Watcher
from zoetrope.host.training_data.clip_sets import ClipSettings, make_clips
from zoetrope.host.training_data.sources import folder_sources
from zoetrope.nodes.training import STARTS
from zoetrope.nodes.training_widgets import ANEW, FILE_TYPES, TrainerInputs
from zoetrope.training.data.clip_set import ClipSet
from zoetrope.training.processes import Processes, joined_processes
from zoetrope.training.stages import STAGES

STAGE = {stage.name: stage for stage in STAGES}


def find_models(options: argparse.Namespace) -> None:
    """Make known the folders of the user's ComfyUI and of files that were named."""
    register_model_folders()
    config = Path(COMFYUI) / "extra_model_paths.yaml"
    if config.is_file():
        load_extra_path_config(str(config))
    for folder in ("checkpoints", *train.FOLDERS.values()):
        folder_paths.add_model_folder_path(folder, str(Path(COMFYUI) / "models" / folder))
    for folder, value in (("checkpoints", options.checkpoint), ("animatediff_models", options.motion_model)):
        if value and Path(value).is_file():
            folder_paths.add_model_folder_path(folder, str(Path(value).resolve().parent))


def load_checkpoint(name: str) -> tuple:
    """(MODEL, CLIP, VAE), as core's Load Checkpoint gives them."""
    path = folder_paths.get_full_path("checkpoints", name)
    if path is None:
        raise ValueError(f"There is no checkpoint {name!r} in ComfyUI's folder; give --checkpoint a name or a file.")
    embeddings = folder_paths.get_folder_paths("embeddings")
    return comfy.sd.load_checkpoint_guess_config(path, embedding_directory=embeddings)[:3]


def clip_set(options: argparse.Namespace, inputs: dict, vae, clip, processes: Processes) -> ClipSet:
    """The set of clips; process 0 writes it, the others take what is there then."""
    settings = ClipSettings(
        name=inputs["name"],
        size=inputs["size"],
        frames=inputs["frames"],
        stride=inputs["stride"],
        fallback=inputs["fallback_caption"],
    )
    made = None
    for turn in (True, False):
        with agreed(processes):
            if processes.first == turn:
                made, told = make_clips(folder_sources(options.clips, inputs["fps"]), settings, vae, clip)
                if turn:
                    print(told, flush=True)
    assert made is not None
    return made


def new_target(kind: str, prompt: dict, model, seed: int) -> Target:
    """What learns, as the nodes of the trainers have it by default."""
    trainer = prompt["3"]["inputs"]
    motion = load_motion_model(prompt["4"]["inputs"]["motion_model"]) if "4" in prompt else None
    if kind == "motion_lora":
        assert motion is not None
        return motion_lora_target(model, motion, MotionLoraOptions(rank=trainer["rank"]), seed)
    if kind == "domain_adapter":
        return domain_adapter_target(model, trainer["rank"], seed, FILE_TYPES["fp16"])
    return motion_model_target(model, motion or STARTS[trainer["start"]], seed, dtype=FILE_TYPES["fp16"])


def telling() -> Watcher:
    """One line that is written over."""
    seconds: list[float] = []

    def tell(report: StepReport) -> None:
        seconds.append(report.seconds)
        print(f"\r{line_of(report, sum(seconds) / len(seconds)):<79}", end="", flush=True)

    return Watcher(step=tell)


def run(options: argparse.Namespace, processes: Processes) -> TrainingResult:
    """The whole training, in each process."""
    # A stop is taken note of between UNet calls, where all processes agree on it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: comfy.model_management.interrupt_current_processing())
    find_models(options)
    prompt = train.build_prompt(options, options.clips)
    inputs = prompt["3"]["inputs"]
    given = TrainerInputs(**{name: inputs[name] for name in TrainerInputs.__dataclass_fields__ if name in inputs})
    model, clip, vae = load_checkpoint(prompt["1"]["inputs"]["ckpt_name"])
    clips = clip_set(options, prompt["2"]["inputs"], vae, clip, processes)
    settings = replace(given.settings(clips), preview_every=0)
    stage = STAGE[options.kind]
    with ExitStack() as held:
        with agreed(processes):
            files = held.enter_context(claimed(stage, given.name)) if processes.first else files_of(stage, given.name)
            target = new_target(options.kind, prompt, model, settings.seed)
        return train_target(target, clips, settings, files, telling(), given.resume != ANEW, processes)


def main() -> int:
    options = train.parse()
    with joined_processes() as processes:
        try:
            done = run(options, processes)
        except comfy.model_management.InterruptProcessingException:
            if processes.first:
                print("\nStopped and saved; the same command goes on.", file=sys.stderr)
            return 130
        except (OtherProcessError, OtherProcessMemoryError):
            return 1  # that process says why
        except (ValueError, RuntimeError) as error:
            print(f"\nerror: {error}", file=sys.stderr)
            return 1
        if processes.first:
            print(f"\n{options.kind}: {done.files.result}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
