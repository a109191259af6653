"""All narrow weights in the one file of the repository."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from safetensors import safe_open

from .layout import CONTROL, UNET
from .lessons.motion import LAST, motion_file
from .lessons.motion_lora import lora_file
from .models import LORAS, MOTION, WEIGHTS
from .narrow import load_narrow, save_narrow


def parts(folder: Path) -> dict[Path, str]:
    """Each file, and what is put before the names in it."""
    return {
        folder / "image.safetensors": "",
        folder / "control.safetensors": "",
        motion_file(folder, LAST): MOTION,
        **{lora_file(folder, move): prefix for move, prefix in LORAS.items()},
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", type=Path, default=WEIGHTS)


def run(options: argparse.Namespace) -> None:
    weights, made_by = {}, {}
    for path, prefix in parts(options.folder).items():
        found = load_narrow(path)
        # Tables of positions are computed again, in the published width.
        found = {key: weight for key, weight in found.items() if not key.endswith(".pos_encoder.pe")}
        weights |= {prefix + key: weight for key, weight in found.items()}
        with safe_open(path, "pt") as file:
            made_by[path.stem] = (file.metadata() or {}).get("made_by", "")
    assert all(key.startswith((UNET, CONTROL, MOTION, *LORAS.values())) for key in weights)
    save_narrow(options.to, weights, json.dumps(made_by))
    print(f"{len(weights)} weights, {options.to.stat().st_size / 1e6:.1f} MB: {options.to}")
