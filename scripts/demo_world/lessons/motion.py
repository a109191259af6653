"""Motion training with the pack's own trainer: slow moves first, then faster ones, then longer clips.

The image network is frozen; motion modules learn at all 20 places of a v3 motion model.
"""

# The checkout becomes the package zoetrope at run time.
# pyright: reportMissingImports=false

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from zoetrope.host.motion.load import MotionModel
from zoetrope.host.training.files import TrainingFiles
from zoetrope.host.training.loop import StepReport, Watcher, train
from zoetrope.host.training.motion_model import learning_patcher, motion_model_target, new_spec
from zoetrope.motion_models.checkpoints.motion_model import read_motion_checkpoint
from zoetrope.training.new_weights import new_motion_weights
from zoetrope.training.settings import TrainingSettings

from ..host import model_patcher
from ..narrow import load_narrow, narrow_model
from ..sprites import Moves
from ..text import encodings
from ..widen import narrow_positions
from .clips import WorldClips


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """One part of the training, which goes on from the weights of the part before.

    Attributes:
        before: name of that part; empty is from nothing.
        moves: of its clips.
        frames: of a clip.
        steps: of the optimiser.
        learning_rate: of AdamW.
        seed: of its clips and its noise.
        min_timestep: lowest noise level; where things are is decided at high ones.
    """

    before: str
    moves: Moves
    frames: int
    steps: int
    learning_rate: float
    seed: int
    min_timestep: int = 0


LONG_MOVES = Moves(slowest=0.4, fastest=0.75)
LESSONS = {
    "slow": Lesson(
        before="", moves=Moves(slowest=0.05, fastest=0.25), frames=8, steps=600, learning_rate=1e-3, seed=21
    ),
    "fast": Lesson(
        before="slow", moves=Moves(slowest=0.25, fastest=0.8), frames=8, steps=1000, learning_rate=7e-4, seed=22
    ),
    "long": Lesson(before="fast", moves=LONG_MOVES, frames=16, steps=900, learning_rate=4e-4, seed=23),
    "places": Lesson(
        before="long", moves=LONG_MOVES, frames=16, steps=800, learning_rate=4e-4, seed=24, min_timestep=400
    ),
    "fine": Lesson(before="places", moves=LONG_MOVES, frames=16, steps=300, learning_rate=1e-4, seed=25),
}
LAST = "fine"


def motion_file(folder: Path, lesson: str) -> Path:
    """Where the weights of a lesson lie."""
    return folder / f"motion_{lesson}.safetensors"


def load_motion(path: Path) -> MotionModel:
    """A narrow motion model of a file in the published layout."""
    spec, weights = read_motion_checkpoint(load_narrow(path), path.name)
    patcher = learning_patcher(spec, {name: weight.float() for name, weight in weights.items()})
    return MotionModel(path.name, spec, patcher, str(path))


def new_motion(model: model_patcher.ModelPatcher, seed: int) -> MotionModel:
    """A narrow motion model that changes nothing yet; its positions are those that can be widened."""
    spec = new_spec(model, "v3", 0)
    weights = new_motion_weights(spec, seed)
    table = narrow_positions()
    weights |= {name: table.clone() for name in weights if name.endswith(".positions")}
    return MotionModel("new", spec, learning_patcher(spec, weights), "")


def settings_of_lesson(lesson: Lesson, steps: int, batch: int) -> TrainingSettings:
    """How a lesson is trained."""
    return TrainingSettings(
        steps=steps,
        learning_rate=lesson.learning_rate,
        batch=batch,
        warm_up=20,
        min_snr=1.0,
        seed=lesson.seed,
        min_timestep=lesson.min_timestep,
        precision="fp32",
        checkpointing="none",
        save_every=50,
        preview_every=0,
        frames=lesson.frames,
        stride=1,
        weight_decay=1e-3,
        ema=0.99,
    )


def telling() -> Watcher:
    """A line every 25 steps."""
    recent: list[StepReport] = []

    def tell(report: StepReport) -> None:
        recent.append(report)
        if report.step % 25 == 0:
            loss = sum(one.loss for one in recent) / len(recent)
            seconds = sum(one.seconds for one in recent) / len(recent)
            print(f"{report.step}: loss {loss:.5f}, {seconds:.2f} s a step", flush=True)
            recent.clear()

    return Watcher(step=tell)


def teach(folder: Path, name: str, steps: int, batch: int) -> None:
    """Train a lesson, or go on with it."""
    lesson = LESSONS[name]
    model = narrow_model(load_narrow(folder / "image.safetensors"))
    start = load_motion(motion_file(folder, lesson.before)) if lesson.before else new_motion(model, lesson.seed)
    clips = WorldClips(lesson.seed, lesson.frames, lesson.moves, encodings(folder / "texts.safetensors"))
    files = TrainingFiles(result=motion_file(folder, name), state=folder / f"motion_{name}.state.safetensors")
    settings = settings_of_lesson(lesson, steps or lesson.steps, batch)
    train(motion_model_target(model, start, lesson.seed), clips, settings, files, telling())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lesson", choices=list(LESSONS))
    parser.add_argument("--steps", type=int, default=0, help="all in all; the lesson's own number by default")
    parser.add_argument("--batch", type=int, default=2)


def run(options: argparse.Namespace) -> None:
    teach(options.folder, options.lesson, options.steps, options.batch)
