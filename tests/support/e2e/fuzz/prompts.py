"""Good prompts at toy size and, from a seed, the same with one odd input."""

import copy
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from comfy_host import graph
from comfy_host.client import Prompt

from support.e2e import runs
from support.e2e.fuzz.values import odd_value
from support.pack import ROOT

FRAMES = 6
NAN, INF = float("nan"), float("inf")
CONTRACT: dict[str, Any] = json.loads((ROOT / "tests" / "golden" / "nodes.json").read_text(encoding="utf-8"))
SAMPLERS = ("KSampler", "KSamplerAdvanced", "SamplerCustomAdvanced", "SamplerCustom")
SLOW = {"controlnet_stack", "latents_to_prores"}  # others hold the same nodes
# What a wire can bring to a socket: (class of fault, node, its inputs).
WIRES = {
    "IMAGE": [
        ("odd picture", "EmptyImage", {"width": 1, "height": 1, "batch_size": 1, "color": 0}),
        ("odd picture", "EmptyImage", {"width": 8, "height": 200, "batch_size": 3, "color": 255}),
    ],
    "MASK": [
        ("odd mask", "SolidMask", {"value": 1.0, "width": 1, "height": 1}),
        ("odd mask", "SolidMask", {"value": 0.0, "width": 64, "height": 3}),
    ],
    "LATENT": [("odd latent", "EmptyLatentImage", {"width": 16, "height": 128, "batch_size": 1})],
    "FLOAT": [("wired number", "PrimitiveFloat", {"value": value}) for value in (-3.0, 1e300, 7.5, NAN, INF)],
    "INT": [("wired number", "PrimitiveInt", {"value": value}) for value in (-5, 0, 2**62)],
    "STRING": [("wired text", "PrimitiveString", {"value": value}) for value in ("", "x\x00", "0: 1")],
    "AUDIO": [
        ("odd sound", "EmptyAudio", {"duration": seconds, "sample_rate": rate, "channels": 1})
        for seconds, rate in ((0.0, 44100), (0.01, 1), (3.0, 1), (0.001, 192000), (1.0, 7))
    ],
    "HOOK_KEYFRAMES": [
        ("odd keyframes", "CreateHookKeyframe", {"strength_mult": strength, "start_percent": start})
        for strength in (-20.0, 0.0, 20.0)
        for start in (0.0, 1.0)
    ],
    "CURVE": [
        ("odd curve", "CurveEditor", {"curve": {"points": points}})
        for points in ([[0.5, 1]], [[0, 1e39], [1, 0]], [[0, 0]] * 3)
    ],
    "ZOETROPE_FRAME_VALUES": [
        ("odd values", "ZoetropeFrameValuesFromList", {"values": value}) for value in (-10.0, 0.0, 1e6)
    ],
}


@dataclass(frozen=True)
class Trial:
    """One prompt to send.

    Attributes:
        fault: class of what is odd in it.
        where: node and input, or kind of file.
        template: that the prompt is made from.
        prompt: in API format.
        value: what was put there, for the report.
    """

    fault: str
    where: str
    template: str
    prompt: Prompt
    value: object = None


def quick(name: str) -> Prompt:
    """A shipped prompt that takes a second: few frames, one step, short windows, latents saved beside."""
    prompt = runs.small(name, steps=1)
    graph.set_inputs(prompt, graph.FRAMES, FRAMES)
    for node in prompt.values():
        if node["class_type"] == "ZoetropeContextWindows":
            node["inputs"].update(context_length=4, context_overlap=1)
        if node["class_type"] == "ZoetropeSampleEndless":
            node["inputs"].update(frames=2, window=2, partitions=1)
    for key, node in list(prompt.items()):
        if node["class_type"] in SAMPLERS:
            prompt[f"latent {key}"] = {
                "class_type": "SaveLatent",
                "inputs": {"samples": [key, 0], "filename_prefix": f"latents/{name}"},
            }
    return prompt


def good_prompts() -> dict[str, Prompt]:
    """Every shipped prompt that the toy models can run."""
    return {path.stem: quick(path.stem) for path in runs.PROMPTS}


def places(prompts: dict[str, Prompt]) -> list[tuple[dict[str, Any], str, str]]:
    """(input of the contract, prompt, node id) of every input of every node of ours that stands in a prompt."""
    found = []
    for name, prompt in prompts.items():
        for key, node in prompt.items():
            if name not in SLOW and node["class_type"] in CONTRACT:
                found += [(spec, name, key) for spec in CONTRACT[node["class_type"]]["inputs"]]
    return found


def odd_prompts(seed: int, count: int) -> Iterator[Trial]:
    """Prompts with one odd input each; every input of every node has its turn before any comes again.

    Those of one template follow each other, so that the server has its models loaded.
    """
    yield from sorted(islice(_odd_prompts(seed), count), key=lambda trial: trial.template)


def _odd_prompts(seed: int) -> Iterator[Trial]:
    pick, prompts = random.Random(seed), good_prompts()
    by_input: dict[tuple[str, str], list] = {}
    for spec, name, key in places(prompts):
        by_input.setdefault((prompts[name][key]["class_type"], spec["id"]), []).append((spec, name, key))
    while True:
        turn = list(by_input.items())
        pick.shuffle(turn)
        for (node, _), choices in turn:
            spec, name, key = pick.choice(choices)
            trial = _odd(spec, node, name, prompts[name], key, pick)
            if trial is not None:
                yield trial


def _odd(spec: dict[str, Any], node: str, name: str, good: Prompt, key: str, pick: random.Random) -> Trial | None:
    prompt, where = copy.deepcopy(good), f"{node}.{spec['id']}"
    wires = [wire for kind in spec["type"].split(",") for wire in WIRES.get(kind, []) if wire[1] != node]
    value = odd_value(spec, pick)
    if value is None and not wires:
        return None
    if wires and (value is None or pick.random() < 0.2):
        fault, class_type, inputs = pick.choice(wires)
        prompt["odd"] = {"class_type": class_type, "inputs": dict(inputs)}
        prompt[key]["inputs"][spec["id"]] = ["odd", 0]
        return Trial(fault, where, name, prompt, inputs)
    fault, odd = value or ("", None)
    prompt[key]["inputs"][spec["id"]] = odd
    return Trial(fault, where, name, prompt, odd)
