"""File name tokens mean on the server what ComfyUI's canvas makes of them for core's nodes."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoetrope.video.metadata.filename_tokens import fill_tokens, format_date

NOW = datetime(2026, 3, 5, 7, 8, 9)
PROMPT = {
    "3": {
        "class_type": "KSampler",
        "inputs": {"seed": 42, "cfg": 8.0, "denoise": 0.55, "add_noise": True, "nothing": None, "model": ["4", 0]},
        "_meta": {"title": "Sampler one"},
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd/v1:5?.safetensors"}},
    "5": {"class_type": "ZoetropeCombineVideo", "inputs": {"format": "gif", "format.crf": 19, "box": {"a": 1}}},
    "7:3": {"class_type": "KSampler", "inputs": {"seed": 43}},
    "8:7:3": {"class_type": "KSampler", "inputs": {"seed": 44}},
}
WORKFLOW = {
    "nodes": [
        {"id": 3, "type": "KSampler", "properties": {"Node name for S&R": "Main"}},
        {"id": 4, "type": "CheckpointLoaderSimple", "title": "My v1.5 model", "properties": None},
        {"id": 7, "type": "inner-graph"},
        {"id": 8, "type": "outer-graph"},
        {"id": 9, "type": "Note", "title": "Only drawn"},
    ],
    "definitions": {
        "subgraphs": [
            {"id": "inner-graph", "nodes": [{"id": 3, "type": "KSampler", "title": "Inner"}]},
            {"id": "outer-graph", "nodes": [{"id": 7, "type": "deep-graph"}]},
            {"id": "deep-graph", "nodes": [{"id": 3, "title": "Deep"}]},
        ]
    },
}


def fill(prefix, prompt=PROMPT, workflow=WORKFLOW):
    return fill_tokens(prefix, NOW, prompt, workflow)


@pytest.mark.parametrize(
    "text, expected",
    [
        # The canvas pads a number to as many digits as there are letters and knows years of two and four.
        ("yyyy-MM-dd hh-mm-ss", "2026-03-05 07-08-09"),
        ("d.M.yy h:m:s", "5.3.26 7:8:9"),
        ("yyy y yyyyy", "yyy y 2026y"),
        ("ddd", "055"),
        ("", ""),
        ("ABC", "ABC"),
    ],
)
def test_dates_are_written_as_the_canvas_writes_them(text, expected):
    assert format_date(text, NOW) == expected
    assert fill(f"a/%date:{text}%_b") == f"a/{expected}_b"


def test_hours_go_to_23():
    assert format_date("hh", datetime(2026, 1, 1, 23)) == "23"


@pytest.mark.parametrize(
    "token, expected",
    [
        ("Main.seed", "42"),  # name for search and replace
        ("Sampler one.seed", "42"),  # title in the API prompt
        ("KSampler.seed", "42"),  # class; the first of three
        ("My v1.5 model.ckpt_name", "sd_v1_5_.safetensors"),  # title with a dot; the canvas replaces / : ?
        ("ZoetropeCombineVideo.format", "gif"),
        ("ZoetropeCombineVideo.format.crf", "19"),  # widget with a dot
        ("Inner.seed", "43"),
        ("Deep.seed", "44"),
        ("Main.cfg", "8"),  # JavaScript has no 8.0
        ("Main.denoise", "0.55"),
        ("Main.add_noise", "true"),
        ("Main.nothing", ""),
    ],
)
def test_values_of_nodes(token, expected):
    assert fill(f"x%{token}%y") == f"x{expected}y"


def test_without_a_canvas_titles_of_the_prompt_and_classes_count():
    # A node without a title has its class for one, and titles count before classes.
    assert fill("%Sampler one.seed%-%KSampler.seed%", workflow=None) == "42-43"


def test_a_name_for_search_and_replace_wins_over_a_title():
    prompt = {number: {"class_type": "A", "inputs": {"w": number}} for number in ("1", "2")}
    nodes = [{"id": 1, "title": "same"}, {"id": 2, "properties": {"Node name for S&R": "same"}}]
    assert fill("%same.w%", prompt, {"nodes": nodes}) == "2"


@pytest.mark.parametrize("text", ["%width%x%height%", "%year%", "100%", "50% and 60%", "at 1%. 2% more", "%%", "plain"])
def test_what_is_not_ours_stays(text):
    assert fill(text) == text
    assert fill_tokens(text, NOW, None, None) == text


@pytest.mark.parametrize(
    "token, sentence",
    [
        ("Nobody.seed", "no node that runs is called 'Nobody': there is 'Sampler one', 'My v1.5 model', "),
        ("Only drawn.text", "no node that runs is called 'Only drawn'"),
        ("Main.sed", "this node has no such widget: there is 'seed' and 4 more."),
        ("Main.model", "comes from another node: name the node and the widget it comes from."),
        ("ZoetropeCombineVideo.box", "neither text nor a number: choose another widget."),
    ],
)
def test_a_wrong_token_is_one_sentence(token, sentence):
    with pytest.raises(ValueError) as error:
        fill(f"%{token}%")
    assert str(error.value).startswith(f"filename_prefix has %{token}% and ")
    assert sentence in str(error.value)


def test_long_lists_of_names_are_cut():
    prompt = {str(number): {"class_type": f"N{number}", "inputs": {}} for number in range(30)}
    with pytest.raises(ValueError, match=r" and 20 more\.$"):
        fill("%x.y%", prompt)
    with pytest.raises(ValueError, match=r"there is none\.$"):
        fill_tokens("%x.y%", NOW, None, None)


@given(st.text(max_size=300))
def test_a_value_is_one_safe_part_of_a_name(value):
    part = fill("%A.w%", {"1": {"class_type": "A", "inputs": {"w": value}}}, None)
    assert len(part.encode()) <= 100
    assert not set(part) & {*'/\\<>:"|?*\x7f', *map(chr, range(32))}


def test_values_are_not_filled_again():
    assert fill("%A.w%", {"1": {"class_type": "A", "inputs": {"w": "%A.w%"}}}, None) == "%A.w%"


@pytest.mark.parametrize("workflow", [{}, {"nodes": [{}]}, {"nodes": [{"id": 3}], "definitions": None}])
def test_a_bare_canvas_is_no_error(workflow):
    assert fill("%Sampler one.seed%", workflow=workflow) == "42"


ODD = (
    None,
    [],
    [1],
    "text",
    5,
    {"nodes": 5},
    {"nodes": [None, [], {"id": [], "title": 7, "properties": [], "type": {}}]},
)
ODD_GRAPHS = (
    *ODD,
    {"definitions": 5},
    {"definitions": {"subgraphs": {"a": 1}}},
    {"definitions": {"subgraphs": [5, {}]}},
)


@pytest.mark.parametrize("workflow", ODD_GRAPHS)
def test_a_canvas_of_another_form_knows_no_names(workflow):
    prompt = {"1": {"class_type": "A", "inputs": {"w": 5}}}
    assert fill("%A.w%", prompt, workflow) == "5"


@pytest.mark.parametrize("prompt", [*ODD, {"1": None}, {"1": []}, {"1": {"class_type": 5, "inputs": [], "_meta": 3}}])
def test_a_prompt_of_another_form_has_no_nodes(prompt):
    for workflow in ODD_GRAPHS:
        with pytest.raises(ValueError, match=r"^filename_prefix has %A\.w% and no node that runs is called 'A'"):
            fill_tokens("%A.w%", NOW, prompt, workflow)


def test_a_value_of_another_kind_is_no_part_of_a_name():
    with pytest.raises(ValueError, match="neither text nor a number"):
        fill("%A.w%", {"1": {"class_type": "A", "inputs": {"w": {1, 2}}}}, None)
