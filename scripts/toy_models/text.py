"""CLIP-L's text encoder with random weights: different prompts give different vectors, and mean nothing."""

from __future__ import annotations

from .weights import Weights

PREFIX = "cond_stage_model.transformer.text_model."
WIDTH = 768


def text_encoder() -> Weights:
    """State dict of the text encoder, the full size of CLIP-L because ComfyUI fixes it."""
    w = Weights(seed=77)
    w.random(f"{PREFIX}embeddings.token_embedding.weight", 49408, WIDTH, std=1.0)
    w.random(f"{PREFIX}embeddings.position_embedding.weight", 77, WIDTH, std=0.3)
    for layer in range(12):
        key = f"{PREFIX}encoder.layers.{layer}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            w.linear(f"{key}.self_attn.{name}", WIDTH, WIDTH)
        w.linear(f"{key}.mlp.fc1", 4 * WIDTH, WIDTH)
        w.linear(f"{key}.mlp.fc2", WIDTH, 4 * WIDTH)
        w.norm(f"{key}.layer_norm1", WIDTH)
        w.norm(f"{key}.layer_norm2", WIDTH)
    w.norm(f"{PREFIX}final_layer_norm", WIDTH)
    return w
