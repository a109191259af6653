"""Clips of the demo's world, sampled with its narrow networks in the process: 1/25 of the cost of the widened ones.

Shapes: F = frames, S = 16, the side of a latent.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import comfy.controlnet
from demo_world import narrow, text
from demo_world.layout import CONTROL
from demo_world.look import draw_sample, prompts_of
from demo_world.models import LORAS, MOTION, WEIGHTS
from demo_world.widen import narrow_positions, with_positions

from support.run_nodes import run_node
from support.toy_models.files import animate, put
from zoetrope.host.call.strength import strength_of
from zoetrope.host.loading import model_files
from zoetrope.host.lora.motion_lora import load_motion_lora
from zoetrope.host.motion.load import load_motion_model
from zoetrope.nodes.control import ApplyControlNetPerFrame

CFG, STEPS = 7.5, 12  # of the template and of the demo


def below(weights, prefix):
    return {key.removeprefix(prefix): weight for key, weight in weights.items() if key.startswith(prefix)}


@dataclass(frozen=True)
class DemoWorld:
    """The narrow networks, written into a folder where they are files.

    Attributes:
        folder: for the files.
    """

    folder: Path

    @cached_property
    def weights(self):
        return narrow.load_narrow(WEIGHTS)

    @cached_property
    def texts(self):
        return text.encodings(self.folder / "texts.safetensors")

    @cached_property
    def still(self):
        """MODEL without motion."""
        return narrow.narrow_model(self.weights)

    @cached_property
    def motion(self):
        file = with_positions(below(self.weights, MOTION), narrow_positions())
        return load_motion_model(put(model_files.MOTION_MODELS, self.folder / "world_motion.safetensors", file))

    def lora(self, move, strength=1.0):
        file = below(self.weights, LORAS[move])
        put(model_files.MOTION_LORAS, self.folder / f"world_{move}.safetensors", file)
        return load_motion_lora(f"world_{move}.safetensors", strength_of(strength, "strength"))

    def moving(self, *loras):
        """MODEL with motion."""
        return animate(self.still, self.motion, loras=loras)

    def clip(self, model, caption, seed, frames=16):
        """Latents (F, 4, S, S) of a prompt."""
        return draw_sample(model, prompts_of(self.texts, caption), frames, seed, CFG, STEPS)

    def led_clip(self, model, caption, seed, outlines):
        """Latents (F, 4, S, S) of a prompt, led by outlines (F, 3, 8S, 8S) through Apply ControlNet Per Frame."""
        network = narrow.control_network(narrow.image_network())
        network.load_state_dict(below(self.weights, CONTROL))
        prompts, _ = run_node(
            ApplyControlNetPerFrame,
            **dict(zip(("positive", "negative"), prompts_of(self.texts, caption), strict=True)),
            control_net=comfy.controlnet.ControlNet(network.eval().requires_grad_(False), load_device=narrow.CPU),
            image=outlines.permute(0, 2, 3, 1),
            strength=1.0,
            schedule="0: 1",
            start_percent=0.0,
            end_percent=1.0,
        )
        return draw_sample(model, prompts, len(outlines), seed, CFG, STEPS)
