"""scripts/demo.py against a running server, as a user starts it."""

import json
import os
import signal
import subprocess
import sys

import pytest

from support.e2e import runs
from support.pack import ROOT

SMALL = ["--size", "64x64", "--frames", "4"]


def hear_ctrl_c():
    """A shell that starts the checks in the background lets its children ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(url, folder, *flags):
    command = [sys.executable, "-u", str(ROOT / "scripts" / "demo.py"), "--server", url, *flags]
    hears = hear_ctrl_c if os.name == "posix" else None
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, stdout=pipe, stderr=pipe, text=True, preexec_fn=hears)


def finish(process):
    out, err = process.communicate(timeout=300)
    assert "Traceback" not in err
    return process.returncode, out, err


def test_demo_fetches_the_video_and_describes_it(running, tmp_path):
    code, out, err = finish(
        start(running.url, tmp_path, *SMALL, "--steps", "1", "--seed", "5", "--prompt", "a red kite")
    )
    assert (code, err) == (0, "")
    (video,) = tmp_path.iterdir()
    assert f"Video: {video}" in out
    assert "4 frames, 8 fps, 0.50 s" in out
    assert runs.decode(video.read_bytes(), video.name).shape == (4, 64, 64, 3)
    prompt = runs.embedded_prompt(video.read_bytes())
    texts = [node["inputs"]["text"] for node in prompt.values() if node["class_type"] == "CLIPTextEncode"]
    assert texts.count("a red kite") == 1
    assert prompt[runs.of_type(prompt, "KSampler")]["inputs"]["seed"] == 5


def test_failed_prompt_prints_the_node_error(running, tmp_path):
    prompt = runs.small("text_to_video")
    del prompt[runs.of_type(prompt, "KSampler")]["inputs"]["positive"]
    (tmp_path / "broken.json").write_text(json.dumps(prompt))
    code, _, err = finish(start(running.url, tmp_path, "--workflow", "broken.json"))
    assert code == 1
    assert "node 8 (KSampler), required_input_missing" in err


def test_missing_model_on_a_users_server(running, tmp_path):
    code, _, err = finish(start(running.url, tmp_path, "--motion-model", "gone.ckpt"))
    assert code == 1
    assert "'gone.ckpt'" in err
    assert "animatediff_models" in err
    assert "mm_sd_v15_v2.ckpt" in err


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_stopping_the_demo_interrupts_its_prompt_and_not_the_server(running, client, tmp_path, stop):
    process = start(running.url, tmp_path, *SMALL, "--steps", "500", "--seed", str(int(stop)))
    for line in process.stdout:
        if line.startswith("KSampler: "):
            break
    process.send_signal(stop)
    code, _, err = finish(process)
    assert (code, err.strip()) == (130, "Stopped.")
    runs.wait_for(lambda: not client.json("/queue")["queue_running"])
    assert list(tmp_path.iterdir()) == []
