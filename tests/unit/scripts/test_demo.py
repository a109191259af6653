"""Which models the demo runs with: all of the workflow's, or demo models in the place of all."""

import json

import demo
import pytest
from comfy_host import Host, SetupError, graph

from support.pack import ROOT

CHECKPOINT, MOTION = "v1-5-pruned-emaonly-fp16.safetensors", "mm_sd_v15_v2.ckpt"


class Server:
    """Stands for a client: names the model files that a server has."""

    def __init__(self, *files):
        self.files = files

    def choices(self, class_type, name):
        return list(self.files)


@pytest.fixture
def prompt():
    return json.loads((ROOT / "workflows" / "api" / "text_to_video.json").read_text(encoding="utf-8"))


@pytest.fixture
def written(monkeypatch):
    kinds = []
    monkeypatch.setattr(demo, "write_demo_models", lambda host, wanted: kinds.extend(wanted))
    return kinds


def host(tmp_path):
    return Host("python", tmp_path, tmp_path, private=True)


def names(prompt):
    return dict(graph.model_inputs(prompt))


def test_models_that_are_there_are_kept(prompt, written, tmp_path):
    demo.choose_models(Server(CHECKPOINT, MOTION), prompt, demo.parse([]), host(tmp_path))
    assert names(prompt) == {"checkpoint": CHECKPOINT, "motion": MOTION}
    assert written == []


@pytest.mark.parametrize("there", [(), (CHECKPOINT,), (MOTION,)])
def test_a_missing_model_brings_demo_models_for_all(prompt, written, tmp_path, there):
    """A real checkpoint and the narrow demo motion module would not fit each other."""
    demo.choose_models(Server(*there), prompt, demo.parse([]), host(tmp_path))
    assert sorted(written) == ["checkpoint", "motion"]
    assert all("demo" in name for name in names(prompt).values())


def test_a_named_model_is_never_mixed_with_a_demo_model(prompt, written, tmp_path):
    options = demo.parse(["--checkpoint", CHECKPOINT])
    with pytest.raises(SetupError, match=f"no '{MOTION}' in its animatediff_models folder"):
        demo.choose_models(Server(CHECKPOINT), prompt, options, host(tmp_path))
    assert written == []
