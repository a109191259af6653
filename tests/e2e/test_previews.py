"""Previews as a browser gets them: over the WebSocket of a running server."""

import io
import json
import struct

import numpy as np
from comfy_host.progress import wait_for_history
from comfy_host.websocket import WebSocket
from PIL import Image

from support.e2e import runs

PREVIEW = 4  # PREVIEW_IMAGE_WITH_METADATA of protocol.py: this number, the length of some JSON, the JSON, a JPEG
STEPS = 3


def few_frames(seed):
    prompt = runs.small("long_loop", steps=STEPS, seed=seed)
    prompt[runs.of_type(prompt, "EmptyLatentImage")]["inputs"]["batch_size"] = 6
    prompt[runs.of_type(prompt, "ZoetropeContextWindows")]["inputs"] |= {"context_length": 4, "context_overlap": 1}
    return prompt


def previews_of(client, prompt):
    """Pictures of the previews that a run sends to the sampler's node."""
    socket = WebSocket(client.websocket_url)
    socket.send(json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}}))
    order = {"prompt": prompt, "client_id": client.id, "extra_data": {"preview_method": "latent2rgb"}}
    prompt_id = client.json("/prompt", order)["prompt_id"]
    assert wait_for_history(client, prompt_id, seconds=300)["status"]["status_str"] == "success"
    pictures = []
    while (message := socket.message(timeout=0.5)) is not None:  # what has come meanwhile
        if isinstance(message, bytes) and message[:4] == struct.pack(">I", PREVIEW):
            start = 8 + struct.unpack(">I", message[4:8])[0]
            assert json.loads(message[8:start])["node_id"] == runs.of_type(prompt, "KSampler")
            pictures.append(np.asarray(Image.open(io.BytesIO(message[start:])).convert("RGB")))
    socket.close()
    return pictures


def test_previews_show_other_frames_than_the_first(client):
    pictures = previews_of(client, few_frames(61))
    assert len(pictures) >= 2 * STEPS  # core sends one a step, of frame 0; ours follows
    shown = {picture.tobytes() for picture in pictures}
    assert len(shown) > STEPS
