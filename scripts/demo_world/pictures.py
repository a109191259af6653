"""Pictures of the training templates: how the demo's own trainings went, and clips before and after."""

from __future__ import annotations

# The checkout becomes the package zoetrope at run time.
# pyright: reportMissingImports=false
import argparse
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from toy_models.vae import SCALE

from zoetrope.charts.loss_chart import draw_losses
from zoetrope.host.call.strength import Strength
from zoetrope.host.lora.motion_lora import MotionLora
from zoetrope.host.training.domain_adapter import domain_adapter_target
from zoetrope.host.training.files import TrainingFiles
from zoetrope.host.training.loop import train
from zoetrope.motion_models.checkpoints.motion_lora import read_motion_lora
from zoetrope.training.state_file import read_state

from .host import model_patcher
from .lessons.clips import WorldClips
from .lessons.motion import LAST, LESSONS, LONG_MOVES, load_motion, motion_file, settings_of_lesson
from .lessons.motion_lora import lora_file
from .look import animated, draw_sample, prompts_of
from .narrow import load_narrow, narrow_model
from .sprites import CAPTIONS, colours_of
from .text import encodings

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"
SIDE, FRAMES, ADAPTER_STEPS = 512, 16, 60
CAPTION, SEED = CAPTIONS[2], 2


def decoded(latents: Tensor) -> Image.Image:
    """Every second frame of latents (F, 4, S, S) in one row, as ComfyUI's preview shows them."""
    row = torch.cat(list(colours_of(latents[::2])), dim=2)
    picture = Image.fromarray((row.permute(1, 2, 0) * 255).byte().numpy())
    side = SIDE * 2 // FRAMES
    return picture.resize((side * len(latents[::2]), side), Image.Resampling.NEAREST)


def page(losses: tuple[float, ...], title: str, clips: list[Tensor]) -> Image.Image:
    """A loss chart above rows of frames."""
    chart = Image.fromarray(draw_losses(title, losses))
    rows = [decoded(clip) for clip in clips]
    picture = Image.new("RGB", (SIDE, SIDE), (20, 20, 20))
    height = chart.height * SIDE // chart.width
    picture.paste(chart.resize((SIDE, height), Image.Resampling.LANCZOS))
    room = (SIDE - height - sum(row.height for row in rows)) // (len(rows) + 1)
    top = height + room
    for row in rows:
        picture.paste(row, (0, top))
        top += row.height + room
    return picture


def short_adapter_training(folder: Path, still: model_patcher.ModelPatcher, clips: WorldClips) -> Path:
    """State of a domain adapter that learns single frames of clips."""
    state = folder / "adapter.state.safetensors"
    settings = replace(settings_of_lesson(LESSONS["slow"], ADAPTER_STEPS, 4), save_every=ADAPTER_STEPS)
    files = TrainingFiles(result=folder / "adapter.safetensors", state=state)
    train(domain_adapter_target(still, 8, 0, torch.float16), clips, settings, files)
    return state


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", type=Path, default=WORKFLOWS)


def run(options: argparse.Namespace) -> None:
    """Above how it was trained; below the same noise without and with it, or the clips whose frames were learnt."""
    folder: Path = options.folder
    texts = encodings(folder / "texts.safetensors")
    still = narrow_model(load_narrow(folder / "image.safetensors"))
    motion = load_motion(motion_file(folder, LAST))
    file = read_motion_lora(load_narrow(lora_file(folder, "right")))
    lora = MotionLora(name="right", file=file, strength=Strength())
    models = {"still": still, "moving": animated(still, motion), "right": animated(still, motion, (lora,))}
    clips = {
        name: draw_sample(model, prompts_of(texts, CAPTION), FRAMES, SEED, 7.5, 12) for name, model in models.items()
    }
    world = WorldClips(61, FRAMES, LONG_MOVES, texts)
    clips |= {f"clip {number}": world.latents(number, range(FRAMES)) * SCALE for number in range(2)}
    for name, state, shown in (
        ("train_motion_model", motion_file(folder, "slow").with_suffix(".state.safetensors"), ("still", "moving")),
        ("train_motion_lora", lora_file(folder, "right").with_suffix(".state.safetensors"), ("moving", "right")),
        ("train_domain_adapter", short_adapter_training(folder, still, world), ("clip 0", "clip 1")),
    ):
        title = state.name.replace(".state", "")
        page(read_state(state).losses, title, [clips[which] for which in shown]).save(
            options.to / f"{name}.jpg", quality=90
        )
