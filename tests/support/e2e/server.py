"""A base directory with toy models and example input, and the host that runs on it.

The models have the file names of the shipped prompts; those of the demo are written once and kept.
"""

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from comfy_host import HOME, Host, graph
from comfy_host.files import link_pack, locked
from PIL import Image

from support.e2e.models import VIDEO_FRAMES, write_models, write_picture
from support.pack import ROOT

MODELS = HOME / "test_models"
FILES = {
    "v1-5-pruned-emaonly-fp16.safetensors": "checkpoint",
    "mm_sd_v15_v2.ckpt": "motion_v2",
    "v3_sd15_mm.ckpt": "motion_v3",
    "v2_lora_ZoomIn.ckpt": "motion_lora",
    "v2_lora_PanLeft.ckpt": "motion_lora",
    "control_v11p_sd15_canny_fp16.safetensors": "controlnet",
    "control_v11p_sd15_softedge_fp16.safetensors": "controlnet",
    **{loader.demo: f"demo_{kind}" for kind, loader in graph.LOADERS.items()},
}
FOLDERS = ("checkpoints", "animatediff_models", "animatediff_motion_lora", "controlnet", "loras", "frame_interpolation")
VIDEO = "zoetrope_example.mp4"
FRAMES = "zoetrope_example_frames"
CLIPS = "zoetrope_example_clips"


def write_toy_models() -> None:
    files = [f"{kind}={name}" for name, kind in FILES.items()]
    with locked(HOME / "test_models.lock"):
        subprocess.run([sys.executable, str(ROOT / "scripts" / "demo_models.py"), str(MODELS), *files], check=True)


def write_video(path: Path, frames: int = VIDEO_FRAMES, size: int = 96) -> None:
    """A white square crossing a grey picture, 8 frames a second, with a tone that swells and fades."""
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


def write_frames(folder: Path, frames: int = VIDEO_FRAMES, size: int = 96) -> None:
    """A bright disc that crosses a gradient, one picture a frame, with names that only sort by number."""
    folder.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:size, :size] / size
    for number in range(frames):
        disc = (np.hypot(x - 0.2 - number * 0.03, y - 0.5) < 0.2)[..., None]
        picture = np.where(disc, [250, 230, 120], np.stack((40 + 60 * y, 60 + 80 * x, 120 - 40 * y), axis=-1))
        Image.fromarray(picture.astype(np.uint8)).save(folder / f"{number}.png")


def write_base(folder: Path, pack: Path = ROOT) -> Path:
    """Make a base directory: the pack, and the files that the shipped prompts name."""
    link_pack(pack, folder / "custom_nodes")
    write_video(folder / "input" / VIDEO)
    write_picture(folder / "input")
    write_frames(folder / "input" / FRAMES)
    for name in ("one", "two"):
        write_video(folder / "input" / CLIPS / f"{name}.mp4")
    return folder


def toy_host(comfyui: Path, base: Path, models: Path) -> Host:
    """A host that runs on a base directory with toy models.

    Args:
        comfyui: folder of ``main.py``.
        base: from `write_base`.
        models: folder for the models that are none of the demo's; written where they are not there.
    """
    write_toy_models()
    if not models.exists() or not any(models.iterdir()):
        write_models(models)
    paths = base / "models.yaml"
    # JSON is YAML: no quoting to get wrong.
    places = {
        number: {"base_path": str(path), **{n: n for n in FOLDERS}} for number, path in enumerate((MODELS, models))
    }
    paths.write_text(json.dumps(places))
    return Host(sys.executable, comfyui, base, private=True, model_paths=paths)
