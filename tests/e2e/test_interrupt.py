"""An interrupted run leaves nothing behind that changes the next one."""

import json

import numpy as np
from comfy_host.progress import wait_for_history
from comfy_host.websocket import WebSocket

from support.e2e import runs


def short_loop(steps, seed):
    """A clip of two windows."""
    prompt = runs.small("long_loop", steps=steps, seed=seed)
    prompt[runs.of_type(prompt, "EmptyLatentImage")]["inputs"]["batch_size"] = 20
    return prompt


def frames(client, seed):
    prompt = runs.also_save_pictures(short_loop(steps=1, seed=seed))
    return runs.pictures(client, runs.run(client, prompt))


def forget(client):
    """Drop the server's cached results, so that an equal prompt is computed again."""
    client.json("/free", {"free_memory": True})
    runs.wait_for(lambda: not client.json("/queue")["queue_running"])


def interrupt_while_sampling(client):
    socket = WebSocket(client.websocket_url)
    prompt_id = client.submit(short_loop(steps=50, seed=2))
    runs.wait_for(lambda: json.loads(socket.receive() or "{}").get("type") == "zoetrope.progress")
    client.cancel(prompt_id)
    socket.close()
    return wait_for_history(client, prompt_id, seconds=120)


def test_interrupt_then_the_same_frames_again(client):
    before = frames(client, seed=1)
    entry = interrupt_while_sampling(client)
    assert [name for name, _ in entry["status"]["messages"]][-1] == "execution_interrupted"
    forget(client)
    assert np.array_equal(frames(client, seed=1), before)


def test_cancel_of_a_waiting_prompt_takes_only_that_one(client):
    first = client.submit(runs.small("text_to_video", steps=2, seed=101))
    second = client.submit(runs.small("text_to_video", steps=2, seed=102))
    client.cancel(second)
    assert wait_for_history(client, first, seconds=300)["status"]["status_str"] == "success"
    assert client.history(second) is None
