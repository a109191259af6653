"""Combine Video run as ComfyUI's executor runs it, with real VAEs at small size.

Shapes: F = frames, C = channels, H = height, W = width.
"""

import asyncio

import comfy.sd
import execution
import torch
from comfy.taesd.taehv import TAEHV
from comfy.taesd.taesd import TAESD
from comfy_api.latest import io

from clips import chart
from zoetrope.nodes.combine_video import CombineVideo

PROMPT = {"7": {"class_type": "ZoetropeCombineVideo", "inputs": {"text": "=;#\\\n\u65e5"}}}
WORKFLOW = {"nodes": [{"id": 7, "type": "ZoetropeCombineVideo"}], "version": 0.4}
REQUIRED = {"frame_rate": 8.0, "format": "h264-mp4", "filename_prefix": "zoetrope/animation"}


class RecordingVAE(comfy.sd.VAE):
    """A real VAE that notes how many frames each call decodes."""

    def __init__(self, network, seed=0):
        generator = torch.Generator().manual_seed(seed)
        weights = {key: torch.randn(w.shape, generator=generator) * 0.05 for key, w in network.state_dict().items()}
        super().__init__(sd=weights)
        self.calls = []

    def decode(self, samples_in, *more, **options):
        self.calls.append(len(samples_in))
        return super().decode(samples_in, *more, **options)


def image_vae():
    return RecordingVAE(TAESD(latent_channels=4))


def video_vae():
    return RecordingVAE(TAEHV(latent_channels=16))


def latents(frames, channels=4, size=4):
    return {"samples": torch.randn(frames, channels, size, size, generator=torch.Generator().manual_seed(frames))}


def images(frames, height=48, width=64):
    return torch.from_numpy(chart(frames, height, width)).float() / 255


def combine(**inputs):
    """Run the node as ComfyUI's executor does; optional inputs that are left out stay left out."""
    given = {**REQUIRED, **inputs}
    hidden = {io.Hidden.prompt: PROMPT, io.Hidden.extra_pnginfo: {"workflow": WORKFLOW}}
    v3_data = {
        "hidden_inputs": hidden,
        "dynamic_paths": {},
        "dynamic_paths_default_value": {},
        "create_dynamic_tuple": False,
    }
    boxed = {key: [value] for key, value in given.items()}
    with torch.inference_mode():
        call = execution.get_output_data("prompt id", "7", CombineVideo, boxed, v3_data=v3_data)
        outputs, ui, *_ = asyncio.run(call)
    return outputs[0][0], ui


def saved_file(folders, ui):
    entry = ui["video"][0]
    return folders / entry["type"] / entry["subfolder"] / entry["filename"]
