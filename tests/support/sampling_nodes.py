"""Running the nodes that sample and write a video by themselves, with toy models and a real VAE and encoder.

Shapes: F = frames of a window, C = latent channels, h, w = latent size.
"""

import comfy.sd
import torch
from comfy.patcher_extension import WrappersMP
from comfy_api.latest import InputImpl, Types
from torch.utils._python_dispatch import TorchDispatchMode

from support.clips import chart
from support.run_nodes import run_node
from support.toy_models import unet as toy
from zoetrope.host.sampling.sampler_inputs import SamplerInputs
from zoetrope.nodes.sample_video import SampleEndless, SampleVideo

SIZE = 64  # pixels of a side: latents of 8x8
FILE = {"format": "h264-mp4", "filename_prefix": "zoetrope/animation"}


def toy_vae(network):
    generator = torch.Generator().manual_seed(0)
    weights = {key: torch.randn(w.shape, generator=generator) * 0.05 for key, w in network.state_dict().items()}
    return comfy.sd.VAE(sd=weights)


def prompts(frames=1):
    return toy.conditioning(frames=frames), toy.conditioning(seed=6)


def inputs_for(model, conditioning, cfg):
    """What a node that samples got: a MODEL, its (positive, negative) and CFG."""
    positive, negative = conditioning
    return SamplerInputs(model=model, positive=positive, negative=negative, cfg=cfg)


def clip(frames, size=SIZE):
    """A VIDEO in memory."""
    images = torch.from_numpy(chart(frames, size, size)).float() / 255
    return InputImpl.VideoFromComponents(Types.VideoComponents(images=images, frame_rate=12))


def endless(model, vae, **inputs):
    positive, negative = prompts()
    defaults = {
        "seed": 5,
        "frames": 6,
        "width": SIZE,
        "height": SIZE,
        "window": 4,
        "partitions": 2,
        "lookahead": True,
        "cfg": 2.0,
        "sampler_name": "euler",
        "scheduler": "normal",
        "frame_rate": 8.0,
    }
    given = {"model": model, "positive": positive, "negative": negative, "vae": vae, **defaults, **FILE, **inputs}
    return run_node(SampleEndless, **given)


def video_to_video(model, vae, video, **inputs):
    positive, negative = prompts()
    defaults = {
        "seed": 3,
        "steps": 2,
        "cfg": 2.0,
        "sampler_name": "euler",
        "scheduler": "normal",
        "denoise": 0.7,
        "window": 4,
        "overlap": 2,
        "width": 0,
        "height": 0,
        "fit": "crop",
        "max_frames": 0,
        "frame_rate": 0.0,
    }
    given = {"model": model, "positive": positive, "negative": negative, "vae": vae, "video": video}
    return run_node(SampleVideo, **{**given, **defaults, **FILE, **inputs})


def answering(model, function):
    """A clone whose UNet is ``function(x, prompts, options) -> expected clean latents``."""

    def wrapper(executor, x, t, c_concat, c_crossattn, control, transformer_options, **kwargs):
        return function(x, c_crossattn, transformer_options)

    model = model.clone()
    model.add_wrapper_with_key(WrappersMP.APPLY_MODEL, "toy_answer", wrapper)
    return model


def mixing(x, prompts, options):
    """Frames depend on the others of the window, on their noise level and on their number."""
    frames, sigmas = options["context_window"].index_list, options["sigmas"].view(-1, 1, 1, 1)
    numbers = torch.tensor(frames, dtype=x.dtype).view(-1, 1, 1, 1)
    chunks = [
        part / (1 + sigmas) * 0.6 + part.roll(1, 0) / (2 + sigmas) * 0.2 + torch.sin(numbers)
        for part in x.split(len(frames))
    ]
    return torch.cat(chunks)


class LargestBatch(TorchDispatchMode):
    """Notes the most frames that any tensor with the axes of latents or pictures holds."""

    frames = 0
    sizes = frozenset({(8, 8), (SIZE, SIZE)})

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and out.ndim == 4 and self.sizes & {out.shape[-2:], out.shape[1:3]}:
            self.frames = max(self.frames, out.shape[0])
        return out
