"""The public node contract: ids, inputs, types and outputs are for ever; every socket explains itself."""

import asyncio
import importlib.util
import inspect
import json
import sys

import pytest

from support.pack import ROOT
from zoetrope.host.sampling.video_to_video import SegmentSettings
from zoetrope.host.video.load_video import LoadSettings
from zoetrope.nodes.motion import MotionInputs
from zoetrope.nodes.training_widgets import TrainerInputs

GOLDEN = ROOT / "tests" / "golden" / "nodes.json"
FILE_INPUTS = {
    "motion_model",
    "motion_lora",
    "adapter",
    "camera_ctrl",
    "pose_file",
    "lora",
    "sparsectrl",
    "video",
    "folder",
}
HOSTS_CHOICES = {"sampler_name", "scheduler"}  # of which each version of ComfyUI has its own


def load_nodes():
    """Load the pack the way ComfyUI does: by file, then comfy_entrypoint, on_load and get_node_list."""
    name = "zoetrope_as_custom_node"
    spec = importlib.util.spec_from_file_location(name, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    extension = asyncio.run(module.comfy_entrypoint())
    asyncio.run(extension.on_load())
    return asyncio.run(extension.get_node_list())


NODES = load_nodes()
RECORDS = {"inputs": MotionInputs, "segments": SegmentSettings, "settings": LoadSettings, "training": TrainerInputs}
every_node = pytest.mark.parametrize("node", NODES, ids=lambda node: node.__name__)


def contract(node) -> dict:
    schema = node.GET_SCHEMA()
    inputs = []
    for socket in schema.inputs:
        row = {"id": socket.id, "type": socket.get_io_type(), "optional": socket.optional}
        widget = getattr(socket, "input_override", None) or socket  # of a socket that takes several types
        if getattr(widget, "default", None) is not None:
            row["default"] = widget.default
        if getattr(socket, "options", None) and socket.id not in FILE_INPUTS | HOSTS_CHOICES:
            # Formats of a GPU encoder are offered where it opens.
            row["options"] = [option for option in socket.options if not option.startswith("nvenc-")]
        inputs.append(row)
    return {"inputs": inputs, "outputs": [socket.get_io_type() for socket in schema.outputs]}


def parameters_of(node) -> list[inspect.Parameter]:
    """Parameters of execute; ``**inputs`` and its like stand for the fields of the record that they become."""
    named = []
    for parameter in inspect.signature(node.execute).parameters.values():
        is_record = parameter.kind is inspect.Parameter.VAR_KEYWORD
        named += inspect.signature(RECORDS[parameter.name]).parameters.values() if is_record else [parameter]
    return named


@every_node
def test_execute_takes_exactly_the_declared_inputs(node):
    assert sorted(i.id for i in node.GET_SCHEMA().inputs) == sorted(parameter.name for parameter in parameters_of(node))


@every_node
def test_optional_inputs_have_defaults_because_api_prompts_get_none_from_the_server(node):
    parameters = {parameter.name: parameter for parameter in parameters_of(node)}
    for socket in node.GET_SCHEMA().inputs:
        assert (parameters[socket.id].default is not inspect.Parameter.empty) == socket.optional, socket.id


@every_node
def test_every_socket_explains_itself(node):
    schema = node.GET_SCHEMA()
    assert schema.description, "no description"
    assert schema.search_aliases, "no search_aliases"
    assert schema.category.startswith("Zoetrope/")
    for kind, sockets in (("input", schema.inputs), ("output", schema.outputs)):
        assert [f"{kind} {place}" for place, socket in enumerate(sockets) if not socket.tooltip] == [], "no tooltip"


@every_node
def test_node_has_a_help_page_and_a_place_in_a_workflow(node):
    name = node.GET_SCHEMA().node_id
    assert (ROOT / "web" / "docs" / f"{name}.md").exists(), f"write web/docs/{name}.md"
    for folder in ("workflows/api", "workflows"):
        texts = [path.read_text(encoding="utf-8") for path in (ROOT / folder).glob("*.json")]
        assert any(f'"{name}"' in text for text in texts), f"no file in {folder} uses {name}"


def test_published_contract_is_unchanged(request):
    now = {node.GET_SCHEMA().node_id: contract(node) for node in NODES}
    if request.config.getoption("--update-contract"):
        GOLDEN.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
    assert now == json.loads(GOLDEN.read_text(encoding="utf-8")), (
        "nodes may be added with --update-contract, not changed"
    )
