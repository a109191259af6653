"""Toy model files in ComfyUI's model folders, and loaders that go the whole way through them."""

from pathlib import Path

import folder_paths
import safetensors.torch

from support.toy_models.motion import lora_state_dict, motion_state_dict
from zoetrope.host.call.strength import strength_of
from zoetrope.host.loading import model_files as files
from zoetrope.host.lora.motion_lora import load_motion_lora
from zoetrope.host.motion.apply import apply_motion_model
from zoetrope.host.motion.load import load_motion_model
from zoetrope.nodes.motion import MotionInputs


def put(folder: str, path: Path, state_dict: dict) -> str:
    """Write a file and make its directory one of ComfyUI's for ``folder``; returns the file's name."""
    files.register_model_folders()
    folder_paths.add_model_folder_path(folder, str(path.parent), is_default=True)
    folder_paths.filename_list_cache.pop(folder, None)
    safetensors.torch.save_file(state_dict, path)
    return path.name


def motion_model(directory: Path, version: str = "v2", name: str | None = None, **options):
    """A MOTION_MODEL loaded from a toy file."""
    path = directory / (name or f"{version}.safetensors")
    return load_motion_model(put(files.MOTION_MODELS, path, motion_state_dict(version, **options)))


def motion_lora(directory: Path, strength=1.0, name: str = "lora.safetensors", when=None, **options):
    """A MotionLoRA loaded from a toy file; ``strength`` is what its socket takes, ``when`` a `SamplingRange`."""
    put(files.MOTION_LORAS, directory / name, lora_state_dict(**options))
    return load_motion_lora(name, strength_of(strength, "strength"), when)


def animate(model, motion, schedule: str = "auto", loras: tuple = (), conditioners: tuple = (), **inputs):
    """Apply Motion Model without the schema around it; ``inputs`` are the node's optional ones."""
    given = MotionInputs(beta_schedule=schedule, motion_lora=loras, **inputs)
    return apply_motion_model(model, motion, given.settings(motion, *conditioners), schedule, loras)


def relative_error(ours, reference) -> float:
    """|ours - reference| / |reference|. Toy latents are large and chaotic: 1e-6 on the noise moves them by 7e-6."""
    return ((ours - reference).norm() / reference.norm()).item()
