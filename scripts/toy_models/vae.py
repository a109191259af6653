"""A KL autoencoder in SD1.5's key layout: full width encoder, half width decoder, latents <-> RGB by a linear map.

The map is ComfyUI's own latent preview matrix, so that previews and decoded frames agree. The decoder's last
GroupNorm holds (v, -v) pairs, which makes it an automatic exposure for each of red, green and blue.
"""

from __future__ import annotations

import torch

from .weights import BLUR, BOX, LATENTS, POINT, Weights

WIDTHS = (1, 2, 4, 4)
ENCODER = 128
DECODER = 64
PREFIX = "first_stage_model."
SCALE = 0.18215
# Source: comfy/latent_formats.py, SD15.latent_rgb_factors (rows: latent channels, columns: red, green, blue).
RGB = torch.tensor(
    [[0.3512, 0.2297, 0.3227], [0.3250, 0.4974, 0.2350], [-0.2829, 0.1762, 0.2721], [-0.2120, -0.2616, -0.7177]]
)
TEXTURE = 0.05
EXPOSURE = 0.42
STEADY = 16.0


def _identity(weight: torch.Tensor, kernel: torch.Tensor, channels: int) -> None:
    weight[:channels] = 0
    for i in range(channels):
        weight[i, i] = kernel


def _resnet(w: Weights, key: str, inp: int, out: int, signal: int) -> None:
    w.norm(f"{key}.norm1", inp)
    w.conv(f"{key}.conv1", out, inp, 3)
    w.norm(f"{key}.norm2", out)
    w.conv(f"{key}.conv2", out, out, 3, gain=TEXTURE)[:signal] *= 0
    if inp != out:
        _identity(w.conv(f"{key}.nin_shortcut", out, inp, 1), torch.ones(1, 1), signal)


def _middle(w: Weights, key: str, channels: int, signal: int) -> None:
    _resnet(w, f"{key}.block_1", channels, channels, signal)
    w.norm(f"{key}.attn_1.norm", channels)
    for name in ("q", "k", "v"):
        w.conv(f"{key}.attn_1.{name}", channels, channels, 1)
    w.conv(f"{key}.attn_1.proj_out", channels, channels, 1, gain=TEXTURE)[:signal] *= 0
    _resnet(w, f"{key}.block_2", channels, channels, signal)


def _encoder(w: Weights) -> None:
    key, signal = f"{PREFIX}encoder", 16
    first = w.conv(f"{key}.conv_in", ENCODER, 3, 3)
    first[:signal] = 0
    inverse = torch.linalg.pinv(RGB).T * 2  # (latent, rgb); pixels are -1 to 1, preview colours span half of that
    for latent in range(LATENTS):
        first[latent] = inverse[latent][:, None, None] * POINT
        first[latent + LATENTS] = -first[latent]
    # A constant pair holds the spread of the last norm's group nearly still: brightness is kept.
    w[f"{key}.conv_in.bias"][8], w[f"{key}.conv_in.bias"][9] = STEADY, -STEADY
    width = ENCODER
    for level, factor in enumerate(WIDTHS):
        for block in range(2):
            _resnet(w, f"{key}.down.{level}.block.{block}", width, ENCODER * factor, signal)
            width = ENCODER * factor
        if level < 3:
            _identity(w.conv(f"{key}.down.{level}.downsample.conv", width, width, 3), BOX, signal)
    _middle(w, f"{key}.mid", width, signal)
    w.norm(f"{key}.norm_out", width)
    last = w.conv(f"{key}.conv_out", 2 * LATENTS, width, 3, gain=0.0)
    unscaled = STEADY * (2 / 16) ** 0.5 / SCALE
    for latent in range(LATENTS):
        last[latent, latent], last[latent, latent + LATENTS] = POINT * unscaled, -POINT * unscaled
    w[f"{key}.conv_out.bias"][LATENTS:] = -20.0  # log variance: the sample is the mean


def _decoder(w: Weights) -> None:
    key, signal = f"{PREFIX}decoder", 6
    width = DECODER * WIDTHS[-1]
    first = w.conv(f"{key}.conv_in", width, LATENTS, 3)
    first[:signal] = 0
    for colour in range(3):
        # The pair of one colour shares a norm group of the last layer: channels 2c and 2c + 1.
        first[2 * colour] = RGB[:, colour][:, None, None] * POINT * SCALE
        first[2 * colour + 1] = -first[2 * colour]
    _middle(w, f"{key}.mid", width, signal)
    for level in (3, 2, 1, 0):
        out = DECODER * WIDTHS[level]
        for block in range(3):
            _resnet(w, f"{key}.up.{level}.block.{block}", width, out, signal)
            width = out
        if level > 0:
            _identity(w.conv(f"{key}.up.{level}.upsample.conv", out, out, 3), BLUR, signal)
    w.norm(f"{key}.norm_out", DECODER)
    last = w.conv(f"{key}.conv_out", 3, DECODER, 3, gain=0.0)
    for colour in range(3):
        last[colour, 2 * colour], last[colour, 2 * colour + 1] = POINT * EXPOSURE, -POINT * EXPOSURE


def vae() -> Weights:
    """State dict of the autoencoder below ``first_stage_model.``."""
    w = Weights(seed=8)
    _encoder(w)
    _decoder(w)
    for name, channels in (("quant_conv", 2 * LATENTS), ("post_quant_conv", LATENTS)):
        _identity(w.conv(f"{PREFIX}{name}", channels, channels, 1), torch.ones(1, 1), channels)
    return w
