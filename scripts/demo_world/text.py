"""What the demo's text encoder says to the captions: CLIP-L with seeded random weights, as in the demo's checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from toy_models.text import text_encoder

from .host import sd
from .sprites import CAPTIONS

# Learnt as "nothing asked for": no prompt, and the negative prompt of the templates.
NOTHING = ("", "worst quality, low quality, watermark, text, jpeg artifacts, deformed")


def encode(captions: Iterable[str]) -> dict[str, Tensor]:
    """Encodings (1, 77, 768) in float32, by caption."""
    prefix = "cond_stage_model.transformer."
    # The demo's checkpoint holds 16 bit.
    weights = {key.removeprefix(prefix): weight.half() for key, weight in text_encoder().items()}
    clip = sd.load_text_encoder_state_dicts([weights], clip_type=sd.CLIPType.STABLE_DIFFUSION)
    with torch.no_grad():
        return {text: clip.encode_from_tokens(clip.tokenize(text)).float() for text in captions}


def encodings(cache: Path) -> dict[str, Tensor]:
    """Encodings of all captions of the world and of ``NOTHING``, kept in a file."""
    wanted = (*CAPTIONS, *NOTHING)
    if not cache.exists() or set(load_file(cache)) != set(wanted):
        save_file({key: value.contiguous() for key, value in encode(wanted).items()}, cache)
    return load_file(cache)
