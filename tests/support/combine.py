"""Combine Video with real VAEs at small size.

Shapes: F = frames, C = channels, H = height, W = width.
"""

import comfy.sd
import torch
from comfy.taesd.taehv import TAEHV
from comfy.taesd.taesd import TAESD

from support.clips import chart
from support.run_nodes import run_node
from zoetrope.host.video.save_settings import VideoSettings
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
    """Run the node; returns its VIDEO and what the frontend gets."""
    outputs, ui = run_node(CombineVideo, PROMPT, WORKFLOW, **{**REQUIRED, **inputs})
    return outputs[0], ui


def plan_for(prefix, **widgets):
    """Widgets that were checked."""
    return VideoSettings(**{"frame_rate": 8.0, "format": "h264-mp4", **widgets}, filename_prefix=prefix).resolved()


def saved_file(folders, ui):
    entry = ui["video"][0]
    return folders / entry["type"] / entry["subfolder"] / entry["filename"]
