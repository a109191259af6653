"""Makes the pictures beside the templates, and README's, from clips of the demo models.

    python scripts/in_host.py scripts/make_pictures.py text_to_video motion_lora

Names of workflows; all that the demo models can run by default. Those with other models keep their pictures.
"""

from __future__ import annotations

import argparse

import av
import numpy as np
from comfy_host import PACK, ensure_private_host, graph
from comfy_host.client import Client, Prompt
from comfy_host.progress import run_prompt
from comfy_host.server import running
from demo import find_video, store, suit_demo_models, write_demo_models
from demo import parse as demo_options
from PIL import Image

SIDE, COLUMNS = 512, 4
README_PICTURE, README_FRAME = PACK / "docs" / "demo.png", 160
CAPTIONS = {
    "text_to_video": "a red ball",
    "motion_lora": "a green box",
    "long_loop": "a blue ball",
    "loop_to_gif": "a red box",
    "latents_to_prores": "a green ball",
    "steady_shot": "a blue box",
}


def clip_of(client: Client, prompt: Prompt) -> list[Image.Image]:
    """Frames of the video that a prompt writes."""
    path = store(client, find_video(run_prompt(client, prompt)), None)
    with av.open(str(path)) as container:
        frames = [frame.to_image() for frame in container.decode(video=0)]
    path.unlink()
    return frames


def sheet(frames: list[Image.Image], columns: int, rows: int, side: int) -> Image.Image:
    """Frames at even distances, in rows."""
    chosen = np.linspace(0, len(frames) - 1, columns * rows).round().astype(int)
    picture = Image.new("RGB", (columns * side, rows * side))
    for place, number in enumerate(chosen):
        frame = frames[number].resize((side, side), Image.Resampling.LANCZOS)
        picture.paste(frame, (place % columns * side, place // columns * side))
    return picture


def demo_prompt(name: str) -> Prompt:
    """A template with the demo's models, sizes and words."""
    prompt = graph.load_prompt(PACK / "workflows" / "api" / f"{name}.json")
    for loader in graph.LOADERS.values():
        graph.set_inputs(prompt, {loader.class_type: loader.name}, loader.demo)
    suit_demo_models(prompt, demo_options(["--prompt", CAPTIONS[name]]))
    graph.set_positive_text(prompt, CAPTIONS[name])
    graph.set_inputs(prompt, graph.FRAMES, 16)
    return prompt


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(CAPTIONS)}")
    names = parser.parse_args().names or list(CAPTIONS)
    host = ensure_private_host()
    write_demo_models(host, list(graph.LOADERS))
    with running(host, extra=["--cpu"]) as started:
        for name in names:
            frames = clip_of(Client(started.url), demo_prompt(name))
            sheet(frames, COLUMNS, COLUMNS, SIDE // COLUMNS).save(PACK / "workflows" / f"{name}.jpg", quality=88)
            if name == "text_to_video":
                sheet(frames, 8, 2, README_FRAME).save(README_PICTURE)
            print(f"{name}.jpg: {CAPTIONS[name]}", flush=True)


if __name__ == "__main__":
    main()
