"""An SD1.5 ControlNet for the toy UNet: edges of the hint picture show as light lines."""

from __future__ import annotations

import torch

from .unet import C, encoder
from .weights import BOX, LATENTS, POINT, SIGNAL, Weights, mirror

PREFIX = "control_model."
# (layer, channels in, channels out, stride) of the hint block
HINT = (
    (0, 3, 16, 1),
    (2, 16, 16, 1),
    (4, 16, 32, 2),
    (6, 32, 32, 1),
    (8, 32, 96, 2),
    (10, 96, 96, 1),
    (12, 96, 256, 2),
)
# Direction of white in latent space: the preview matrix' rows summed over the colours.
WHITE = torch.tensor([0.9, 1.06, 0.17, -1.19])
STRENGTH = 0.25


def controlnet() -> Weights:
    """State dict below ``control_model.``."""
    w = Weights(seed=11)
    encoder(w, PREFIX)
    for layer, inp, out, stride in HINT:
        weight = w.conv(f"{PREFIX}input_hint_block.{layer}", out, inp, 3)
        weight[0] = 0
        weight[0, 0] = POINT if stride == 1 else BOX.roll((1, 1), (0, 1)) * 1.5
    weight = w.conv(f"{PREFIX}input_hint_block.14", C, 256, 3, gain=0.05)
    weight[:SIGNAL] = 0
    weight[SIGNAL, 0] = POINT * 6.0
    for index in range(12):
        zero = w.conv(f"{PREFIX}zero_convs.{index}.0", C, C, 1, gain=0.01)
        mirror(zero)
        if index == 0:
            # The UNet takes this skip connection for noise and removes it: a negative sign adds light.
            zero[:SIGNAL] = 0
            for latent in range(LATENTS):
                zero[latent, SIGNAL] = -STRENGTH * WHITE[latent]
                zero[latent + LATENTS, SIGNAL] = STRENGTH * WHITE[latent]
    mirror(w.conv(f"{PREFIX}middle_block_out.0", C, C, 1, gain=0.01))
    return w
