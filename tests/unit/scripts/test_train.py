"""scripts/train.py: the graph of a training, and what is refused before anything starts."""

import demo
import pytest
import train
from comfy_host import Host, SetupError


def options(*more):
    return train.parse(["--clips", "clips", "--out", "spin", *more])


def test_the_graph_follows_the_kind():
    lora = train.build_prompt(options("--rank", "4"), "clips")
    assert lora["3"]["class_type"] == "ZoetropeTrainMotionLora"
    assert lora["3"]["inputs"]["rank"] == 4 and lora["3"]["inputs"]["motion_model"] == ["4", 0]
    new = train.build_prompt(options("--kind", "motion_model"), "clips")
    assert new["3"]["inputs"]["start"] == "new v3" and "4" not in new
    further = train.build_prompt(options("--kind", "motion_model", "--motion-model", "v3.ckpt"), "clips")
    assert further["4"]["inputs"]["motion_model"] == "v3.ckpt"


def test_several_processes_take_a_folder_and_no_server(tmp_path):
    both = options("--processes", "2", "--server", "http://127.0.0.1:8188")
    with pytest.raises(SetupError, match="--processes needs no server"):
        train.run_together(both, [])
    with pytest.raises(SetupError, match="is no folder"):
        train.run_together(options("--processes", "2"), [])


def test_demo_models_take_the_place_of_missing_ones_and_the_training_stays_as_asked(tmp_path, monkeypatch):
    class Empty:
        def choices(self, class_type, name):
            return []

    monkeypatch.setattr(demo, "write_demo_models", lambda host, kinds: None)
    given = options("--steps", "7", "--size", "256")
    prompt = train.build_prompt(given, "clips")
    before = {key: dict(node["inputs"]) for key, node in prompt.items()}
    assert demo.choose_models(Empty(), prompt, given, Host("python", tmp_path, tmp_path, private=True))
    changed = {key for key, node in prompt.items() if node["inputs"] != before[key]}
    assert {prompt[key]["class_type"] for key in changed} == {"CheckpointLoaderSimple", "ZoetropeLoadMotionModel"}
