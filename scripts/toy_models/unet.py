"""A small SD1.5 UNet: 320 channels on all four levels, the published key layout, a denoiser by construction.

The wiring makes it predict eps = x - blur(x), scaled to unit spread by the last GroupNorm. That is a true denoiser
for smooth images: the blur is the way down to the small feature maps and up again, the subtraction happens in the
last skip connection.
"""

from __future__ import annotations

import torch

from .weights import BLUR, LATENTS, POINT, SIGNAL, Weights, carry, mirror

C = 320
EMB = 4 * C
TEXT = 768
PREFIX = "model.diffusion_model."
WITH_ATTENTION = (1, 2, 4, 5, 7, 8)
# Share of the skip connection in the signal, per output block; the rest comes from below.
SKIP_SHARE = (0.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.12, 0.0, 0.0, 0.0, 0.0)
TEXTURE = 0.005
PROMPT = 0.002


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
            carry(w.conv(f"{key}.{1 if block == 2 else 2}.conv", C, C, 3), BLUR)


def unet() -> Weights:
    """State dict of the toy UNet below ``model.diffusion_model.``."""
    w = Weights(seed=15)
    encoder(w, PREFIX)
    _decoder(w, PREFIX)
    w.norm(f"{PREFIX}out.0", C)
    last = w.conv(f"{PREFIX}out.2", LATENTS, C, 3, gain=0.0)
    # 8 of the group's 10 channels carry the signal, so its spread after the norm is sqrt(10/8).
    for i in range(LATENTS):
        last[i, i], last[i, i + LATENTS] = POINT * 0.8**0.5, -POINT * 0.8**0.5
    return w
