"""A control that echoes the numbers of its hints, and a stand-in for the UNet that reads them.

Latent frame f has the mean value f + 1 (times a known noise level), hint i has the mean value (i + 1) / 100.
"""

import math

import comfy.controlnet
import torch

from support.toy_models import unet as toy

FRAMES = 11
HALVINGS = [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3  # of the picture in the toy UNet's input blocks


class Echo(torch.nn.Module):
    """Answers with the mean of every channel of every hint, for the middle and all input blocks of the toy UNet."""

    dtype = torch.float32

    def __init__(self):
        super().__init__()
        self.batches = []

    def forward(self, x, hint, timesteps, context, **kwargs):
        self.batches.append(len(hint))
        residuals = [means(hint, math.ceil(x.shape[-1] / 2**n)) for n in HALVINGS]
        return {"middle": [residuals[-1].clone()], "output": residuals}


def means(hint, size):
    """Residual whose first channels are the means of the hint's channels, as large as the UNet wants it."""
    values = torch.nn.functional.pad(hint.mean((2, 3)), (0, toy.WIDTH - hint.shape[1]))
    return values[:, :, None, None].repeat(1, 1, size, size)


class EchoAdapter(torch.nn.Module):
    unshuffle_amount = 8

    def forward(self, hint):
        return {"input": [None, means(hint, toy.SIZE)]}


def echo(**options):
    return comfy.controlnet.ControlNet(Echo(), load_device=toy.CPU, **options)


def echo_adapter():
    return comfy.controlnet.T2IAdapter(EchoAdapter(), 3, 8, "nearest-exact", device=toy.CPU)


def numbered(count, unit=0.01, size=8 * toy.SIZE):
    """IMAGE batch whose image i is (i + 1) * unit everywhere."""
    values = (torch.arange(count) + 1.0) * unit
    return values.view(-1, 1, 1, 1).expand(count, size, size, 3).contiguous()


def numbered_noise(count):
    return (torch.arange(count) + 1.0).view(-1, 1, 1, 1).expand(count, 4, toy.SIZE, toy.SIZE).contiguous()


def frames_in(x, options):
    first, now = options["sample_sigmas"][0], options["sigmas"][0]
    return (x.mean((1, 2, 3)) * first / (now * (1 + first**2).sqrt())).round().int().sub(1).tolist()


def hints_in(control, images, key="middle", channel=0, unit=0.01):
    """Hint number of each image; the residual of a single hint is for all images."""
    residual = next(item for item in control[key] if item is not None)
    return (residual[:, channel, 0, 0].expand(images) / unit).round().int().sub(1).tolist()


def record(model, conds, frames=FRAMES, steps=3, **options):
    """Sample and return (frames of the call, control of the call) for every UNet call."""
    calls = []

    def answer(x, control, to):
        calls.append((frames_in(x, to), control))
        return torch.zeros_like(x)

    toy.sample(toy.answer_with(model, answer), *conds, noise=numbered_noise(frames), steps=steps, **options)
    assert set().union(*(call[0] for call in calls)) == set(range(frames))
    return calls
