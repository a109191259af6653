"""Numbers that no node can use: one sentence at the right input, when the prompt is queued and over wires."""

import asyncio
import json
import math

import execution
import pytest
import torch

import nodes as core_nodes
from zoetrope.nodes import NODES
from zoetrope.nodes.base import Node, checked_by_node
from zoetrope.nodes.input_checks import Minimum

NAN, INFINITE = math.nan, math.inf
NUMBERS = [
    (node, socket)
    for node in NODES
    for socket in node.define_schema().inputs
    if {"INT", "FLOAT"} & set(socket.get_io_type().split(","))
]
every_number = pytest.mark.parametrize(
    ("node", "socket"), NUMBERS, ids=[f"{node.__name__}.{socket.id}" for node, socket in NUMBERS]
)


def widget_of(socket):
    return getattr(socket, "input_override", None) or socket


def queued(node, monkeypatch, **inputs):
    """Errors that ComfyUI tells about one input of a prompt with a single node."""
    name = node.define_schema().node_id
    monkeypatch.setitem(core_nodes.NODE_CLASS_MAPPINGS, name, node)
    (wrong,) = inputs
    named = [socket for socket in node.define_schema().inputs if socket.id in checked_by_node(node)]
    others = {socket.id: getattr(socket, "default", None) or "x" for socket in named}
    prompt = {"1": {"class_type": name, "inputs": {**others, **inputs}}}
    _, errors, _ = asyncio.run(execution.validate_inputs("id", prompt, "1", {}))
    return [f"{error['message']}: {error['details']}" for error in errors if error["extra_info"]["input_name"] == wrong]


def run(node, **inputs):
    """Inputs of a node that runs; the node's own work is never reached, most of its inputs are not there."""
    listed = node.define_schema().is_input_list
    node.execute_checked(**{name: [value] if listed else value for name, value in inputs.items()})


def test_every_node_looks_at_its_inputs():
    assert [node for node in NODES if not issubclass(node, Node)] == []
    assert {node.FUNCTION for node in NODES} == {"execute_checked"}
    assert len(NUMBERS) > 100


@every_number
def test_numbers_over_wires(node, socket):
    widget = widget_of(socket)
    low, high = getattr(widget, "min", None), getattr(widget, "max", None)
    wrong = [NAN, INFINITE, -INFINITE, 1e39, 2**70, -(2**70), "many", torch]
    wrong += [] if low is None else [low - 1]
    wrong += [] if high is None else [high + 1]
    for value in wrong:
        if low is None and isinstance(value, int):
            continue  # sockets without a widget take numbers of any size that floats hold
        with pytest.raises(ValueError, match=rf"^{socket.id}\b.*[.]$") as refused:
            run(node, **{socket.id: value})
        assert str(refused.value).count(". ") == 0, "more than a sentence"


@every_number
def test_numbers_of_widgets(node, socket, monkeypatch):
    widget = widget_of(socket)
    if getattr(widget, "min", None) is None:
        assert widget.force_input if hasattr(widget, "force_input") else widget is socket, "a widget without range"
        return
    for value in (NAN, INFINITE, 1e39, widget.min - 1, widget.max + 1):
        assert queued(node, monkeypatch, **{socket.id: value}), value


@pytest.mark.parametrize("good", [0, 0.0, 0.25, 10, 1e39, 10**400])
def test_a_least_number_compares_as_the_number_does(good):
    assert not good < Minimum(0.0)
    assert Minimum(0.0) > -1 and Minimum(0.0) > NAN and Minimum(0.0) > "x"
    assert json.dumps({"min": Minimum(0.5)}) == '{"min": 0.5}'
