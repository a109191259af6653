"""Pictures of the training templates: how the demo's own trainings went, and clips before and after."""

from __future__ import annotations

# The checkout becomes the package zoetrope at run time.
# pyright: reportMissingImports=false
import argparse
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from zoetrope.charts.loss_chart import draw_losses
from zoetrope.host.call.strength import Strength
from zoetrope.host.lora.motion_lora import MotionLora
from zoetrope.motion_models.checkpoints.motion_lora import read_motion_lora
from zoetrope.training.state_file import read_state

from .lessons.motion import LAST, load_motion, motion_file
from .lessons.motion_lora import lora_file
from .look import animated, draw_sample, prompts_of
from .narrow import load_narrow, narrow_model
from .sprites import CAPTIONS, colours_of
from .text import encodings

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"
SIDE, FRAMES = 512, 16
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", type=Path, default=WORKFLOWS)


def run(options: argparse.Namespace) -> None:
    """Above what was trained, below it the same noise without and with it."""
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
    for name, state, shown in (
        ("train_motion_model", motion_file(folder, "slow"), ("still", "moving")),
        ("train_motion_lora", lora_file(folder, "right"), ("moving", "right")),
    ):
        losses = read_state(state.with_suffix(".state.safetensors")).losses
        page(losses, state.name, [clips[which] for which in shown]).save(options.to / f"{name}.jpg", quality=90)
