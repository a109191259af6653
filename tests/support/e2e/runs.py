"""What the end-to-end tests share: small versions of the shipped prompts, and readers of what came out."""

import io
import json
import time
from pathlib import Path

import numpy as np
from comfy_host import graph
from comfy_host.client import Client, Prompt
from comfy_host.progress import run_prompt
from PIL import Image, ImageSequence

from support.pack import ROOT

API = ROOT / "workflows" / "api"
# A toy SDXL checkpoint that ComfyUI recognises is 2.5 GB of text encoders and deep transformers: too much for every test
# run. tests/host samples SDXL at toy size, and the browser test loads this graph.
NOT_RUN = {"sdxl_text_to_video"}
PROMPTS = sorted(path for path in API.glob("*.json") if path.stem not in NOT_RUN)
# These sample, decode and write in one node; no latents come out of them.
STREAMED = {"endless", "long_video_to_video"}
WRITERS = ("ZoetropeCombineVideo", "ZoetropeSampleEndless", "ZoetropeSampleVideo")
SIZE = 48
_TRAINER = {"batch": 1, "accumulation": 1, "preview_every": 0, "resume": "start anew"}
SMALL_TRAINING_FRAMES = 8  # of the clip that shows what was learnt
SMALL_TRAINING = {
    "ZoetropeTrainingClips": {"size": 64, "frames": 4, "stride": 1},
    "ZoetropeCameraMotionClips": {"size": 64, "frames": 4},
    "ZoetropeTrainMotionLora": {"rank": 2, **_TRAINER},
    "ZoetropeTrainMotionModel": _TRAINER,
    "ZoetropeTrainDomainAdapter": {"rank": 2, **_TRAINER, "preview_every": 2},
}


def small(name: str, steps: int = 2, seed: int | None = None) -> Prompt:
    """A shipped prompt with small pictures and few steps; its frame count and windows stay, but for those that train."""
    prompt = graph.load_prompt(API / f"{name}.json")
    graph.set_inputs(prompt, graph.WIDTH, SIZE)
    graph.set_inputs(prompt, graph.HEIGHT, SIZE)
    graph.set_inputs(prompt, graph.STEPS, steps)
    for node in prompt.values():
        if changes := SMALL_TRAINING.get(node["class_type"]):
            node["inputs"] |= changes
            graph.set_inputs(prompt, graph.FRAMES, SMALL_TRAINING_FRAMES)
    if seed is not None:
        graph.set_inputs(prompt, graph.SEED, seed)
    return prompt


def of_type(prompt: Prompt, *class_types: str) -> str:
    """The id of the only node of a type, or of several types."""
    (found,) = [node_id for node_id, node in prompt.items() if node["class_type"] in class_types]
    return found


def has(prompt: Prompt, class_type: str) -> bool:
    """Whether a prompt has a node of a type."""
    return any(node["class_type"] == class_type for node in prompt.values())


def also_save_pictures(prompt: Prompt) -> Prompt:
    """Let core save each frame as a PNG, after decoding the same latents where Combine Video does that itself."""
    combine = prompt[of_type(prompt, "ZoetropeCombineVideo")]["inputs"]
    images = combine.get("images", ["decode", 0])
    if "samples" in combine:
        prompt["decode"] = {"class_type": "VAEDecode", "inputs": {"samples": combine["samples"], "vae": combine["vae"]}}
    prompt["save"] = {"class_type": "SaveImage", "inputs": {"images": images, "filename_prefix": "frames/frame"}}
    return prompt


def run(client: Client, prompt: Prompt) -> dict:
    """Outputs of a run, with its progress lines under ``lines``."""
    out = io.StringIO()
    outputs = run_prompt(client, prompt, out)["outputs"]
    return {**outputs, "lines": out.getvalue()}


def pictures(client: Client, outputs: dict) -> np.ndarray:
    """The saved PNGs, (frames, height, width, 3) bytes."""
    files = outputs["save"]["images"]
    return np.stack([np.asarray(Image.open(io.BytesIO(client.view(file))).convert("RGB")) for file in files])


def video_file(prompt: Prompt, outputs: dict) -> dict:
    (file,) = outputs[of_type(prompt, *WRITERS)]["video"]
    return file


def decode(data: bytes, name: str) -> np.ndarray:
    """Frames of a video or an animation, (frames, height, width, 3) bytes."""
    if Path(name).suffix == ".webp":
        # PyAV's ffmpeg cannot read animated webp
        return np.stack([np.asarray(f.convert("RGB")) for f in ImageSequence.Iterator(Image.open(io.BytesIO(data)))])
    import av

    with av.open(io.BytesIO(data)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def film(client: Client, file: dict) -> np.ndarray:
    """Frames that a run has written, (frames, height, width, 3) bytes."""
    if file["format"] != "image/png":
        return decode(client.view(file), file["filename"])
    names = [f"frame_{number:05}.png" for number in range(1, file["frames"] + 1)]
    return np.concatenate([decode(client.view({**file, "filename": name}), name) for name in names])


def embedded_prompt(data: bytes) -> Prompt:
    """The prompt that an mp4 carries."""
    import av

    with av.open(io.BytesIO(data)) as container:
        return json.loads(container.metadata["prompt"])


def audio_seconds(data: bytes) -> float:
    """How long the sound of a file is."""
    import av

    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.audio[0]
        return sum(frame.samples for frame in container.decode(stream)) / stream.rate


def bare(prompt):
    """Class types and inputs, less titles and the frontend's own preview widgets."""
    return {
        key: {"type": node["class_type"], **{k: v for k, v in node["inputs"].items() if "preview" not in k}}
        for key, node in prompt.items()
    }


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference in steps of 1/255."""
    return float(np.abs(a.astype(np.int16) - b.astype(np.int16)).mean())


def wait_for(condition, seconds: float = 120):
    """The first true value of ``condition()``, asked for ten times a second."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise TimeoutError(f"still waiting after {seconds} s")
