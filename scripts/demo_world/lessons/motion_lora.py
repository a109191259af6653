"""MotionLoRA training with the pack's own trainer: clips that all move one way; the motion model is frozen."""

# The checkout becomes the package zoetrope at run time.
# pyright: reportMissingImports=false

from __future__ import annotations

import argparse
from pathlib import Path

from zoetrope.host.training.files import TrainingFiles
from zoetrope.host.training.loop import train
from zoetrope.host.training.motion_lora import MotionLoraOptions, motion_lora_target

from ..narrow import load_narrow, narrow_model
from ..sprites import Moves
from ..text import encodings
from .clips import WorldClips
from .motion import LAST, Lesson, load_motion, motion_file, settings_of_lesson, telling

RANK = 8
# 0 degrees is to the right and 90 down.
LORAS = {
    name: Lesson(
        before=LAST,
        moves=Moves(slowest=0.4, fastest=0.75, direction=direction),
        frames=16,
        steps=300,
        learning_rate=5e-3,
        seed=seed,
        min_timestep=500,
    )
    for name, direction, seed in (("right", 0.0, 41), ("fall", 90.0, 42))
}


def lora_file(folder: Path, move: str) -> Path:
    """Where the weights of a MotionLoRA lie."""
    return folder / f"lora_{move}.safetensors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lesson", choices=list(LORAS))
    parser.add_argument("--steps", type=int, default=0, help="all in all; the lesson's own number by default")
    parser.add_argument("--batch", type=int, default=2)


def run(options: argparse.Namespace) -> None:
    lesson, folder = LORAS[options.lesson], options.folder
    model = narrow_model(load_narrow(folder / "image.safetensors"))
    motion = load_motion(motion_file(folder, lesson.before))
    clips = WorldClips(lesson.seed, lesson.frames, lesson.moves, encodings(folder / "texts.safetensors"))
    target = motion_lora_target(model, motion, MotionLoraOptions(rank=RANK), lesson.seed)
    result = lora_file(folder, options.lesson)
    files = TrainingFiles(result=result, state=result.with_suffix(".state.safetensors"))
    train(target, clips, settings_of_lesson(lesson, options.steps or lesson.steps, options.batch), files, telling())
