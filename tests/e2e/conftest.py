"""A real ComfyUI server with toy models under the workflows' file names. Needs COMFYUI_DIR; without it nothing is collected."""

import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from comfy_host import HOME, Host, server
from comfy_host.client import Client
from comfy_host.files import link_pack, locked

from support import e2e_models
from support.pack import ROOT

COMFYUI_DIR = os.environ.get("COMFYUI_DIR")
MODELS = HOME / "test_models"
FILES = {
    "v1-5-pruned-emaonly-fp16.safetensors": "checkpoint",
    "mm_sd_v15_v2.ckpt": "motion_v2",
    "v3_sd15_mm.ckpt": "motion_v3",
    "v2_lora_ZoomIn.ckpt": "motion_lora",
    "v2_lora_PanLeft.ckpt": "motion_lora",
    "control_v11p_sd15_canny_fp16.safetensors": "controlnet",
    "control_v11p_sd15_softedge_fp16.safetensors": "controlnet",
}
FOLDERS = ("checkpoints", "animatediff_models", "animatediff_motion_lora", "controlnet", "loras")
VIDEO = "zoetrope_example.mp4"
FRAMES = "zoetrope_example_frames"


def pytest_ignore_collect(collection_path, config):
    return True if COMFYUI_DIR is None and collection_path.name.startswith("test_") else None


def write_toy_models() -> None:
    files = [f"{kind}={name}" for name, kind in FILES.items()]
    with locked(HOME / "test_models.lock"):
        subprocess.run([sys.executable, str(ROOT / "scripts" / "demo_models.py"), str(MODELS), *files], check=True)


def write_video(path: Path, frames: int = e2e_models.VIDEO_FRAMES, size: int = 96) -> None:
    """A white square crossing a grey picture, 8 frames a second, with a tone that swells and fades."""
    import av
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        sound = container.add_stream("aac", rate=16000, layout="mono")
        for number in range(frames):
            picture = np.full((size, size, 3), 60, np.uint8)
            left = 8 + number * 2
            picture[32:64, left : left + 32] = 250
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
        times = np.arange(16000 * frames // 8) / 16000
        swell = 0.5 - 0.5 * np.cos(2 * np.pi * times)
        tone = ((np.sin(2 * np.pi * 100 * times) + np.sin(2 * np.pi * 433 * times)) * swell * 8000).astype(np.int16)[
            None
        ]
        block = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
        block.sample_rate, block.time_base = 16000, Fraction(1, 16000)
        container.mux(sound.encode(block))
        container.mux(sound.encode(None))


def write_frames(folder: Path, frames: int = e2e_models.VIDEO_FRAMES, size: int = 96) -> None:
    """A bright disc that crosses a gradient, one picture a frame, with names that only sort by number."""
    import numpy as np
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:size, :size] / size
    for number in range(frames):
        disc = (np.hypot(x - 0.2 - number * 0.03, y - 0.5) < 0.2)[..., None]
        picture = np.where(disc, [250, 230, 120], np.stack((40 + 60 * y, 60 + 80 * x, 120 - 40 * y), axis=-1))
        Image.fromarray(picture.astype(np.uint8)).save(folder / f"{number}.png")


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    """A base directory of its own: nothing of the developer's ComfyUI is read or written."""
    folder = tmp_path_factory.mktemp("comfyui")
    link_pack(ROOT, folder / "custom_nodes")
    write_video(folder / "input" / VIDEO)
    e2e_models.write_picture(folder / "input")
    write_frames(folder / "input" / FRAMES)
    return folder


@pytest.fixture(scope="session")
def running(base, tmp_path_factory):
    """The server process."""
    write_toy_models()
    own = tmp_path_factory.mktemp("models")
    e2e_models.write_models(own)
    paths = base / "models.yaml"
    # JSON is YAML: no quoting to get wrong.
    places = {number: {"base_path": str(path), **{n: n for n in FOLDERS}} for number, path in enumerate((MODELS, own))}
    paths.write_text(json.dumps(places))
    host = Host(sys.executable, Path(str(COMFYUI_DIR)), base, private=True, model_paths=paths)
    with server.running(host, extra=["--cpu"]) as started:
        yield started


@pytest.fixture
def client(running) -> Client:
    """A client of its own for each test."""
    return Client(running.url)
