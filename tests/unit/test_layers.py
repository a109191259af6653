"""Imports point one way: nodes -> host -> the pure packages, and one way inside host; nothing goes in a circle."""

import pytest

from support.pack import ROOT
from support.source import FILES, PLANNED, PURE, imported_files, name_of, outside_names

# Modules of ComfyUI 0.20 to 0.30 that lie on its import path, besides `nodes` and its public API.
COMFYUI = {
    *("alembic_db", "api_server", "app", "comfy", "comfy_config", "comfy_execution", "comfy_extras", "comfyui_version"),
    *("cuda_malloc", "execution", "folder_paths", "hook_breaker_ac10a0", "latent_preview", "main", "middleware"),
    *("node_helpers", "protocol", "script_examples", "server", "utils"),
}
API = {"comfy_api", "comfy_api_nodes"}
MAY_IMPORT = {
    **{pure: {pure, "inputs"} for pure in (*PURE, *PLANNED)},
    "inputs": {"inputs"},
    "training": {"training", "inputs", "motion_models", "temporal", "video"},
    "evaluation": {"evaluation", "inputs", "temporal", "video"},
    "migration": {"migration", "inputs", "temporal"},
    "host": {"host", *PURE, *PLANNED},
    "nodes": {"nodes", "host", *PURE, *PLANNED},
}
# By absolute name ours are whatever lies on the path, and what importlib imports no rule sees.
OURS = {"zoetrope", "nodes", "host", "importlib", *PURE, *PLANNED}
MAY_NAME = {"host": COMFYUI | {"comfy_api"}, "nodes": {"comfy_api"}}  # of what belongs to ComfyUI

# A package of host imports those of lower floors only, and none of its own floor.
FLOORS = (
    {"call", "loading", "video"},
    {"progress", "prompts", "control", "lora"},
    {"motion"},
    {"conditioners", "sampling"},
    {"training", "training_data"},
    {"preview_schedule.py"},
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
every_file = pytest.mark.parametrize("path", FILES, ids=name_of)


def layer(path):
    return path.relative_to(ROOT).parts[0]


def room(path):
    """``call`` of ``host/call/frames.py``, a file's name where it lies in no room."""
    return path.relative_to(ROOT).parts[1]


@every_file
def test_imports_point_down(path):
    assert {layer(other) for other in imported_files(path)} <= MAY_IMPORT[layer(path)]
    assert outside_names(path) & (COMFYUI | API | OURS) <= MAY_NAME.get(layer(path), set())


@pytest.mark.parametrize("path", [path for path in FILES if layer(path) == "host"], ids=name_of)
def test_imports_inside_host_point_down(path):
    above = {
        name_of(other)
        for other in imported_files(path)
        if layer(other) == "host" and room(other) != room(path) and FLOOR[room(other)] >= FLOOR[room(path)]
    }
    assert not above


def test_every_room_of_host_has_a_floor():
    rooms = {path.name for path in (ROOT / "host").iterdir()} - {"__init__.py", "__pycache__"}
    assert rooms <= set(FLOOR)


@every_file
def test_no_file_imports_itself_through_others(path):
    reached, waiting = set(), [path]
    while waiting:
        new = imported_files(waiting.pop()) - reached
        reached |= new
        waiting += new
    assert path not in reached
