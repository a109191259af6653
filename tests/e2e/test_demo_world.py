"""The trained demo models through the server and its queue: things move, as the prompt and the hints say.

Limits are those of tests/host/scripts/test_demo_motion.py, which looks at more clips, in the process.
"""

import numpy as np
import safetensors.torch
from comfy_host import graph
from demo import DEMO_SIZE
from demo_world import sprites
from demo_world.measure import centres_of, linear_colours, numbers_of, weights_of_thing
from PIL import Image
from toy_models.vae import SCALE

from support.e2e import runs

SEED, FRAMES, STEPS = 0, 8, 6
HINTS = "zoetrope_demo_outlines"


def demo_prompt(name, caption):
    """A shipped prompt with the demo's models, as scripts/demo.py runs it, that also gives its latents."""
    prompt = graph.load_prompt(runs.API / f"{name}.json")
    graph.set_positive_text(prompt, caption)
    for loader in graph.LOADERS.values():
        graph.set_inputs(prompt, {loader.class_type: loader.name}, loader.demo)
    for rules, value in (
        (graph.WIDTH, DEMO_SIZE[0]),
        (graph.HEIGHT, DEMO_SIZE[1]),
        (graph.STEPS, STEPS),
        (graph.SEED, SEED),
        (graph.FRAMES, FRAMES),
    ):
        graph.set_inputs(prompt, rules, value)
    samples = [runs.of_type(prompt, "KSampler"), 0]
    prompt["latents"] = {"class_type": "SaveLatent", "inputs": {"samples": samples, "filename_prefix": "latents/clip"}}
    return prompt


def latents_of(client, prompt):
    """(F, 4, 16, 16), in the scale that a UNet works in."""
    (file,) = runs.run(client, prompt)["latents"]["latents"]
    return safetensors.torch.load(client.view(file))["latent_tensor"] * SCALE


def test_what_the_prompt_names_moves(client):
    prompt = demo_prompt("text_to_video", "a red ball")
    found = numbers_of(latents_of(client, prompt))
    assert (found.colour, found.shape) == ("red", "ball")
    assert found.smooth > 0.80  # without motion below 0.3
    assert found.straightness > 0.8
    assert found.colour_spread < 0.1
    assert 0.3 < found.path < 1.3


def test_outlines_lead_it(client, base):
    moves = sprites.Moves(slowest=0.5, fastest=0.7)
    _, sprite, centres = sprites.clip(77, 2, FRAMES, moves)
    outlines = (sprites.outline(sprite, centres) * 255).permute(0, 2, 3, 1).numpy().astype(np.uint8)
    folder = base / "input" / HINTS
    folder.mkdir(exist_ok=True)
    for number, outline in enumerate(outlines):
        Image.fromarray(outline).save(folder / f"{number:03}.png")
    prompt = demo_prompt("text_to_video", sprite.caption)
    prompt["hints"] = {
        "class_type": "ZoetropeLoadFrames",
        "inputs": {"folder": HINTS, "start": 0, "every_nth": 1, "max_frames": 0, "size_mismatch": "crop"},
    }
    sampler = prompt[runs.of_type(prompt, "KSampler")]["inputs"]
    prompt["net"] = {
        "class_type": "ControlNetLoader",
        "inputs": {"control_net_name": graph.LOADERS["controlnet"].demo},
    }
    prompt["led"] = {
        "class_type": "ZoetropeApplyControlNetPerFrame",
        "inputs": {
            "positive": sampler["positive"],
            "negative": sampler["negative"],
            "control_net": ["net", 0],
            "image": ["hints", 0],
            "strength": 1.0,
            "schedule": "0: 1",
            "start_percent": 0.0,
            "end_percent": 1.0,
        },
    }
    sampler["positive"], sampler["negative"] = ["led", 0], ["led", 1]
    found = centres_of(weights_of_thing(linear_colours(latents_of(client, prompt))))
    assert (found - centres).norm(dim=1).mean() < 1.0
