"""Damaged model files and films, made from a seed out of good ones, and the prompts that load them."""

import io
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from PIL import Image

from support.e2e.fuzz.prompts import Trial, quick

PAGE = b"<!DOCTYPE html>\n<html><head><title>404</title></head><body>Not found</body></html>\n"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1817888431\n"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(64)


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    Attributes:
        name: for the report.
        template: prompt that loads it.
        node: class that names it.
        input: of that node.
        file: the good one, below the models or below the input folder.
    """

    name: str
    template: str
    node: str
    input: str
    file: str


MODEL_KINDS = (
    Kind(
        "motion model",
        "text_to_video",
        "ZoetropeLoadMotionModel",
        "motion_model",
        "animatediff_models/mm_sd_v15_v2.ckpt",
    ),
    Kind(
        "MotionLoRA", "motion_lora", "ZoetropeMotionLora", "motion_lora", "animatediff_motion_lora/v2_lora_ZoomIn.ckpt"
    ),
    Kind("domain adapter", "camera_control", "ZoetropeDomainAdapter", "adapter", "loras/v3_sd15_adapter.ckpt"),
    Kind(
        "CameraCtrl",
        "camera_control",
        "ZoetropeApplyCameraCtrl",
        "camera_ctrl",
        "animatediff_models/CameraCtrl_pruned.safetensors",
    ),
    Kind("PIA", "image_to_video_pia", "ZoetropeLoadMotionModel", "motion_model", "animatediff_models/pia.ckpt"),
    Kind(
        "AnimateLCM-I2V",
        "image_to_video_animatelcm",
        "ZoetropeLoadMotionModel",
        "motion_model",
        "animatediff_models/AnimateLCM_sd15_i2v.ckpt",
    ),
    Kind(
        "SparseCtrl",
        "sparse_keyframes",
        "ZoetropeLoadSparseCtrl",
        "sparsectrl",
        "controlnet/v3_sd15_sparsectrl_rgb.ckpt",
    ),
)
FILM = Kind("film", "video_to_video", "ZoetropeLoadVideo", "video", "zoetrope_example.mp4")
ANIMATION = Kind("animation", "video_to_video", "ZoetropeLoadVideo", "video", "zoetrope_example_frames")
PICTURES = Kind("folder", "frames_to_frames", "ZoetropeLoadFrames", "folder", "zoetrope_example_frames")


def flipped(data: bytes, pick: random.Random) -> bytes:
    """A few bytes changed, most of them where headers are."""
    damaged = bytearray(data)
    for _ in range(pick.randint(1, 8)):
        place = pick.randrange(min(len(damaged), 2000) if pick.random() < 0.6 else len(damaged))
        damaged[place] = pick.randrange(256)
    return bytes(damaged)


def cut(data: bytes, pick: random.Random) -> bytes:
    """The beginning of a file."""
    return data[: int(len(data) * pick.random())]


def other(data: bytes, pick: random.Random) -> bytes:
    """Something else under the name."""
    return pick.choice((b"", b"hello", PAGE, POINTER, PICTURE, data[::-1]))


BYTES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "bytes changed": flipped,
    "cut off": cut,
    "another file": other,
}


def _bad_tensor(tensor: torch.Tensor, pick: random.Random) -> Any:
    return pick.choice(
        (
            lambda: torch.full_like(tensor, float("nan")),
            lambda: torch.full_like(tensor, float("inf")),
            lambda: (tensor * 100).to(torch.int8),
            lambda: tensor > 0,
            lambda: tensor.to(torch.complex64),
            lambda: tensor.reshape(-1),
            lambda: tensor.new_zeros(()),
            lambda: tensor.new_zeros((0, *tensor.shape[1:])),
            lambda: tensor[None],
            lambda: tensor.to(torch.float64),
            lambda: tensor.new_zeros(1).expand(tensor.shape),
            lambda: tensor.to_sparse(),
            lambda: tensor.to("meta"),
            lambda: [1, 2],
            lambda: None,
        )
    )()


def bad_weights(weights: dict[str, torch.Tensor], pick: random.Random) -> Any:
    """Weights with an odd tensor, a missing one, an odd name or an odd frame around them."""
    name = pick.choice(sorted(weights))
    kind = pick.choice(("tensor", "tensor", "tensor", "missing", "name", "frame"))
    if kind == "tensor":
        return {**weights, name: _bad_tensor(weights[name], pick)}
    rest = {key: value for key, value in weights.items() if key != name}
    if kind == "missing":
        return rest
    if kind == "name":
        return {**rest, pick.choice(("", "x", "x" * 3000, "module." * 300 + name, name + ".y")): weights[name]}
    nested: Any = weights
    for _ in range(pick.choice((1, 3, 400))):
        nested = {pick.choice(("state_dict", "module")): nested}
    return pick.choice((list(weights), nested, {}, {name: 1.0}, torch.zeros(3)))


def read(path: Path) -> dict[str, torch.Tensor]:
    """The weights of a good file."""
    if path.suffix == ".safetensors":
        return safetensors.torch.load_file(path)
    loaded = torch.load(path, weights_only=True)
    return loaded.get("state_dict", loaded)


def weights_file(weights: Any) -> tuple[bytes, str]:
    """Bytes and suffix: safetensors where it can hold them."""
    if isinstance(weights, dict) and all(
        isinstance(tensor, torch.Tensor) and tensor.layout == torch.strided and tensor.device.type == "cpu"
        for tensor in weights.values()
    ):
        return safetensors.torch.save({name: tensor.contiguous() for name, tensor in weights.items()}), ".safetensors"
    buffer = io.BytesIO()
    torch.save(weights, buffer)
    return buffer.getvalue(), ".ckpt"


@dataclass(frozen=True)
class Folders:
    """Where files lie.

    Attributes:
        good: folders with good model files, ours and the demo's.
        models: where damaged model files go.
        input: ComfyUI's input folder.
    """

    good: tuple[Path, ...]
    models: Path
    input: Path

    def find(self, file: str) -> Path:
        """A good model file."""
        return next(folder / file for folder in self.good if (folder / file).is_file())


def bad_files(folders: Folders, seed: int, count: int) -> Iterator[Trial]:
    """Prompts that load one damaged file each; the file is written when its prompt is asked for, and then removed.

    Kinds follow each other, so that the server has its other models loaded.
    """
    pick, kinds = random.Random(seed), (*MODEL_KINDS, FILM, ANIMATION, PICTURES)
    for number, kind in enumerate(sorted(pick.choices(kinds, k=count), key=kinds.index)):
        fault, data, suffix = _damaged(folders, kind, pick)
        place = folders.models / Path(kind.file).parent if kind in MODEL_KINDS else folders.input
        if kind is PICTURES:
            place = folders.input / f"odd_{number}"
        place.mkdir(parents=True, exist_ok=True)
        path = place / f"odd_{number}{suffix}"
        path.write_bytes(data)
        prompt = quick(kind.template)
        for node in prompt.values():
            if node["class_type"] == kind.node:
                node["inputs"][kind.input] = place.name if kind is PICTURES else path.name
        if kind is PICTURES:  # between good ones
            for name in ("0.png", "1.png", "10.png"):
                shutil.copy(folders.input / kind.file / name, place)
        yield Trial(fault, kind.name, kind.template, prompt, f"{path.name}, {len(data)} bytes")
        if kind is PICTURES:
            shutil.rmtree(place)
        else:
            path.unlink()


def _damaged(folders: Folders, kind: Kind, pick: random.Random) -> tuple[str, bytes, str]:
    if kind is FILM:
        data, suffix = (folders.input / kind.file).read_bytes(), pick.choice((".mp4", ".mp4", ".webm", ".gif", ".webp"))
        return *_damaged_bytes(data, pick), suffix
    if kind is ANIMATION:
        suffix = pick.choice((".gif", ".webp", ".apng"))
        return *_damaged_bytes(animation(folders.input / kind.file, suffix), pick), suffix
    if kind is PICTURES:
        suffix = pick.choice((".png", ".webp", ".gif"))
        return *_damaged_bytes(animation(folders.input / kind.file, suffix, 1), pick), suffix
    good = folders.find(kind.file)
    if pick.random() < 0.6:
        data, suffix = weights_file(bad_weights(read(good), pick))
        return "odd weights", data, suffix
    return *_damaged_bytes(good.read_bytes(), pick), pick.choice((".ckpt", ".safetensors"))


def _damaged_bytes(data: bytes, pick: random.Random) -> tuple[str, bytes]:
    fault, damage = pick.choice(sorted(BYTES.items(), key=lambda pair: pair[0]))
    return fault, damage(data, pick)


def animation(folder: Path, suffix: str, frames: int = 6) -> bytes:
    """Pictures of a folder as one file of some frames.

    Args:
        folder: of PNG files.
        suffix: ``.gif``, ``.webp``, ``.png`` or ``.apng``.
        frames: how many of them.
    """
    first, *more = [Image.open(path) for path in sorted(folder.glob("*.png"))[:frames]]
    buffer = io.BytesIO()
    kind = "PNG" if suffix == ".apng" else suffix.removeprefix(".").upper()
    first.save(buffer, kind, save_all=True, append_images=more, duration=120, loop=0)
    return buffer.getvalue()
