"""Render an animation headless through ComfyUI's API queue.

    python scripts/demo.py
    python scripts/demo.py --checkpoint dreamshaper_8.safetensors --motion-model mm_sd_v15_v2.ckpt --prompt "a fox"
    python scripts/demo.py --server http://127.0.0.1:8188 --frames 32

The first run makes a private ComfyUI below .host, unless this pack lies in one or COMFYUI_DIR names one. Models that
the workflow names and the server does not have are replaced by small demo models. They know one world: a ball or a box, red,
green or blue, that moves ("a blue box").
"""

from __future__ import annotations

import argparse
import contextlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from comfy_host import PACK, Host, SetupError, ensure_host, graph, server
from comfy_host.client import Client, Prompt, PromptError
from comfy_host.files import write_atomic
from comfy_host.progress import clock, run_prompt

DEMO_SIZE, DEMO_STEPS, DEMO_PROMPT = (128, 128), 12, "a red ball"  # what the demo models were taught


def size(text: str) -> tuple[int, int]:
    """Parse ``512x384``."""
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if not found or any(int(part) < 64 or int(part) % 8 for part in found.groups()):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT with multiples of 8 from 64, such as 512x384")
    return int(found[1]), int(found[2])


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", help="a checkpoint's name in ComfyUI, or a file")
    parser.add_argument("--motion-model", help="a motion module's name in ComfyUI, or a file")
    parser.add_argument("--prompt", help="the positive prompt")
    parser.add_argument("--frames", type=int, help="frames to render")
    parser.add_argument("--size", type=size, metavar="WxH", help="frame size in pixels")
    parser.add_argument("--steps", type=int, help="sampling steps")
    parser.add_argument("--seed", type=int, help="seed of the noise")
    default = PACK / "workflows" / "api" / "text_to_video.json"
    parser.add_argument("--workflow", type=Path, default=default, help="a graph in API format")
    parser.add_argument("--server", metavar="URL", help="use this running ComfyUI instead of starting one")
    return parser.parse_args(arguments)


def apply_flags(prompt: Prompt, options: argparse.Namespace) -> None:
    """Write what the user asked for into the prompt.

    Raises:
        SetupError: a flag that this workflow has no input for.
    """
    if options.prompt is not None and not graph.set_positive_text(prompt, options.prompt):
        raise SetupError("--prompt has no effect here: no positive text node was found in the workflow.")
    for flag, rules, value in (
        ("--frames", graph.FRAMES, options.frames),
        ("--size", graph.WIDTH, options.size and options.size[0]),
        ("--size", graph.HEIGHT, options.size and options.size[1]),
        ("--steps", graph.STEPS, options.steps),
        ("--seed", graph.SEED, options.seed),
    ):
        if value is not None:
            graph.require(prompt, flag, rules, value)
    for flag, kind in (("--checkpoint", "checkpoint"), ("--motion-model", "motion")):
        value = getattr(options, flag[2:].replace("-", "_"))
        if value is not None:
            loader = graph.LOADERS[kind]
            name = Path(value).name if Path(value).is_file() else value
            graph.require(prompt, flag, {loader.class_type: loader.name}, name)


def suit_demo_models(prompt: Prompt, options: argparse.Namespace) -> None:
    """What the demo models know, in small frames and few steps, where the user did not choose."""
    if options.prompt is None:
        graph.set_positive_text(prompt, DEMO_PROMPT)
    if options.size is None:
        graph.set_inputs(prompt, graph.WIDTH, DEMO_SIZE[0])
        graph.set_inputs(prompt, graph.HEIGHT, DEMO_SIZE[1])
    if options.steps is None:
        graph.set_inputs(prompt, graph.STEPS, DEMO_STEPS)


def choose_models(client: Client, prompt: Prompt, options: argparse.Namespace, host: Host | None) -> bool:
    """Keep the models when the server has all of them; else put demo models in their place where we may write them.

    Returns:
        Whether they are demo models.

    Raises:
        SetupError: a model that the user named, or any on a server that is not ours, is missing.
    """
    missing = []
    for kind, name in graph.model_inputs(prompt):
        loader = graph.LOADERS[kind]
        found = client.choices(loader.class_type, loader.name)
        if name not in found:
            listed = ", ".join(found[:8]) or "nothing"
            missing.append(f"The server has no {name!r} in its {loader.folder} folder; it has: {listed}.")
    if not missing:
        return False
    if host is None or options.checkpoint or options.motion_model:
        raise SetupError(missing[0])
    # All or none: the demo models are of their own width and go with no real ones.
    kinds = list(dict.fromkeys(kind for kind, _ in graph.model_inputs(prompt)))
    print(f"Using small demo models of coloured balls and boxes: {', '.join(kinds)}", flush=True)
    write_demo_models(host, kinds)
    for kind in kinds:
        loader = graph.LOADERS[kind]
        graph.set_inputs(prompt, {loader.class_type: loader.name}, loader.demo)
    return True


def write_demo_models(host: Host, kinds: list[str]) -> None:
    """Write demo models into the host's base directory with the host's own Python."""
    files = [f"demo_{kind}={graph.LOADERS[kind].demo}" for kind in dict.fromkeys(kinds)]
    script = str(PACK / "scripts" / "demo_models.py")
    done = subprocess.run([host.python, script, str(host.base / "models"), *files], check=False)
    if done.returncode:
        raise SetupError("The demo models could not be written; the lines above say why.")


def named_files(host: Host, options: argparse.Namespace) -> list[str]:
    """Server options that make files given by path available under their names, without copying them."""
    lines = []
    for kind, value in (("checkpoint", options.checkpoint), ("motion", options.motion_model)):
        if value and Path(value).is_file():
            folder = Path(value).resolve().parent.as_posix().replace('"', '\\"')
            lines.append(f'named_{kind}:\n  {graph.LOADERS[kind].folder}: "{folder}"\n')
    if not lines:
        return []
    path = host.base / "named_files.yaml"
    write_atomic(path, "".join(lines))
    return ["--extra-model-paths-config", str(path)]


@contextlib.contextmanager
def connected(options: argparse.Namespace, extra: Sequence[str] = ()) -> Iterator[tuple[Client, Host | None]]:
    """A client of the server that the user named, or of one that we start, with more options, and stop."""
    if options.server:
        client = Client(options.server)
        client.json("/system_stats")
        yield client, None
        return
    host = ensure_host()
    gpu = server.has_gpu(host.python)
    print(f"Starting ComfyUI on the {'GPU' if gpu else 'CPU'} ...", flush=True)
    extra = [*extra, *named_files(host, options), *([] if gpu else ["--cpu"])]
    with server.running(host, extra=extra) as started:
        print(f"ComfyUI answers at {started.url}", flush=True)
        yield Client(started.url), host


def find_video(entry: dict) -> dict:
    """The video that a history entry names.

    Raises:
        PromptError: the workflow saved none.
    """
    outputs = [output for output in entry.get("outputs", {}).values()]
    for output in outputs:
        for file in output.get("video", []):
            return file
    for file in [file for output in outputs for file in output.get("images", [])]:
        if Path(file["filename"]).suffix in (".mp4", ".webm", ".mkv", ".mov", ".gif", ".webp"):
            return file
    raise PromptError("the workflow ran but saved no video: add a Combine Video node")


def store(client: Client, file: dict, host: Host | None) -> Path:
    """Where the video lies: in the host's output folder, or fetched into the current folder from another server."""
    if host is not None:
        return host.base / file.get("type", "output") / file.get("subfolder", "") / file["filename"]
    name = Path(file["filename"])
    path, number = Path.cwd() / name.name, 1
    while path.exists():
        path, number = Path.cwd() / f"{name.stem}_{number}{name.suffix}", number + 1
    path.write_bytes(client.view(file))
    return path


def describe(path: Path, file: dict) -> str:
    """Path, frames, rate, length and size of the video in two lines."""
    facts = [f"{path.stat().st_size / 1e3:.0f} kB"]
    if "frames" in file:
        seconds = file.get("duration") or file["frames"] / file["frame_rate"]
        facts = [f"{file['frames']} frames", f"{file['frame_rate']:g} fps", f"{seconds:.2f} s", *facts]
        facts.append(f"{file.get('width')}x{file.get('height')} {file.get('codec', '')}".strip())
    return f"Video: {path}\n       {', '.join(facts)}"


def run(options: argparse.Namespace) -> None:
    prompt = graph.load_prompt(options.workflow)
    apply_flags(prompt, options)
    began = time.monotonic()
    with connected(options) as (client, host):
        if choose_models(client, prompt, options, host):
            suit_demo_models(prompt, options)
        entry = run_prompt(client, prompt)
        file = find_video(entry)
        print(describe(store(client, file, host), file), flush=True)
    print(f"Done in {clock(time.monotonic() - began)}.")


def guarded(work: Callable[[], None]) -> int:
    """Exit status of a script that runs prompts; what goes wrong is told in words."""
    # A terminate request ends like Ctrl-C: the server that we started must not stay behind.
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    try:
        work()
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except PromptError as error:
        print(f"ComfyUI could not run the workflow:\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    return 0


def main() -> int:
    options = parse()
    return guarded(lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
