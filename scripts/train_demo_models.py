"""Train the demo's models: a tiny world, narrow networks, seeded, to be stopped and gone on with at any time.

    python scripts/in_host.py scripts/train_demo_models.py image
    python scripts/in_host.py scripts/train_demo_models.py look
    python scripts/in_host.py scripts/train_demo_models.py motion slow

States and weights are kept in ``artefacts/demo_world``; the same command goes on from there.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import torch

from support import pack  # noqa: F401  (the checkout becomes the package zoetrope, which the next lines import)

# isort: split
from demo_world import host  # noqa: F401  (finds ComfyUI)

# isort: split
from demo_world import join, look, pictures
from demo_world.lessons import control, image, motion, motion_lora

STAGES = {
    "image": image,
    "control": control,
    "motion": motion,
    "lora": motion_lora,
    "look": look,
    "join": join,
    "pictures": pictures,
}
FOLDER = Path(__file__).resolve().parents[1] / "artefacts" / "demo_world"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where states and weights are kept")
    parser.add_argument("--threads", type=int, default=1)
    stages = parser.add_subparsers(dest="stage", required=True)
    for name, module in STAGES.items():
        module.add_arguments(stages.add_parser(name, help=(module.__doc__ or "").splitlines()[0]))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    STAGES[options.stage].run(options)


if __name__ == "__main__":
    main()
