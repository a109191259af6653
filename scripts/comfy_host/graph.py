"""Changing a prompt by what its nodes are, not by their numbers, so that any workflow can be driven."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .client import Prompt
from .errors import SetupError


@dataclass(frozen=True)
class Loader:
    """A node input that names a model file.

    Attributes:
        class_type: the loader node.
        name: its input.
        folder: folder below ``models``.
        demo: file name of our demo model of this kind.
    """

    class_type: str
    name: str
    folder: str
    demo: str


LOADERS = {
    "checkpoint": Loader("CheckpointLoaderSimple", "ckpt_name", "checkpoints", "zoetrope_demo_sd15.safetensors"),
    "motion": Loader(
        "ZoetropeLoadMotionModel", "motion_model", "animatediff_models", "zoetrope_demo_motion.safetensors"
    ),
    "motion_lora": Loader(
        "ZoetropeMotionLora", "motion_lora", "animatediff_motion_lora", "zoetrope_demo_right.safetensors"
    ),
    "controlnet": Loader("ControlNetLoader", "control_net_name", "controlnet", "zoetrope_demo_outline.safetensors"),
}
STEPS = {
    "KSampler": "steps",
    "KSamplerAdvanced": "steps",
    "BasicScheduler": "steps",
    "ZoetropeSampleVideo": "steps",
    "ZoetropePreviewSchedule": "steps",
    "ZoetropeTrainMotionLora": "steps",
    "ZoetropeTrainMotionModel": "steps",
    "ZoetropeTrainDomainAdapter": "steps",
}
SEED = {
    "KSampler": "seed",
    "KSamplerAdvanced": "noise_seed",
    "RandomNoise": "noise_seed",
    "ZoetropeSampleEndless": "seed",
    "ZoetropeSampleVideo": "seed",
}
FRAMES = {
    "EmptyLatentImage": "batch_size",
    "RepeatLatentBatch": "amount",
    "ImageFromBatch": "length",
    "ZoetropeSampleEndless": "frames",
    "ZoetropeSampleVideo": "max_frames",
    "ZoetropePromptSchedule": "frames",
    "ZoetropePreviewSchedule": "frames",
    "ZoetropeLoadVideo": "max_frames",
    "ZoetropeLoadFrames": "max_frames",
}
SIZED = ("EmptyLatentImage", "ImageScale", "ZoetropeLoadVideo", "ZoetropeSampleEndless", "ZoetropeSampleVideo")
WIDTH: dict[str, str] = dict.fromkeys(SIZED, "width")
HEIGHT: dict[str, str] = dict.fromkeys(SIZED, "height")


def load_prompt(path: Path) -> Prompt:
    """Read a graph in API format.

    Raises:
        SetupError: no such file, not JSON, or a workflow in UI format.
    """
    try:
        prompt = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SetupError(f"The workflow {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise SetupError(f"The workflow {path} is not JSON: {error}.") from error
    if not isinstance(prompt, dict) or not all(isinstance(n, dict) and "class_type" in n for n in prompt.values()):
        raise SetupError(f"The workflow {path} is not in API format: in ComfyUI use Workflow > Export (API).")
    return prompt


def set_inputs(prompt: Prompt, rules: dict[str, str], value: Any) -> int:
    """Set one input on every node that ``rules`` (class type -> input name) names, in place.

    Inputs fed by a wire are left alone.

    Returns:
        How many nodes were changed.
    """
    changed = 0
    for node in prompt.values():
        name = rules.get(node["class_type"])
        if name in node["inputs"] and not isinstance(node["inputs"][name], list):
            node["inputs"][name] = value
            changed += 1
    return changed


def require(prompt: Prompt, flag: str, rules: dict[str, str], value: Any) -> None:
    """As ``set_inputs``, for a flag that the user gave.

    Raises:
        SetupError: no node of the workflow takes it.
    """
    if not set_inputs(prompt, rules, value):
        raise SetupError(f"{flag} has no effect here: the workflow has no free input on any of {', '.join(rules)}.")


def _text_nodes(prompt: Prompt, node_id: str, seen: set[str]) -> Iterable[str]:
    """Nodes with a text widget that a conditioning comes from, through any number of nodes in between."""
    if node_id in seen or node_id not in prompt:
        return
    seen.add(node_id)
    inputs = prompt[node_id]["inputs"]
    if isinstance(inputs.get("text"), str) or prompt[node_id]["class_type"] == "ZoetropePromptSchedule":
        yield node_id
        return
    for name in ("positive", "conditioning", "conditioning_1", "conditioning_to", "cond1"):
        if isinstance(inputs.get(name), list):
            yield from _text_nodes(prompt, str(inputs[name][0]), seen)


def set_positive_text(prompt: Prompt, text: str) -> int:
    """Replace the text behind every ``positive`` input (or a guider's ``conditioning``), in place.

    Returns:
        How many text nodes were changed.
    """
    found: set[str] = set()
    for node_id, node in prompt.items():
        wired = isinstance(node["inputs"].get("positive"), list)
        guided = "Guider" in node["class_type"] and isinstance(node["inputs"].get("conditioning"), list)
        if wired or guided:
            found.update(_text_nodes(prompt, node_id, set()))
    for node_id in found:
        inputs = prompt[node_id]["inputs"]
        if "text" in inputs:
            inputs["text"] = text
        else:
            inputs["schedule"] = json.dumps({"0": text})
    return len(found)


def model_inputs(prompt: Prompt) -> list[tuple[str, str]]:
    """(kind, file name) of every model that the prompt loads through a node in ``LOADERS``."""
    kinds = {loader.class_type: kind for kind, loader in LOADERS.items()}
    nodes = [(kinds[node["class_type"]], node["inputs"]) for node in prompt.values() if node["class_type"] in kinds]
    return [
        (kind, inputs[LOADERS[kind].name]) for kind, inputs in nodes if isinstance(inputs.get(LOADERS[kind].name), str)
    ]
