"""Text in messages: printable, short, without the folders of a machine."""

import pytest

from zoetrope.inputs.quoting import closest_names, file_name, plain, quoted, quoted_names, reason_of


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a cat", "'a cat'"),
        ("it's", "'it's'"),
        ("a\nb\t\r\x00\x1b[31m", r"'a\nb\t\r\x00\x1b[31m'"),
        ("caf\u00e9 \u732b", r"'caf\xe9 \u732b'"),
        ("\ud800", r"'\ud800'"),
        ("x" * 80, "'" + "x" * 80 + "'"),
        ("x" * 81, "'" + "x" * 77 + "...'"),
        (3.5, "3.5"),
        ([1, "a"], "[1, 'a']"),
        (10**30, "1" + "0" * 30),
        (ValueError("no\x00 header"), r"no\x00 header"),
    ],
)
def test_a_value_is_printable_ascii_and_short(value, shown):
    assert quoted(value) == shown
    quoted(value).encode("ascii")


def test_an_object_that_cannot_be_written_is_called_by_its_type():
    class Odd:
        def __repr__(self):
            raise RuntimeError

    assert quoted(Odd()).startswith("<Odd instance")


def test_a_number_that_python_refuses_to_write_is_called_by_its_type():
    assert quoted(10**5000).startswith("<int")


def test_of_a_huge_text_only_the_beginning_is_kept():
    assert len(plain("\u732b" * 10_000_000)) == 80


def test_names_are_counted():
    assert quoted_names([]) == "none"
    assert quoted_names(["a", "b"]) == "'a', 'b'"
    assert quoted_names([str(n) for n in range(12)], 2) == "'0', '1' and 10 more"


def test_the_closest_names_come_first():
    names = [f"model_{n}.safetensors" for n in range(300)] + ["mm_sd_v15.ckpt"]
    assert closest_names("mm_sd_v15_v2.ckpt", names) == "'mm_sd_v15.ckpt' and 300 more"
    assert closest_names("zzz", names).endswith("and 291 more")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("cannot open /home/anna/models/x.ckpt: no header"), "cannot open x.ckpt: no header"),
        (ValueError(r"cannot open C:\Users\anna\x.ckpt"), "cannot open x.ckpt"),
        (ValueError("half of 3/4 is wrong."), "half of 3/4 is wrong"),
        (ValueError("first\nsecond"), "first"),
        (KeyError(), "KeyError"),
        (PermissionError(13, "Permission denied", "/home/anna/x"), "Permission denied"),
        (ValueError("see https://example.org/a/b"), "see https://example.org/a/b"),
        (ValueError("file:/home/anna/x.mp4"), "x.mp4"),
    ],
)
def test_a_reason_names_no_folder(error, told):
    assert reason_of(error) == told


def test_a_path_is_called_by_its_last_part():
    assert file_name("/home/anna/x\n.ckpt") == r"'x\n.ckpt'"
    assert file_name("C:\\models\\y.ckpt") == "'y.ckpt'"
