"""What comes over wires is held against the socket before a node runs: types, shapes, choices, and values per frame."""

import asyncio
import math

import execution
import numpy as np
import pytest
import torch
from comfy_api.latest import io

import nodes as core_nodes
from support.run_nodes import run_node
from zoetrope.nodes.base import Node
from zoetrope.nodes.clips import MergeFrames, SelectFrames
from zoetrope.nodes.combine_video import CombineVideo
from zoetrope.nodes.control import ApplyControlNetPerFrame, ControlNetPerFrame
from zoetrope.nodes.frame_values import FrameValuesFromAudio, FrameValuesFromList, FrameValuesFromMask
from zoetrope.nodes.input_checks import check_inputs
from zoetrope.nodes.motion import ApplyMotionModel
from zoetrope.nodes.preprocess import PreprocessFrames
from zoetrope.nodes.preview_schedule import PreviewSchedule
from zoetrope.nodes.sample_video import SampleEndless, SampleVideo

SOUND = torch.zeros(1, 2, 800)


def holed(shape, value):
    tensor = torch.zeros(shape)
    tensor.view(-1)[-1] = value
    return tensor


REFUSED = [
    (PreviewSchedule, "frames", 2**70, "frames is 1180591620717411303424; give a whole number from 1 to 8,192"),
    (PreviewSchedule, "frames", 16.5, "frames is 16.5; give a whole number"),
    (PreviewSchedule, "frame_values", [1, math.nan], "Value 1 of the values per frame is nan"),
    (PreviewSchedule, "frame_values", [1e308], "of at most 1,000,000 in size"),
    (PreviewSchedule, "frame_values", "0: 1", "frame_values is '0: 1'; connect FRAME_VALUES"),
    (ControlNetPerFrame, "missing_hints", "x", "missing_hints is 'x', which does not exist; choose 'hold', 'loop'"),
    (ControlNetPerFrame, "schedule", 5, "schedule is 5; connect a text"),
    (ControlNetPerFrame, "schedule", "\ud83d", "schedule has half of a character behind ''"),
    (ControlNetPerFrame, "by_step", "maybe", "by_step is 'maybe'; give true or false"),
    (ControlNetPerFrame, "timestep_keyframes", {}, "timestep_keyframes is {}; connect Create Hook Keyframe"),
    (ControlNetPerFrame, "mask", holed((2, 4, 4), math.inf), "mask holds NaN or infinity"),
    (ApplyMotionModel, "mask", torch.zeros(4, 0, 48), r"mask has the shape \(4, 0, 48\)"),
    (ApplyMotionModel, "scale", holed((2, 4, 4), math.nan), "scale holds NaN or infinity"),
    (ApplyMotionModel, "scale", {"a": 1}, "scale is {'a': 1}; connect a number or FRAME_VALUES or a MASK"),
    (ApplyControlNetPerFrame, "image", torch.zeros(4, 8, 3), r"image has the shape \(4, 8, 3\); connect an IMAGE"),
    (ApplyControlNetPerFrame, "image", torch.zeros(0, 8, 8, 3), r"image has the shape \(0, 8, 8, 3\)"),
    (ApplyControlNetPerFrame, "image", "picture", "image is 'picture'; connect an IMAGE"),
    (SampleEndless, "start_clip", {"samples": torch.zeros(0, 4, 8, 8)}, r"start_clip has the shape \(0, 4, 8, 8\)"),
    (SampleEndless, "start_clip", torch.zeros(1), "start_clip has the shape"),
    (SampleEndless, "start_clip", {"samples": holed((1, 4, 8, 8), math.nan)}, "start_clip holds NaN"),
    (SelectFrames, "frames", holed((1, 8, 8, 3), math.nan), "frames holds NaN"),
    (MergeFrames, "a", "clip", "a is 'clip'; connect an IMAGE, a LATENT or a MASK"),
    (FrameValuesFromList, "values", [[1.0, "b"]], "values is 'b'; connect a number"),
    (FrameValuesFromMask, "mask", None, "mask is None; connect a MASK"),
    (FrameValuesFromAudio, "audio", {"waveform": SOUND}, "audio has the sample rate None"),
    (FrameValuesFromAudio, "audio", {"waveform": SOUND, "sample_rate": 0}, "audio has the sample rate 0"),
    (FrameValuesFromAudio, "audio", {"waveform": SOUND, "sample_rate": math.nan}, "audio has the sample rate nan"),
    (FrameValuesFromAudio, "audio", {"waveform": SOUND[0], "sample_rate": 8000}, r"audio has the shape \(2, 800\)"),
    (FrameValuesFromAudio, "audio", {"waveform": holed((1, 1, 9), math.inf), "sample_rate": 8000}, "audio holds NaN"),
    (FrameValuesFromAudio, "audio", SOUND, "audio is tensor.*; connect AUDIO"),
]


@pytest.mark.parametrize(("node", "name", "value", "words"), REFUSED)
def test_what_a_socket_does_not_take(node, name, value, words):
    with pytest.raises(ValueError, match=words):
        node.execute_checked(**{name: value})


def test_the_executor_runs_the_check():
    with pytest.raises(ValueError, match="low is nan; give a number from -1,000.0 to 1,000.0"):
        run_node(FrameValuesFromMask, mask=torch.ones(2, 4, 4), low=math.nan, high=1.0)
    values = run_node(FrameValuesFromMask, mask=torch.ones(2, 4, 4), low=0.0, high=1.0)[0][0]
    assert values.at(2) == [1.0, 1.0]


def test_truth_values_and_rates_of_numpy_are_some():
    check_inputs(ControlNetPerFrame.define_schema(), {"by_step": np.bool_(True)})
    check_inputs(FrameValuesFromAudio.define_schema(), {"audio": {"waveform": SOUND, "sample_rate": np.int64(8000)}})


@pytest.mark.newest_host
@pytest.mark.parametrize(
    "odd",
    [
        torch.ones(1, 4, 4, 3).to_sparse(),
        torch.ones(1, 4, 4, 3, device="meta"),
        torch.ones(1, 4, 4, 3, dtype=torch.complex64),
        torch.nested.nested_tensor([torch.ones(4, 4, 3)]),
    ],
    ids=["sparse", "meta", "complex", "nested"],
)
def test_tensors_of_other_kinds_are_refused(odd):
    with pytest.raises(ValueError, match=r"^frames is a tensor of another kind \(.*\); connect an IMAGE"):
        SelectFrames.execute_checked(frames=odd, select=":")
    with pytest.raises(ValueError, match=r"^audio is a tensor of another kind|^audio has the shape"):
        FrameValuesFromAudio.execute_checked(audio={"waveform": odd, "sample_rate": 8000})


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_fp8_is_looked_at_too(kind):
    check_inputs(SelectFrames.define_schema(), {"frames": torch.ones(2, 4, 4, 3).to(kind)})
    holed_there = torch.full((2, 4, 4, 3), math.nan).to(kind)
    with pytest.raises(ValueError, match="frames holds NaN"):
        check_inputs(SelectFrames.define_schema(), {"frames": holed_there})


@pytest.mark.parametrize("value", [np.array(["hold", "loop"]), np.array(["hold"]), ["hold"], 5])
def test_only_a_text_is_a_choice(value):
    with pytest.raises(ValueError, match="missing_hints is .*, which does not exist; choose"):
        ControlNetPerFrame.execute_checked(missing_hints=value)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.uint8, torch.bool])
def test_pictures_of_any_kind_of_number_pass(kind):
    frames, count = run_node(SelectFrames, frames=torch.ones(2, 4, 4, 3, dtype=kind), select=":")[0]
    assert frames.shape == (2, 4, 4, 3) and count == 2


@pytest.mark.parametrize(
    ("node", "name", "value"),
    [
        (SampleEndless, "filename_prefix", "../x"),
        (SampleVideo, "filename_prefix", "../x"),
        (SampleVideo, "frame_rate", math.nan),
        (PreprocessFrames, "low_threshold", math.nan),
        (CombineVideo, "loop_count", -1),
    ],
)
def test_a_refusal_is_shown_at_the_wrong_input_only(node, name, value, monkeypatch):
    schema = node.define_schema()
    monkeypatch.setitem(core_nodes.NODE_CLASS_MAPPINGS, schema.node_id, node)
    widgets = {socket.id: socket.default for socket in schema.inputs if getattr(socket, "default", None) is not None}
    prompt = {"1": {"class_type": schema.node_id, "inputs": {**widgets, name: value}}}
    _, errors, _ = asyncio.run(execution.validate_inputs("id", prompt, "1", {}))
    wrong = [error["extra_info"]["input_name"] for error in errors if error["type"] != "required_input_missing"]
    assert wrong == [name]


def test_a_choice_that_came_after_the_start_is_one():
    """A user's video format, say; ComfyUI keeps the schema of the last time somebody asked for the node's description."""
    choices = ["old"]

    class Chooser(Node):
        @classmethod
        def define_schema(cls):
            return io.Schema(node_id="Chooser", inputs=[io.Combo.Input("choice", options=list(choices))])

        @classmethod
        def execute(cls, choice):
            return io.NodeOutput(choice)

    Chooser.GET_SCHEMA()
    choices.append("new")
    assert Chooser.execute_checked(choice="new").args == ("new",)
    with pytest.raises(ValueError, match=r"^choice is 'other', which does not exist; choose 'old', 'new'\.$"):
        Chooser.execute_checked(choice="other")
