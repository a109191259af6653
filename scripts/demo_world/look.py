"""What the narrow networks draw, through ComfyUI's own sampler: as pictures to look at, and as numbers.

Shapes: F = frames or pictures, S = 16.
"""

# The checkout becomes the package zoetrope at run time.
# pyright: reportMissingImports=false

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from toy_models.vae import SCALE

from zoetrope.host.lora.motion_lora import Stack
from zoetrope.host.motion import noise_schedule
from zoetrope.host.motion.apply import apply_motion_model
from zoetrope.host.motion.load import MotionModel
from zoetrope.host.motion.settings import MotionSettings

from . import sprites
from .host import model_patcher, sample
from .lessons.motion import LESSONS, load_motion, motion_file
from .measure import numbers_of
from .narrow import load_narrow, narrow_model
from .text import NOTHING, encodings

ENLARGED = 4


Prompts = list[list[list[Any]]]  # positive and negative CONDITIONING


def prompts_of(texts: dict[str, Tensor], caption: str) -> Prompts:
    """What is wanted, and nothing in particular as what is not."""
    return [[[texts[text], {}]] for text in (caption, NOTHING[0])]


def draw_sample(
    model: model_patcher.ModelPatcher, prompts: Prompts, frames: int, seed: int, cfg: float, steps: int
) -> Tensor:
    """Latents (F, 4, S, S) of prompts, by DDIM, in the scale that the UNet works in."""
    noise = torch.randn(frames, 4, sprites.SIDE, sprites.SIDE, generator=torch.Generator().manual_seed(seed))
    positive, negative = prompts
    latents = sample.sample(
        model,
        noise,
        steps,
        cfg,
        "ddim",
        "ddim_uniform",
        positive,
        negative,
        torch.zeros_like(noise),
        disable_pbar=True,
        seed=seed,
    )
    return latents * SCALE


def save_sheet(path: Path, rows: list[Tensor]) -> None:
    """A picture with a clip in each row, as ComfyUI's preview would show it."""
    sheet = torch.cat([torch.cat(list(sprites.colours_of(row)), dim=2) for row in rows], dim=1)
    picture = Image.fromarray((sheet.permute(1, 2, 0) * 255).byte().numpy())
    picture.resize((picture.width * ENLARGED, picture.height * ENLARGED), Image.Resampling.NEAREST).save(path)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--motion", choices=list(LESSONS), help="with the motion modules of this lesson; without by default"
    )
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=6, help="the prompts take turns")
    parser.add_argument("--cfg", type=float, default=3.0)
    parser.add_argument("--sampling-steps", type=int, default=20)


def animated(model: model_patcher.ModelPatcher, motion: MotionModel, loras: Stack = ()) -> model_patcher.ModelPatcher:
    """The MODEL with a narrow motion model and MotionLoRAs."""
    settings = MotionSettings(name=motion.name, spec=motion.spec)
    return apply_motion_model(model, motion, settings, noise_schedule.AUTO, loras)


def run(options: argparse.Namespace) -> None:
    """Draw clips, or unrelated pictures where there is no motion, and measure them."""
    texts = encodings(options.folder / "texts.safetensors")
    model = narrow_model(load_narrow(options.folder / "image.safetensors"))
    if options.motion:
        model = animated(model, load_motion(motion_file(options.folder, options.motion)))
    rows, right = [], 0
    for seed in range(options.seeds):
        caption = sprites.CAPTIONS[seed % len(sprites.CAPTIONS)]
        rows.append(
            draw_sample(model, prompts_of(texts, caption), options.frames, seed, options.cfg, options.sampling_steps)
        )
        found = numbers_of(rows[-1])
        right += caption == f"a {found.colour} {found.shape}"
        print(f"{seed} {caption}: {found}", flush=True)
    print(f"colour and shape right in {right} of {options.seeds}")
    save_sheet(options.folder / f"look_{options.motion or 'image'}.png", rows)
