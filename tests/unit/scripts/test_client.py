"""The headless client: what it makes of prompts, refusals and events. The servers here are small stand-ins."""

import http.server
import io
import json
import socket
import struct
import threading

import pytest
from comfy_host import SetupError, graph
from comfy_host.client import Client, _refusal_lines, failure_text
from comfy_host.progress import Progress
from comfy_host.websocket import WebSocket

from support.pack import ROOT

PROMPT = graph.load_prompt(ROOT / "workflows" / "api" / "text_to_video.json")
CONTROL = graph.load_prompt(ROOT / "workflows" / "api" / "controlnet_video_to_video.json")


def copy(prompt):
    return json.loads(json.dumps(prompt))


def inputs(prompt, class_type):
    return next(node["inputs"] for node in prompt.values() if node["class_type"] == class_type)


@pytest.mark.parametrize("prompt", [PROMPT, CONTROL], ids=["direct", "through a ControlNet node"])
def test_positive_text_is_found_by_its_wires(prompt):
    prompt = copy(prompt)
    before = [node["inputs"]["text"] for node in prompt.values() if node["class_type"] == "CLIPTextEncode"]
    assert graph.set_positive_text(prompt, "a kite") == 1
    after = [node["inputs"]["text"] for node in prompt.values() if node["class_type"] == "CLIPTextEncode"]
    assert after == ["a kite", before[1]]  # the second one is the negative prompt


def test_a_wired_input_is_left_alone():
    prompt = {"1": {"class_type": "KSampler", "inputs": {"steps": ["2", 0], "seed": 1}}}
    assert graph.set_inputs(prompt, graph.STEPS, 5) == 0
    assert graph.set_inputs(prompt, graph.SEED, 5) == 1
    assert prompt["1"]["inputs"] == {"steps": ["2", 0], "seed": 5}


def test_a_flag_without_effect_says_so():
    with pytest.raises(SetupError, match="--frames has no effect here"):
        graph.require({"1": {"class_type": "KSampler", "inputs": {}}}, "--frames", graph.FRAMES, 8)


def test_models_of_a_prompt():
    assert sorted(graph.model_inputs(CONTROL)) == [
        ("checkpoint", "v1-5-pruned-emaonly-fp16.safetensors"),
        ("controlnet", "control_v11p_sd15_canny_fp16.safetensors"),
        ("motion", "mm_sd_v15_v2.ckpt"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "not JSON"), ('{"nodes": [], "links": []}', "not in API format"), (None, "cannot be read")],
)
def test_unusable_workflow_files(tmp_path, text, words):
    path = tmp_path / "workflow.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SetupError, match=words):
        graph.load_prompt(path)


def test_refusal_lists_every_node_error():
    error = {"type": "value_not_in_list", "message": "Value not in list", "details": "ckpt_name: 'x' not in []"}
    body = {"error": {"type": "t", "message": "m"}, "node_errors": {"1": {"errors": [error], "class_type": "?"}}}
    assert _refusal_lines(body, PROMPT) == [
        "node 1 (CheckpointLoaderSimple), value_not_in_list: Value not in list: ckpt_name: 'x' not in []"
    ]
    assert _refusal_lines({"error": {"type": "no_prompt", "message": "No prompt"}}, PROMPT) == ["no_prompt: No prompt"]


def test_failure_is_the_nodes_own_message():
    data = {"node_id": "8", "node_type": "KSampler", "exception_type": "a.b.ValueError", "exception_message": "bad\n"}
    status = {"status_str": "error", "messages": [["execution_start", {}], ["execution_error", data]]}
    assert failure_text(status) == "node 8 (KSampler), ValueError: bad"
    status["messages"].append(["execution_interrupted", data])
    assert failure_text(status) == "interrupted in node 8 (KSampler)"


def test_progress_shows_step_window_and_time_left():
    now = iter([0.0, 10.0, 20.0])
    out = io.StringIO()
    progress = Progress(PROMPT, out, now=lambda: next(now))
    progress.handle("executing", {"node": "8"})
    progress.handle("progress", {"node": "8", "value": 1, "max": 4})
    event = {"node": "8", "step": 1, "steps": 4, "window": 1, "windows": 2, "frames": 48}
    progress.handle("zoetrope.progress", event)
    # 10 s for 1 of 4 steps leave 30 s; 20 s for 1.5 of 4 steps leave 33 s
    assert out.getvalue().splitlines() == [
        "KSampler",
        "KSampler: 1/4, 0:30 left",
        "KSampler: step 2/4, window 2/2 of 48 frames, 0:33 left",
    ]


def test_nobody_at_the_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(SetupError, match=f"No ComfyUI answers at http://127.0.0.1:{port}"):
        Client(f"127.0.0.1:{port}").json("/system_stats")
    with pytest.raises(SetupError, match="is no address"):
        Client("ftp://x")


@pytest.mark.parametrize(("status", "body"), [(404, b""), (200, b"<html>")], ids=["no such page", "no JSON"])
def test_some_other_server_at_the_address(status, body):
    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.handle_request, daemon=True).start()
        with pytest.raises(SetupError, match="is this a ComfyUI"):
            Client(f"http://127.0.0.1:{other.server_port}").json("/system_stats")


@pytest.fixture
def peer():
    """A WebSocket server for one connection: what to send is put in, what came back is kept."""
    listener = socket.create_server(("127.0.0.1", 0))
    kept = {"url": f"ws://127.0.0.1:{listener.getsockname()[1]}/ws?clientId=me"}

    def serve():
        kept["socket"], _ = listener.accept()
        kept["request"] = kept["socket"].recv(4096).decode()
        kept["socket"].sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + kept.get("first", b""))

    thread = threading.Thread(target=serve, daemon=True)
    kept["start"] = thread.start
    yield kept
    kept["socket"].close()
    listener.close()


def frame(opcode, payload, final=True):
    size = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + struct.pack(">H", len(payload))
    return bytes([opcode | (0x80 if final else 0)]) + size + payload


def test_websocket_joins_fragments_skips_binary_and_answers_pings(peer):
    long = "x" * 300
    peer["first"] = frame(2, b"preview") + frame(9, b"hi") + frame(1, b"ab", final=False) + frame(0, b"cd")
    peer["start"]()
    client = WebSocket(peer["url"])
    assert client.receive() == "abcd"
    assert peer["request"].startswith("GET /ws?clientId=me HTTP/1.1\r\n")
    pong = peer["socket"].recv(64)
    assert pong[0] == 0x8A
    assert bytes(b ^ pong[2 + i % 4] for i, b in enumerate(pong[6:])) == b"hi"  # bytes 2 to 5 are the mask
    peer["socket"].sendall(frame(1, long.encode())[:40])
    assert client.receive(timeout=0.2) is None  # a torn frame waits for its rest
    peer["socket"].sendall(frame(1, long.encode())[40:])
    assert client.receive() == long
    peer["socket"].sendall(frame(8, b""))
    with pytest.raises(OSError, match="closed"):
        client.receive()
    client.close()
