"""Trainings in two processes: torchrun starts this with a folder, and each process leaves there what happened to it."""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support import pack  # noqa: F401  (the checkout becomes the package zoetrope)
from support.comfyui import use_comfyui

if not use_comfyui(use_pytorch_cross_attention=True):
    raise SystemExit("Trainings need ComfyUI: set COMFYUI_DIR.")

import comfy.model_management
import torch

from support.toy_models import unet as toy
from support.toy_models.files import motion_model
from support.toy_training import files_in, settings
from support.training_clips import ToyClip, ToyClips
from zoetrope.host.training.loop import train
from zoetrope.host.training.motion_lora import MotionLoraOptions, motion_lora_target
from zoetrope.host.training.motion_model import motion_model_target
from zoetrope.host.training.watching import Watcher
from zoetrope.training.processes import joined_processes

# Four clips of one size, so that two calls of two clips are an epoch.
FOUR = tuple(ToyClip(f"clip {n}", "a ball", 4 + n) for n in range(4))
KINDS = ("model", "lora")
THREE_STEPS = {"steps": 3, "frames": 2, "preview_every": 0, "save_every": 1}


def first_step(kind, batch):
    """Settings of one step of two UNet calls, after which the first moment of AdamW is a tenth of the gradient.

    Seed 8 draws noise levels above 750: near 0 the noise is (x - denoised) / sigma, where sigma enlarges all rounding.
    """
    return settings(
        seed=8,
        steps=1,
        batch=batch,
        accumulation=2,
        frames=2,
        clip_norm=0.0,
        preview_every=0,
        loss="debiased",
        min_snr=5.0,
    )


def new_target(kind, motion):
    """What learns, equal in all processes."""
    model = toy.toy_model_patcher()
    if kind == "lora":
        return motion_lora_target(model, motion, MotionLoraOptions(rank=2), seed=1)
    return motion_model_target(model, motion, seed=1)


class Odd(ToyClips):
    """Clips at whose third reading something happens in one process."""

    def __init__(self, event):
        super().__init__(FOUR)
        self.event = event

    def latents(self, clip, numbers, flipped=False):
        found = super().latents(clip, numbers, flipped)
        return found if len(self.asked) != 2 else self.event(found)


def interrupt(_latents):
    comfy.model_management.interrupt_current_processing()
    comfy.model_management.throw_exception_if_processing_interrupted()


def no_memory(_latents):
    raise torch.cuda.OutOfMemoryError("CUDA out of memory")


def unreadable(_latents):
    raise OSError("no such clip")


def no_number(latents):
    return latents * float("nan")


def attempt(folder, motion, processes, name, clips, asked, kind="lora"):
    """Train; how it ended in words, what the watcher heard, and the losses."""
    heard = []
    try:
        done = train(
            new_target(kind, motion),
            clips,
            asked,
            files_in(folder, name),
            Watcher(step=lambda report: heard.append(report.step)),
            processes=processes,
        )
    except (Exception, comfy.model_management.InterruptProcessingException) as error:  # noqa: BLE001  # the test looks
        return {"ended": type(error).__name__, "words": str(error), "heard": heard}
    return {"ended": "", "words": "", "heard": heard, "losses": done.losses}


def scenarios(folder, processes):
    """What happened, by name."""
    first = processes.first
    models = folder / f"models of {processes.rank}"
    models.mkdir()
    motion = motion_model(models, "v3")

    def run(name, clips=None, asked=None, **more):
        given = settings(**THREE_STEPS) if asked is None else asked
        return attempt(more.pop("at", folder), motion, processes, name, clips or ToyClips(FOUR), given, **more)

    def odd(event, rank):
        return Odd(event) if processes.rank == rank else ToyClips(FOUR)

    own = folder / f"files of {processes.rank}"  # where process 1 would write if it wrote
    own.mkdir()
    found = {f"first {kind}": run(kind, None, first_step(kind, 1), kind=kind, at=own) for kind in KINDS}
    found["whole"] = run("whole")
    for rank in (0, 1):
        found[f"interrupted {rank}"] = run(f"stopped {rank}", odd(interrupt, rank))
    found["gone on"] = run("stopped 1")
    found["no memory"] = run("no memory", odd(no_memory, 1))
    found["unreadable"] = run("unreadable", odd(unreadable, 1))
    found["no number"] = run("no number", odd(no_number, 1))
    found["other seed"] = run("other seed", None, settings(seed=0 if first else 1, **THREE_STEPS))
    (folder / "no place.state.safetensors").mkdir(exist_ok=True)  # no file can take its place
    found["no place"] = run("no place")
    return found


if __name__ == "__main__":
    with joined_processes() as members:
        place = Path(sys.argv[1])
        result = scenarios(place, members)
        (place / f"process {os.environ['RANK']}.json").write_text(json.dumps(result), encoding="utf-8")
