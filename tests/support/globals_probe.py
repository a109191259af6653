"""Prints every public name of the host and torch that our pack replaced: before import, after it, while sampling.

Run by tests/host/test_globals.py in a process of its own, because the snapshot has to come before the import.
"""

import inspect
import os
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [os.environ["COMFYUI_DIR"], str(Path(__file__).parents[1])]

from comfy.cli_args import args  # noqa: E402

args.cpu = True
args.use_pytorch_cross_attention = True

import comfy.context_windows  # noqa: E402
import comfy.controlnet  # noqa: E402
import comfy.ldm.modules.diffusionmodules.openaimodel as openaimodel  # noqa: E402
import comfy.model_base  # noqa: E402
import comfy.model_management  # noqa: E402
import comfy.model_patcher  # noqa: E402
import comfy.ops  # noqa: E402
import comfy.sampler_helpers  # noqa: E402
import comfy.samplers  # noqa: E402
import torch  # noqa: E402

WATCHED = [
    comfy.samplers, comfy.ops, comfy.model_patcher, comfy.model_base, comfy.model_management, comfy.sampler_helpers,
    comfy.context_windows, comfy.controlnet, openaimodel, torch.nn, torch.nn.functional,
]  # fmt: skip


def snapshot() -> dict[str, object]:
    """Functions and classes of the watched modules, and the functions inside those classes."""
    found = {}
    for module in WATCHED:
        for name, value in vars(module).items():
            if inspect.isroutine(value) or inspect.isclass(value):
                found[f"{module.__name__}.{name}"] = value
            if inspect.isclass(value):
                for inner, attribute in vars(value).items():
                    if inspect.isroutine(attribute):
                        found[f"{module.__name__}.{name}.{inner}"] = attribute
    return found


def changed(before: dict, when: str) -> None:
    now = snapshot()
    for name in before:
        if now.get(name) is not before[name]:
            print(f"{when}: {name}")


def main() -> None:
    before = snapshot()
    from support import pack  # noqa: F401, I001, PLC0415  # makes the pack importable
    import zoetrope.nodes  # noqa: F401, PLC0415
    from support.toy_models import unet as toy  # noqa: PLC0415
    from support.toy_models.files import animate, motion_lora, motion_model  # noqa: PLC0415
    from zoetrope.host.sampling.context_windows import apply_windows  # noqa: PLC0415
    from zoetrope.temporal.windows.settings import WindowSettings  # noqa: PLC0415

    changed(before, "after import")
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        motion = motion_model(directory, "v1")
        model = animate(toy.toy_model_patcher(), motion, loras=(motion_lora(directory, mid=False),))
        model = apply_windows(model, WindowSettings(length=4, overlap=2))

        def inside(executor, *arguments, **options):
            changed(before, "inside the UNet call")
            return executor(*arguments, **options)

        model.add_wrapper_with_key("diffusion_model", "probe", inside)
        toy.sample(model, frames=8, callback=lambda *step: changed(before, "while sampling"))
    changed(before, "after sampling")
    print(f"watched {len(before)} names")


main()
