"""Texts that were written to take long: every grammar reads them in time that grows as their length does.

What is compared is a text with one of half its length, not a clock with a number: a parser that looks through the rest at
every sign takes four times as long for twice the text, and minutes for these.
"""

from contextlib import suppress
from time import perf_counter

import pytest

from zoetrope.inputs.written import LONGEST_PROMPTS, LONGEST_TEXT
from zoetrope.motion_models.block_values import parse_block_values
from zoetrope.motion_models.camera_poses import LONGEST_POSES, parse_poses
from zoetrope.temporal.frame_selection import MOST_SELECTED, parse_selection
from zoetrope.temporal.prompts.schedule import MOST_KEYS, parse_prompt_schedule
from zoetrope.temporal.sparse_keyframes import AS_LISTED, parse_keyframes
from zoetrope.temporal.values.schedule import parse_value_schedule

PARSERS = {
    "prompt_schedule": parse_prompt_schedule,
    "value_schedule": parse_value_schedule,
    "selection": parse_selection,
    "keyframes": lambda text: parse_keyframes(text, AS_LISTED),
    "block_values": parse_block_values,
    "poses": parse_poses,
}
BEGINNINGS = ("", "0: a", '0: "a" x', '"0": "', "down: 1")
REPEATED = (
    *(
        ",1",
        ",1.1",
        ",1:1",
        ",1:-",
        "0:",
        "0: a,",
        "0:a\n",
        '"0":"a" ',
        "'0':'a ",
        '"',
        "'",
        "\u201c",
        ",",
        "1",
        "1.",
        "-",
    ),
    *(
        " ",
        "\t",
        "\n",
        "\r",
        "//",
        "#",
        "`",
        "{",
        "}",
        "\\",
        '\\"',
        "::,",
        "down:1,",
        "up.1",
        " scale",
        "1 " * 19 + "\n",
    ),
)
LENGTH = 100_000
AT_ONCE = 1.0  # seconds; so short a time says nothing about its growth, and a quadratic one is far above it


def seconds(parse, text):
    start = perf_counter()
    with suppress(ValueError):  # refused is as good as read here
        parse(text)
    return perf_counter() - start


@pytest.mark.parametrize("name", PARSERS)
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_time_grows_as_the_text_does(name, beginning):
    for repeated in REPEATED:
        text = (beginning + repeated * LENGTH)[:LENGTH]
        took = seconds(PARSERS[name], text)
        assert took < AT_ONCE or took < 3 * seconds(PARSERS[name], text[: LENGTH // 2]), repeated


def test_the_text_that_stopped_a_server_is_read_as_one_prompt():
    text = "0: a" + ",1" * 40_000
    assert [key.prompt for key in parse_prompt_schedule(text).keys] == [text.removeprefix("0: ")]


@pytest.mark.parametrize("name", ["prompt_schedule", "selection", "block_values", "poses"])
def test_a_text_without_end_is_refused_by_its_length(name):
    longest = {"prompt_schedule": LONGEST_PROMPTS, "poses": LONGEST_POSES}.get(name, LONGEST_TEXT)
    with pytest.raises(ValueError, match=f"is {longest + 1:,} characters long; make it at most {longest:,} long"):
        PARSERS[name]("0" * (longest + 1))


@pytest.mark.parametrize("name", ["prompt_schedule", "value_schedule", "selection", "keyframes"])
def test_a_frame_number_of_400_digits_is_refused(name):
    with pytest.raises(ValueError, match="; write ") as caught:
        PARSERS[name]("9" * 400 + ("" if name in ("selection", "keyframes") else ": 1"))
    assert not isinstance(caught.value.__context__, OverflowError)


def test_keys_and_frames_are_counted():
    with pytest.raises(ValueError, match=f"has more than {MOST_KEYS:,} keys"):
        parse_prompt_schedule('"' + "0," * MOST_KEYS + '0": "a"')
    with pytest.raises(ValueError, match=f"names more than {MOST_SELECTED:,} frames"):
        parse_selection(":," * 10_001).indexes(10)


@pytest.mark.parametrize(
    "text",
    [
        '"0": "a",\n"8": "b"',
        '"0": "a",\n"8": "b"\n',
        '"0": "a"\n"8": "b"',
        '"0": "a" hold\n"8": "b"',
        "0: a\n8: b\n",
        '// note\n"0": "a",\n"8": "b",\n',
        '{\n"0": "a",\n"8": "b"\n}',
    ],
)
@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_windows_line_ends_change_no_schedule(text, end):
    assert parse_prompt_schedule(text.replace("\n", end)) == parse_prompt_schedule(text)


def test_windows_line_ends_change_no_other_text():
    for parse, text in ((parse_block_values, "down: 1\nup: 2"), (parse_selection, "1\n::2")):
        assert parse(text.replace("\n", "\r\n")) == parse(text.replace("\n", "\r")) == parse(text)
