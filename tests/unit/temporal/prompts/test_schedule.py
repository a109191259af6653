"""Prompt schedules: the grammar, the share of every frame, and errors that show line, piece and example."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoetrope.temporal.prompts.parsing import PROMPT_SCHEDULE_EXAMPLE
from zoetrope.temporal.prompts.schedule import PromptShare, joined, parse_prompt_schedule


def shares(text, total, hold=False):
    return parse_prompt_schedule(text).at(total, hold)


def prompts(text, total):
    """The prompt of each frame of a schedule that jumps."""
    return "".join(share.first for share in shares(text, total, hold=True))


def share_of_b(text, total):
    """How much of the prompt 'b' each frame has."""
    return [(s.first == "b") * (1 - s.share) + (s.second == "b") * s.share for s in shares(text, total)]


def test_gaps_go_over_evenly_and_both_ends_hold():
    """1 - k / n of the earlier prompt; not the product of such factors."""
    assert share_of_b('"2": "a", "6": "b"', 9) == pytest.approx([0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1])
    assert shares('"2": "a", "6": "b"', 4)[3] == PromptShare("a", "b", 0.25)
    assert shares('"2": "a", "6": "b"', 8)[7] == PromptShare("b", "b", 0.0)


@pytest.mark.parametrize(
    "text",
    [
        '"0": "a", "4": "b"',
        '{"0": "a", "4": "b"}',
        ' {\n  "0": "a",\n  "4": "b",\n} ,',
        '"4" :"b",\n"0" :"a",\n',
        "'0': 'a', '4': 'b'",
        "0: a\n4: b",
        "0: a,\r\n4: b,\r\n",
        "0: a, 4: b",
        "0:a,4:b",
        '0 = "a", 4 = "b"',
        '0 = a\n"4" = b',
        '"0": "a" "4": "b"',
        '"0":\n"a"\n"4":\n"b"',
        '# from here\n"0": "a", // not yet\n\n   // soon\n"4": "b" # now',
        "\u201c0\u201d: \u201ca\u201d, \u201c4\u201d: \u201cb\u201d",
        '"0.0": "a", "1.0": "b"',
        "-5: a\n-1: b",
        '"0": "b", "0": "a", "4": "b"',
        '"4": "b", "0,0": "a"',
    ],
)
def test_many_ways_to_write_one_schedule(text):
    assert share_of_b(text, 5) == pytest.approx([0, 0.25, 0.5, 0.75, 1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"0,4": "a", "2": "b"', "aabbaaaa"),
        ('"0:3": "a", "3:6": "b", "6": "c"', "aaabbbcc"),
        ("0:3: a\n3: = b\n5:: c", "aaabbccc"),
        ('"0, 2:4, -1": "a", "1,4": "b"', "abaabbba"),
        ('"-3:-1": "b", "0": "a", "-1": "c"', "aaaaabbc"),
        ('"0:-2": "a", "-2": "b"', "aaaaaabb"),
    ],
)
def test_lists_and_ranges(text, expected):
    assert prompts(text, 8) == expected


def test_a_range_stays_and_goes_over_from_its_last_frame():
    assert share_of_b('"0:3": "a", "6": "b"', 7) == pytest.approx([0, 0, 0, 0.25, 0.5, 0.75, 1])
    assert share_of_b('"0:": "a", "3": "b"', 4) == [0, 0, 0, 1]
    assert share_of_b('"0:": "a" ease_in, "2": "b"', 3) == [0, 0.25, 1]


def test_easings_after_a_quoted_prompt():
    assert share_of_b('"0": "a" ease_in, "4": "b"', 5) == pytest.approx([0, 1 / 16, 1 / 4, 9 / 16, 1])
    assert share_of_b('"0": "a" hold // comment\n"2": "b"', 3) == [0, 0, 1]
    assert parse_prompt_schedule("0: a hold").keys[0].prompt == "a hold"


def test_the_same_prompt_twice_is_no_blend_and_a_prompt_that_no_frame_reaches_is_not_named():
    assert set(shares('"0": "a", "8": "a"', 9)) == {PromptShare("a", "a", 0.0)}
    assert set(shares('"0": "a" hold, "90": "b"', 9)) == {PromptShare("a", "a", 0.0)}


@pytest.mark.parametrize(
    ("written", "prompt"),
    [
        (r'"a \"big\" cat"', 'a "big" cat'),
        (r'"a \(real\) cat, (b:1.2)"', r"a \(real\) cat, (b:1.2)"),
        ('"a cat,\n  on a mat"', "a cat,\n  on a mat"),
        (r'"back\\slash \u00e9 \ud83d\ude00"', "back\\slash \u00e9 \U0001f600"),
        (r'"emb:\style"', r"emb:\style"),
        ('"a: 1, 8: {x|y} # no comment // either"', "a: 1, 8: {x|y} # no comment // either"),
        ('""', ""),
        ("a cat, 16:9 photo at 5:30, (b:1.2), 2 dogs", "a cat, 16:9 photo at 5:30, (b:1.2), 2 dogs"),
        ("it's a cat #1 // really", "it's a cat #1 // really"),
        ("a cat, 16:9, 4k, 3", "a cat, 16:9, 4k, 3"),
        ("9:16 portrait", "9:16 portrait"),
        ("'tis a cat", "'tis a cat"),
        ("8 cats", "8 cats"),
    ],
)
def test_prompts_arrive_as_written(written, prompt):
    for text in (f"0: {written}", f"0: {written},\n12: z", f"0: {written}, 12: z", f'"0" :{written},\n"12": "z"'):
        assert parse_prompt_schedule(text).keys[0].prompt == prompt


# form feeds and backspaces are left out: in a prompt their escapes are the start of a file name
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="`\b\f")).filter(lambda t: "--neg" not in t)


@given(st.dictionaries(st.integers(-99, 99), TEXTS))
def test_what_json_writes_is_read(keys):
    for ascii_only in (True, False):
        text = json.dumps({str(frame): prompt for frame, prompt in keys.items()}, ensure_ascii=ascii_only)
        if keys:
            assert {k.at: k.prompt for k in parse_prompt_schedule(text).keys} == keys


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("a cat", 1, "a cat does not start with a frame number and a colon"),
        ('"0": "a",\n\nmax_f/2: "b"', 3, "does not start with a frame number"),
        ("0: a\n  and more", 2, "and more does not start with a frame number"),
        ('"0": "a",\n"max_f/2": "b"', 2, "has 'max_f/2' where a frame number belongs .sums are not calculated"),
        ('"": "a"', 1, "has '' where a frame number belongs"),
        ('"0,": "a"', 1, "has '' where a frame number belongs"),
        ('"0": "a",\n"8": "b', 2, '"8": "b has a quote that is not closed'),
        ('"0": "a "big" cat"', 1, "goes on after the prompt with 'big\" cat\"', which is no easing .linear, ease_in"),
        ('"0": "a" bounce', 1, "with 'bounce', which is no easing"),
        ("0: a\n8:\n", 2, "8: has no prompt .an empty one is written"),
        ('"1.5": "a"', 1, "has a position outside 0.0 to 1.0"),
        ('"5:5": "a"', 1, "has the range '5:5', which is empty"),
        ('"-2:-4": "a"', 1, "has the range '-2:-4', which is empty"),
        ('"-4:0": "a"', 1, "which is empty"),
        ('"0.0:0.5": "a"', 1, "range '0.0:0.5', whose ends must be frame numbers"),
        ('"0": "a --neg b"', 1, "has '--neg', which belongs to other packs; connect a second Prompt Schedule"),
        ('"0": "(a:`pw_a`)"', 1, "has the expression `pw_a`, which is not calculated"),
        ("0: a\n" + '8: "' + "b" * 99 + '" c', 2, '8: "' + "b" * 53 + r"\.\.\. goes on"),
    ],
)
def test_errors_show_line_piece_and_an_example(text, line, why):
    with pytest.raises(ValueError, match=why) as caught:
        parse_prompt_schedule(text)
    assert str(caught.value).startswith(f"Line {line} of the prompt schedule: ") and PROMPT_SCHEDULE_EXAMPLE in str(
        caught.value
    )


@pytest.mark.parametrize("text", ["", " \n,", "{}", "// nothing\n# yet"])
def test_an_empty_schedule_is_refused(text):
    with pytest.raises(ValueError, match="The prompt schedule is empty; write for example"):
        parse_prompt_schedule(text)


@pytest.mark.parametrize(
    ("prepend", "prompt", "append", "expected"),
    [
        ("", "a cat, ", "", "a cat, "),
        ("best,", " a cat, ", ", 4k\n", "best, a cat, 4k"),
        ("best", "", "4k", "best, 4k"),
        ("best", "a cat", " , ", "best, a cat"),
        ("", "a cat.", "4k", "a cat., 4k"),
    ],
)
def test_text_before_and_after_is_joined_with_single_commas(prepend, prompt, append, expected):
    assert joined(prepend, prompt, append) == expected
    key = parse_prompt_schedule(f"0: {json.dumps(prompt)}").between(prepend, append).keys[0]
    assert key.prompt == expected


def test_text_around_prompts_is_checked_as_prompts_are():
    with pytest.raises(ValueError, match="append has '--neg'"):
        parse_prompt_schedule("0: a").between("", "4k --neg blurry")


def test_a_long_list_of_numbers_is_read_at_once():
    """No backtracking: each of these would take years."""
    numbers = ", ".join(["111"] * 300)
    assert parse_prompt_schedule(f"0: {numbers}").keys[0].prompt == numbers
    with pytest.raises(ValueError, match="does not start"):
        parse_prompt_schedule(numbers)
    assert parse_prompt_schedule(f'0: "{numbers}\\\\" hold').keys[0].easing == "hold"
