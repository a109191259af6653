"""A small SD1.5 UNet: 320 channels on all four levels, the published key layout, a denoiser by construction.

The wiring makes it predict eps = (x - blur(x)) / sigma, a true denoiser for smooth images: the blur is the way down to
the small feature maps and up again, the subtraction happens in the last skip connection, and the last GroupNorm divides
by a level that the time embedding writes into two channels of its group.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .weights import BLUR, GROUP, LATENTS, POINT, SIGNAL, Weights, carry, mirror

C = 320
EMB = 4 * C
TEXT = 768
PREFIX = "model.diffusion_model."
WITH_ATTENTION = (1, 2, 4, 5, 7, 8)
# Share of the skip connection in the signal, per output block; the rest comes from below.
SKIP_SHARE = (0.0, 0.0, 0.0, 0.9, 0.0, 0.0, 0.4, 0.0, 0.0, 0.0, 0.0)
TEXTURE = 0.002
PROMPT = 0.0006
LIFT = 1.3  # the blur damps also what should stay: amplify on the way up
# The level channels hold this many times the noise level, so that it outweighs what the signal measures.
LEVEL = 10.0
LEVEL_ROW = 20
CALM = 50.0


def _one(kernel_value: float = 1.0) -> torch.Tensor:
    return torch.full((1, 1), kernel_value)


def res_block(w: Weights, key: str, inp: int) -> None:
    """ResBlock of 320 output channels with a faint residual branch."""
    w.norm(f"{key}.in_layers.0", inp)
    w.conv(f"{key}.in_layers.2", C, inp, 3)
    w.linear(f"{key}.emb_layers.1", C, EMB)
    w.norm(f"{key}.out_layers.0", C)
    mirror(w.conv(f"{key}.out_layers.3", C, C, 3, gain=TEXTURE))


def transformer(w: Weights, key: str) -> None:
    """SpatialTransformer of depth 1; the text reaches the signal channels through its last projection."""
    w.norm(f"{key}.norm", C)
    w.conv(f"{key}.proj_in", C, C, 1)
    block = f"{key}.transformer_blocks.0"
    for name, width in (("attn1", C), ("attn2", TEXT)):
        w.linear(f"{block}.{name}.to_q", C, C, bias=False)
        w.linear(f"{block}.{name}.to_k", C, width, bias=False)
        w.linear(f"{block}.{name}.to_v", C, width, bias=False)
        w.linear(f"{block}.{name}.to_out.0", C, C)
    w.linear(f"{block}.ff.net.0.proj", 8 * C, C)
    w.linear(f"{block}.ff.net.2", C, 4 * C, gain=0.5)
    for name in ("norm1", "norm2", "norm3"):
        w.norm(f"{block}.{name}", C)
    mirror(w.conv(f"{key}.proj_out", C, C, 1, gain=PROMPT))


def encoder(w: Weights, prefix: str, inp: int = LATENTS) -> None:
    """Everything up to and with the middle block: a ControlNet has the same part."""
    w.linear(f"{prefix}time_embed.0", EMB, C)
    w.linear(f"{prefix}time_embed.2", EMB, EMB)
    first = w.conv(f"{prefix}input_blocks.0.0", C, inp, 3, gain=0.3)
    first[: SIGNAL + 2] = 0
    for i in range(LATENTS):
        first[i, i], first[i + LATENTS, i] = POINT, -POINT
    for block in range(1, 12):
        key = f"{prefix}input_blocks.{block}"
        if block % 3 == 0:
            carry(w.conv(f"{key}.0.op", C, C, 3), BLUR)
            continue
        res_block(w, f"{key}.0", C)
        if block in WITH_ATTENTION:
            transformer(w, f"{key}.1")
    res_block(w, f"{prefix}middle_block.0", C)
    transformer(w, f"{prefix}middle_block.1")
    res_block(w, f"{prefix}middle_block.2", C)


def _decoder(w: Weights, prefix: str) -> None:
    for block in range(12):
        key = f"{prefix}output_blocks.{block}"
        res_block(w, f"{key}.0", 2 * C)
        skip = w.conv(f"{key}.0.skip_connection", C, 2 * C, 1, gain=0.7)
        share = SKIP_SHARE[block] if block < 11 else 1.0
        carry(skip, _one(), amount=1.0 - share if block < 11 else -1.0)
        carry(skip, _one(), source=C, amount=share, clear=False)
        if block >= 3:
            transformer(w, f"{key}.1")
        if block in (2, 5, 8):
            carry(w.conv(f"{key}.{1 if block == 2 else 2}.conv", C, C, 3), BLUR * LIFT)


def _noise_level() -> Tensor:
    """Return sigma / sqrt(sigma^2 + 1) of the 1000 training steps: the spread of the noise in the network's input.

    Source: AnimateDiff's noise schedule, betas linear from 0.00085 to 0.012.
    """
    kept = torch.cumprod(1.0 - torch.linspace(0.00085, 0.012, 1000, dtype=torch.float64), 0)
    return (1.0 - kept).sqrt()


def _time_features(w: Weights, prefix: str) -> Tensor:
    """What a ResBlock's time projection sees at each of the 1000 steps, (1000, 1280)."""
    angle = torch.arange(1000)[:, None] * torch.exp(torch.arange(C // 2) * (-math.log(10000.0) / (C // 2)))
    x = torch.cat((angle.cos(), angle.sin()), dim=1)
    for layer in (0, 2):
        x = torch.nn.functional.silu(
            x @ w[f"{prefix}time_embed.{layer}.weight"].T + w[f"{prefix}time_embed.{layer}.bias"]
        )
    return x.double()


def _write_noise_level(w: Weights, prefix: str) -> None:
    """Make the last ResBlock put +level and -level into channels 8 and 9, by least squares on the time embedding."""
    key = f"{prefix}output_blocks.11.0"
    x = _time_features(w, prefix)
    ridge = torch.eye(x.shape[1], dtype=torch.float64) * 1e-3
    row = torch.linalg.solve(x.T @ x + ridge, x.T @ (_noise_level() * LEVEL)).float()
    group = slice(LEVEL_ROW, LEVEL_ROW + GROUP)
    for name in ("in_layers.2.weight", "emb_layers.1.weight"):
        w[f"{key}.{name}"][group] = 0
    w[f"{key}.emb_layers.1.weight"][LEVEL_ROW], w[f"{key}.emb_layers.1.weight"][LEVEL_ROW + 1] = row, -row
    # A large constant pair fixes the spread of this norm group, so that the level passes it linearly.
    bias = w[f"{key}.emb_layers.1.bias"]
    bias[LEVEL_ROW + 2], bias[LEVEL_ROW + 3] = CALM, -CALM
    out = w[f"{key}.out_layers.3.weight"]
    for sign, target in ((1.0, SIGNAL), (-1.0, SIGNAL + 1)):
        unscaled = sign * CALM * (2 / GROUP) ** 0.5
        out[target, LEVEL_ROW], out[target, LEVEL_ROW + 1] = POINT * unscaled, -POINT * unscaled


def unet() -> Weights:
    """State dict of the toy UNet below ``model.diffusion_model.``."""
    w = Weights(seed=15)
    encoder(w, PREFIX)
    _decoder(w, PREFIX)
    _write_noise_level(w, PREFIX)
    w.norm(f"{PREFIX}out.0", C)
    last = w.conv(f"{PREFIX}out.2", LATENTS, C, 3, gain=0.0)
    # The last norm divides by sqrt(0.8 s^2 + 0.2 LEVEL^2 s^2) where the signal's spread s is the noise level.
    undo = POINT * (0.8 + 0.2 * LEVEL**2) ** 0.5
    for i in range(LATENTS):
        last[i, i], last[i, i + LATENTS] = undo, -undo
    return w
