import pytest

from zoetrope.host.control.layer_weights import LayerWeights, parse_layer_weights, spread

SD15 = ["output"] * 12 + ["middle"]  # shallow to deep


def test_soft_weights_are_those_of_sd_webui_controlnet():
    """Its "My prompt is more important": 0.825 ** (12 - i) for i = 0 to 12."""
    assert LayerWeights(soft=0.825).at(SD15) == pytest.approx([0.825 ** (12 - i) for i in range(13)])
    assert LayerWeights(soft=0.5).at(["input"] * 4) == [0.125, 0.25, 0.5, 1.0]


@pytest.mark.parametrize(
    ("numbers", "count", "expected"),
    [
        ((1, 0), 5, [1, 0.75, 0.5, 0.25, 0]),
        ((1, 2, 4), 3, [1, 2, 4]),
        ((0, 1, 0), 5, [0, 0.5, 1, 0.5, 0]),
        ((3,), 4, [3, 3, 3, 3]),
        ((1, 3), 1, [2]),
        ((1, 0, 1, 0), 2, [1, 0]),
        ((1, 0), 0, []),
    ],
)
def test_numbers_are_spread_over_the_layers(numbers, count, expected):
    assert spread(numbers, count) == pytest.approx(expected)


def test_plain_numbers_are_for_all_layers():
    assert parse_layer_weights("1, 0").at(["output"] * 2 + ["middle"]) == [1, 0.5, 0]
    assert parse_layer_weights(" 0.5\n").at(["input"] * 3) == [0.5] * 3


@pytest.mark.parametrize(
    "text", ["output: 0.2, 0.4, middle: 3", "middle: 3; output: 0.2; 0.4", "Output : 0.2\n0.4\nmiddle:3"]
)
def test_parts_by_name(text):
    assert parse_layer_weights(text).at(["input", "output", "output", "middle"]) == [1, 0.2, 0.4, 3]


def test_soft_and_listed_weights_multiply():
    assert parse_layer_weights("2", soft=0.5).at(["output"] * 2 + ["middle"]) == [0.5, 1, 2]


def test_nothing_written_is_neutral():
    assert parse_layer_weights("").neutral and parse_layer_weights(" 1, 1.0").neutral
    assert not parse_layer_weights("", 0.9).neutral and not parse_layer_weights("1, 0").neutral


def test_parts_that_a_control_lacks_are_known():
    assert parse_layer_weights("input: 0, middle: 1").unknown(SD15) == ["input"]
    assert parse_layer_weights("0.5").unknown(SD15) == []


@pytest.mark.parametrize(
    ("text", "soft", "words"),
    [
        ("deep: 1", 1.0, "'deep: 1' names no part"),
        ("1, x", 1.0, "'x' is no number"),
        ("nan", 1.0, "'nan' is not finite"),
        ("output:", 1.0, "'output:' has no number"),
        ("output: 1, output: 2", 1.0, "'output: 2' comes after"),
        ("1, middle: 2", 1.0, "'middle: 2' comes after"),
        ("", 0.0, "soft_weights is 0.0"),
    ],
)
def test_what_cannot_be_read_is_named(text, soft, words):
    with pytest.raises(ValueError, match=words):
        parse_layer_weights(text, soft)
