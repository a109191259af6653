"""Another checkout of the pack beside this one: the same results, and the same cost. A tool for redesigns.

    python scripts/in_host.py benchmarks/compare_checkouts.py ../before
    python scripts/in_host.py benchmarks/compare_checkouts.py ../before --only results --template long_loop
    python scripts/in_host.py benchmarks/compare_checkouts.py ../before --only cost --rounds 9

Results: two servers of one ComfyUI, one with each checkout, run every template of ``workflows/api`` at toy size. Latents
must be equal to the bit, and so must every file that a run writes; so must what ``/history`` and ``/object_info`` say. SDXL, whose smallest
checkpoint is several GB, is sampled in one process with a toy UNet in place of the checkpoint.

Cost: medians of rounds in which the two take turns, and the median of the rounds' own ratios, this over the other. Import
is of fresh processes that have ComfyUI; sampling and Combine Video are of one process that holds both packs. The script
ends with an error when results differ, or when a ratio is above 1.02.
"""

import argparse
import asyncio
import gc
import importlib.util
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [os.environ["COMFYUI_DIR"], str(ROOT / "scripts"), str(ROOT / "tests")]
sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() not in (ROOT, ROOT / "benchmarks")]

MOST = 1.02
SAVED = ("KSampler", "KSamplerAdvanced", "SamplerCustomAdvanced")
SIZE, FRAMES, WINDOW, STEPS = 64, 12, 8, 4  # of the clip whose sampling is timed; SIZE in pixels
NOT_ON_SERVER = "sdxl_text_to_video"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("other", type=Path, help="folder of the other checkout")
    parser.add_argument("--only", choices=["results", "cost"], help="one half")
    parser.add_argument("--template", nargs="+", default=[], help="names in workflows/api; all by default")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--import-of", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not (options.other / "nodes" / "__init__.py").is_file():
        parser.error(f"{options.other} is no checkout of this pack; give the folder that holds its nodes/.")
    known = sorted(path.stem for path in (ROOT / "workflows" / "api").glob("*.json"))
    unknown = sorted(set(options.template) - set(known))
    if unknown:
        parser.error(f"workflows/api has no {', '.join(unknown)}; it has {', '.join(known)}.")
    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds} measures nothing; give 1 or more.")
    options.template = options.template or known
    return options


# ---------------------------------------------------------------------------------------------------------------- results


@contextmanager
def servers(checkouts: list[Path]) -> Iterator[list[Any]]:
    """A client of a server for each checkout, with base directories of their own and the same models."""
    from comfy_host import server
    from comfy_host.client import Client

    from support import pack  # noqa: F401  # makes this checkout importable, for the toy models
    from support.e2e.server import toy_host, write_base

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        clients = []
        for number, checkout in enumerate(checkouts):
            base = write_base(folder / str(number), checkout)
            # The bytes and times of inputs are told by prompts that load them, and so by the files that a run writes.
            if number:
                shutil.copytree(folder / "0" / "input", base / "input", dirs_exist_ok=True)
            for path in (base / "input").rglob("*"):
                os.utime(path, (0, 0))
            host = toy_host(Path(os.environ["COMFYUI_DIR"]), base, folder / "models")
            clients.append(Client(stack.enter_context(server.running(host, extra=["--cpu"])).url))
        yield clients


def prompt_with_latents(name: str) -> dict[str, Any]:
    """A template at toy size that also saves what its samplers give."""
    from support.e2e.runs import small

    prompt = small(name, seed=7)
    for number in [number for number, node in prompt.items() if node["class_type"] in SAVED]:
        saving = {"samples": [number, 0], "filename_prefix": f"latents/{number}"}
        prompt[f"save_{number}"] = {"class_type": "SaveLatent", "inputs": saving}
    if name == "endless":  # 128 frames would take long
        shorter = {"ZoetropeSampleEndless": {"frames": 9, "window": 4, "partitions": 1}}
        for node in prompt.values():
            node["inputs"].update(shorter.get(node["class_type"], {}))
            if node["class_type"] == "ZoetropePromptSchedule":
                node["inputs"]["frames"] = 9
    return prompt


def files_of(client: Any, outputs: dict[str, Any]) -> dict[str, bytes]:
    """Everything that a run wrote, by node, kind and number: names may hold a counter or the time."""
    found = {}
    for node, output in outputs.items():
        for kind, entries in output.items():
            for number, entry in enumerate(entries if isinstance(entries, list) else []):
                if isinstance(entry, dict) and "filename" in entry:
                    found[f"{node} {kind} {number}"] = client.view(entry)
                    if entry.get("format") == "image/png":  # a folder of one picture a frame
                        names = [f"frame_{frame:05}.png" for frame in range(1, entry["frames"] + 1)]
                        found |= {f"{node} {name}": client.view({**entry, "filename": name}) for name in names}
    return found


def without_names(outputs: Any) -> Any:
    """What ``/history`` says, less file names."""
    if isinstance(outputs, dict):
        return {key: without_names(value) for key, value in outputs.items() if key not in ("filename", "subfolder")}
    return [without_names(value) for value in outputs] if isinstance(outputs, list) else outputs


def same_file(first: bytes, second: bytes, name: str) -> bool:
    """Equal bytes; of latents equal tensors, as their file holds the prompt too."""
    if " latents " not in name:
        return first == second
    import torch
    from safetensors.torch import load

    tensors = [load(data) for data in (first, second)]
    return tensors[0].keys() == tensors[1].keys() and all(torch.equal(t, tensors[1][k]) for k, t in tensors[0].items())


def _our_nodes(info: dict[str, Any]) -> dict[str, Any]:
    """What the server tells about our nodes, less the module that they come from."""
    return {name: {**node, "python_module": None} for name, node in info.items() if name.startswith("Zoetrope")}


def compare_templates(checkouts: list[Path], names: list[str]) -> list[str]:
    """Print a line for each template; return what differs."""
    from comfy_host.progress import run_prompt

    wrong = []
    with servers(checkouts) as clients:
        infos = [_our_nodes(client.json("/object_info")) for client in clients]
        # As text, because the order of inputs counts.
        texts = [{name: json.dumps(node) for name, node in info.items()} for info in infos]
        differing = [name for name in texts[0] | texts[1] if texts[0].get(name) != texts[1].get(name)]
        if differing or list(texts[0]) != list(texts[1]):
            wrong = [f"/object_info: {', '.join(differing) or 'the order of nodes'}"]
        for name in names:
            prompt = prompt_with_latents(name)
            outputs = [run_prompt(client, prompt, StringIO())["outputs"] for client in clients]
            files = [files_of(client, output) for client, output in zip(clients, outputs, strict=True)]
            differing = [key for key in files[0] if not same_file(files[0][key], files[1].get(key, b""), key)]
            if files[0].keys() != files[1].keys() or without_names(outputs[0]) != without_names(outputs[1]):
                differing.append("what /history says")
            latents = sum(" latents " in key for key in files[0])
            print(f"{name:<28} {latents} latents, {len(files[0]) - latents} files: {'; '.join(differing) or 'equal'}")
            wrong += [f"{name}: {what}" for what in differing]
    return wrong


# ------------------------------------------------------------------------------------------------- both packs in a process


class Pack:
    """A checkout imported under a name of its own, and its nodes by their ids, which no redesign changes."""

    def __init__(self, checkout: Path, name: str):
        where = [str(checkout)]
        spec = importlib.util.spec_from_file_location(name, checkout / "__init__.py", submodule_search_locations=where)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        extension = asyncio.run(module.comfy_entrypoint())
        asyncio.run(extension.on_load())
        self.nodes = {node.GET_SCHEMA().node_id: node for node in asyncio.run(extension.get_node_list())}

    def run(self, node: str, **inputs: Any) -> list[Any]:
        """Outputs of a node."""
        from support.run_nodes import run_node

        return run_node(self.nodes[f"Zoetrope{node}"], **inputs)[0]


def import_comfyui() -> None:
    from comfy.cli_args import args

    args.cpu, args.disable_metadata = True, True
    import execution  # noqa: F401


@contextmanager
def toy_folders() -> Iterator[Path]:
    """Model, output and temporary folders that go away."""
    import folder_paths
    import safetensors.torch

    from support import pack  # noqa: F401
    from support.toy_models.motion import motion_state_dict

    with tempfile.TemporaryDirectory() as folder:
        for kind in ("output", "temp"):
            getattr(folder_paths, f"set_{kind}_directory")(os.path.join(folder, kind))
            os.mkdir(os.path.join(folder, kind))
        folder_paths.add_model_folder_path("animatediff_models", folder, is_default=True)
        for family in ("v2", "sdxl_beta"):
            safetensors.torch.save_file(motion_state_dict(family), os.path.join(folder, f"toy_{family}.safetensors"))
        yield Path(folder)


def animated(pack: Pack, model: Any, family: str, length: int) -> Any:
    """A MODEL with a motion model and windows."""
    (motion,) = pack.run("LoadMotionModel", motion_model=f"toy_{family}.safetensors")
    (model,) = pack.run("ApplyMotionModel", model=model, motion_model=motion, beta_schedule="auto")
    widgets = {"context_overlap": 2, "schedule": "standard_uniform", "fuse_method": "pyramid"}
    return pack.run("ContextWindows", model=model, context_length=length, **widgets)[0]


def sampled(model: Any, positive: Any, negative: Any, frames: int = FRAMES) -> Any:
    from support.toy_models import unet as toy

    noise = toy.noise_for(frames, SIZE // 8)
    return toy.sample(model, positive, negative, noise=noise, steps=STEPS, cfg=2.0)


def compare_sdxl(packs: list[Pack]) -> list[str]:
    """The nodes of the SDXL template on a toy SDXL."""
    import torch

    from support.toy_models import sdxl

    results = []
    for pack in packs:
        model = animated(pack, sdxl.toy_sdxl_patcher(), "sdxl_beta", WINDOW)
        results.append(sampled(model, sdxl.conditioning(), sdxl.conditioning(seed=6)))
    equal = torch.equal(*results)
    print(f"{NOT_ON_SERVER:<28} in process, toy UNet: {'equal' if equal else 'latents differ'}")
    return [] if equal else [f"{NOT_ON_SERVER}: latents"]


# ------------------------------------------------------------------------------------------------------------------- cost


def timed(work: Callable[[], Any]) -> float:
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def row(name: str, rounds: list[tuple[float, float]]) -> bool:
    """Print medians and the median ratio; whether it is low enough."""
    ratio = statistics.median(mine / other for mine, other in rounds)
    mine, other = (statistics.median(pair[side] for pair in rounds) * 1e3 for side in (0, 1))
    print(f"{name:<44} {mine:8.1f} ms / {other:8.1f} ms = {ratio:.3f}  ({len(rounds)} rounds)")
    return ratio <= MOST


def in_turns(works: list[Callable[[], float]], rounds: int) -> list[tuple[float, float]]:
    """Seconds of both, each first in every other round; one round before counts for nothing."""
    found = []
    for number in range(rounds + 1):
        order = [0, 1] if number % 2 else [1, 0]
        seconds = {side: works[side]() for side in order}
        found.append((seconds[0], seconds[1]))
    return found[1:]


def import_seconds(checkout: Path) -> float:
    command = [sys.executable, __file__, str(checkout), "--import-of", str(checkout)]
    compiled = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}  # as a user has it
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=compiled)
    return float(done.stdout.splitlines()[-1])


def compare_imports(checkouts: list[Path], rounds: int) -> bool:
    works = [partial(import_seconds, checkout) for checkout in checkouts]
    return row("import of the pack", in_turns(works, rounds))


def sampling(pack: Pack) -> Callable[[], Any]:
    """A clip with motion, windows and a ControlNet per frame, at toy size."""
    from support.toy_models import unet as toy

    model, control = animated(pack, toy.toy_model_patcher(), "v2", WINDOW), toy.toy_controlnet()
    prompts = {"positive": toy.conditioning(), "negative": toy.conditioning(seed=6)}
    picture = {"image": toy.hints(FRAMES, SIZE), "strength": 1.0, "schedule": "0: 1.0, -1: 0.5"}
    percents = {"start_percent": 0.0, "end_percent": 1.0}
    prompts = pack.run("ApplyControlNetPerFrame", **prompts, control_net=control, **picture, **percents)
    return lambda: sampled(model, *prompts)


def combining(pack: Pack) -> Callable[[], Any]:
    import torch

    from support.clips import chart

    images = torch.from_numpy(chart(16, 256, 256)).float() / 255
    widgets = {"frame_rate": 8.0, "format": "h264-mp4", "filename_prefix": "clip", "images": images}
    return lambda: pack.run("CombineVideo", **widgets)


def timing(work_of: Callable[[Pack], Callable[[], Any]], packs: list[Pack]) -> list[Callable[[], float]]:
    return [partial(timed, work_of(pack)) for pack in packs]


def compare_cost(checkouts: list[Path], packs: list[Pack], rounds: int) -> list[str]:
    import torch

    torch.set_num_threads(1)
    good = {"import": compare_imports(checkouts, rounds)}
    calls = STEPS * len(range(0, FRAMES - 2, WINDOW - 2))
    name = f"{calls} UNet calls: motion, windows, ControlNet"
    good["sampling"] = row(name, in_turns(timing(sampling, packs), rounds))
    good["Combine Video"] = row("one Combine Video, 16 frames", in_turns(timing(combining, packs), rounds))
    return [f"cost of {name} is above {MOST}" for name, fine in good.items() if not fine]


def main() -> int:
    options = arguments()
    import_comfyui()
    if options.import_of is not None:
        print(timed(lambda: Pack(options.import_of, "pack")))
        return 0
    checkouts = [ROOT, options.other.resolve()]
    names, wrong = options.template, []
    if options.only != "cost":
        wrong += compare_templates(checkouts, [name for name in names if name != NOT_ON_SERVER])
    import torch

    with toy_folders(), torch.inference_mode():
        packs = [Pack(checkout, f"checkout_{number}") for number, checkout in enumerate(checkouts)]
        if options.only != "cost" and NOT_ON_SERVER in names:
            wrong += compare_sdxl(packs)
        if options.only != "results":
            wrong += compare_cost(checkouts, packs, options.rounds)
    print("\n".join(wrong) or "equal")
    return 1 if wrong else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that servers end with the script
    sys.exit(main())
