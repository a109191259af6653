"""Write small models with the true key layouts, to try and to test the pack without downloads.

The demo's were trained (demo_world), the others have seeded random weights (toy_models).

Run it with a Python that has torch and safetensors:

    python scripts/demo_models.py MODELS_FOLDER KIND=FILE_NAME ...
"""

from __future__ import annotations

import argparse
import hashlib
import os
import time
from pathlib import Path

import torch
from demo_world import models as world
from safetensors.torch import save_file
from toy_models import KINDS as TOY_KINDS

KINDS = {**TOY_KINDS, **world.KINDS}
STAMPS = ".zoetrope_demo"


def version() -> str:
    """Digest of the code that makes the weights: when it changes, the files are written again."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for path in (*sorted(here.glob("toy_models/*.py")), *sorted(here.glob("demo_world/*.py")), world.WEIGHTS):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def write_model(models: Path, kind: str, name: str) -> bool:
    """Write one model unless it is there in this version.

    Args:
        models: a ComfyUI models folder.
        kind: a key of ``KINDS``.
        name: file name; ``.safetensors``, or ``.ckpt`` for torch's own format with a ``state_dict`` entry.

    Returns:
        Whether a file was written.
    """
    folder, make = KINDS[kind]
    target, stamp = models / folder / name, models / STAMPS / f"{folder}.{name}"
    wanted = f"{version()} {kind}"
    if target.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{name}.{os.getpid()}.part")
    tensors = {key: tensor.to(torch.float16).contiguous() for key, tensor in make().items()}
    if target.suffix == ".safetensors":
        save_file(tensors, partial, metadata={"format": "pt", "note": f"Zoetrope {kind}"})
    else:
        torch.save({"state_dict": tensors}, partial)
    os.replace(partial, target)
    stamp.write_text(wanted, encoding="utf-8")
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, help="a ComfyUI models folder")
    parser.add_argument("files", nargs="+", metavar="KIND=FILE_NAME", help=f"kinds: {', '.join(KINDS)}")
    options = parser.parse_args()
    for item in options.files:
        kind, _, name = item.partition("=")
        if kind not in KINDS or not name:
            parser.error(f"{item!r} is not KIND=FILE_NAME with a kind of {', '.join(KINDS)}")
        began = time.monotonic()
        if write_model(options.models, kind, name):
            print(f"  wrote {KINDS[kind][0]}/{name} in {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
