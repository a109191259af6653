"""The judge of the storm on answers whose verdict is known: a judge that sees nothing passes for ever."""

import traceback
from fractions import Fraction

import pytest

from support.e2e.fuzz import judge
from support.e2e.fuzz.prompts import Trial
from support.e2e.fuzz.report import BEGIN, END, put_into
from support.e2e.fuzz.storm import BLOCKED, GONE, Result


@pytest.mark.parametrize(
    "text",
    [
        "strength is nan; give a finite number.",
        "'x.ckpt' holds text (an HTML page); download the file itself.",
    ],
)
def test_sentences(text):
    assert judge.is_sentence(text)


@pytest.mark.parametrize(
    "text",
    [
        "cannot convert float NaN to integer",
        "'\u732b' does not exist.",
        "a line\nand another.",
        "/home/anna/x.ckpt is no file.",
        "x" * 800 + ".",
        "",
    ],
)
def test_what_is_no_sentence(text):
    assert not judge.is_sentence(text)


@pytest.mark.parametrize(
    ("kind", "text", "verdict"),
    [
        ("ValueError", "strength is nan; give a finite number.", judge.SENTENCE),
        ("zoetrope.motion_models.errors.MotionFileError", "'x' is cut off; download it again.", judge.SENTENCE),
        ("IndexError", "strength is nan; give a finite number.", judge.BROKEN),
        ("ValueError", "cannot convert float NaN to integer", judge.BROKEN),
    ],
)
def test_an_error_of_a_node(kind, text, verdict):
    assert judge.of_error({"exception_type": kind, "exception_message": text, "node_type": "X"}).kind == verdict


def fails(function, *arguments) -> dict:
    """What the history says of an error."""
    try:
        function(*arguments)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is judged
        frames = traceback.format_tb(error.__traceback__)
        return {"exception_type": type(error).__name__, "exception_message": str(error), "traceback": frames}
    raise AssertionError("it did not fail")


def refuses(text: str) -> None:
    raise ValueError(
        f"strength is {text}; "  # more than one line, as ours are
        "give a finite number."
    )


def test_an_error_raised_on_purpose():
    assert judge.of_error(fails(refuses, "nan")).kind == judge.SENTENCE


@pytest.mark.parametrize(
    ("function", "argument"),
    [(lambda text: float(text), "abc"), (lambda text: int(text), "abc"), (Fraction, "a: b.")],
    ids=["float", "int", "library"],
)
def test_an_error_of_python_is_broken_though_it_reads_as_a_sentence(function, argument):
    error = fails(function, argument)
    assert judge.is_sentence(error["exception_message"])
    assert judge.of_error(error).kind == judge.BROKEN


def test_growth_beyond_its_room():
    before = {"memory, MiB": 1000, "threads": 3, "open files": 13, "child processes": 0}
    assert judge.grown(before, before | {"memory, MiB": 1100, "threads": 2}) == []
    assert judge.grown(before, before | {"child processes": 1}) == ["child processes: 0 to 1"]
    assert judge.grown(before, before | {"memory, MiB": 1200}) == ["memory, MiB: 1000 to 1200"]


def test_a_server_that_is_gone_or_blocked_ends_the_storm():
    for message, ends in ((f"{GONE}: no answer", True), (BLOCKED, True), ("IndexError", False)):
        result = Result(Trial("x", "y", "z", {}), judge.Verdict(judge.BROKEN, message), 0.0)
        assert result.ends_the_storm == ends


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("node 1 (X), value_bigger_than_max: Value 1e+39 bigger than max of 10.0: strength", judge.SENTENCE),
        (
            "node 1 (X), custom_validation_failed: Custom validation failed for node: a - a is nan; give a number.",
            judge.SENTENCE,
        ),
        (
            "node 1 (X), custom_validation_failed: Custom validation failed for node: a - '\u732b' is none.",
            judge.BROKEN,
        ),
        ("node 1 (X), exception_during_inner_validation: [Errno 40] Too many levels of symbolic links", judge.BROKEN),
        ("HTTP 500: Internal Server Error", judge.BROKEN),
    ],
)
def test_a_refused_prompt(line, verdict):
    assert judge.of_refusal([line]).kind == verdict


def test_results():
    assert judge.of_results([], []).kind == judge.ACCEPTED
    assert judge.of_results(["x.latent"], []).kind == judge.BROKEN
    assert judge.of_results([], ["x.mp4"]).kind == judge.BROKEN


def test_only_the_table_of_a_document_is_replaced(tmp_path):
    path = tmp_path / "x.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    put_into(path, "new")
    assert path.read_text() == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    path.write_text("before")
    with pytest.raises(ValueError, match=r"^x\.md has no lines"):
        put_into(path, "new")
