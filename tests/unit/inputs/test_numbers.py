"""Numbers that are numbers."""

import pytest

from zoetrope.inputs.numbers import finite, fits, require_finite


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "-inf", "1e39", "1" * 400])
def test_what_is_no_number(text):
    assert finite(text) is None


def test_numbers():
    assert finite("1e38") == 1e38
    assert finite(" -2.5 ") == -2.5


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e39, 10**400, -(10**400)])
def test_what_does_not_fit(value):
    assert not fits(value)
    with pytest.raises(ValueError, match=r"^strength is .*; give a finite number of at most 3.40282e\+38 in size\.$"):
        require_finite("strength", [1.0, value])


def test_what_fits():
    require_finite("strength", [0, -1.5, 3e38])
    assert not fits(11, 10)
