"""Odd values of an input's own type: what a slip of the hand, another program or a wire can bring."""

import random
from collections.abc import Mapping
from typing import Any

GRAMMAR = (
    '"0": "a"',
    "0: 1.0",
    "0:",
    ",",
    ",1",
    "=",
    "-1: 0 hold",
    "ease_in",
    "//",
    "#",
    "{",
    "}",
    '"',
    "'",
    "\\",
    "::",
    "8-12",
    "nan",
)
TEXT = (
    "a",
    " ",
    "\n",
    "\r\n",
    "\t",
    "\x00",
    "\x1b[31m",
    "\u00e9",
    "\u732b",
    "\U0001f600",
    "\ud800",
    "%",
    "%s",
    "{0}",
    "../",
    "%date:y%",
)
NUMBERS = (float("nan"), float("inf"), float("-inf"), 1e39, -1e308, 5e-324, 0.0, -0.0)


def odd_number(spec: Mapping[str, Any], pick: random.Random) -> tuple[str, Any]:
    """A number for a FLOAT or an INT: no number, beyond float32, at its ends, huge."""
    whole = spec["type"] == "INT"
    if whole:
        return pick.choice(
            [("huge number", 2 ** pick.choice((31, 63, 70))), ("small number", pick.choice((-(2**40), -1, 0, 1)))]
        )
    kind = pick.choice(("no number", "huge number", "small number"))
    value = {"no number": pick.choice(NUMBERS[:3]), "huge number": pick.choice(NUMBERS[3:5])}.get(
        kind, pick.choice((*NUMBERS[5:], -1.0, 1.0, 0.001, pick.uniform(-10, 10)))
    )
    return kind, value


def odd_text(spec: Mapping[str, Any], pick: random.Random) -> tuple[str, Any]:
    """A text: empty, signs that nobody prints, pieces of the grammars in any order, long ones."""
    kind = pick.choice(("odd signs", "grammar", "long text", "line ends", "empty text"))
    if kind == "empty text":
        return kind, pick.choice(("", " ", "\n"))
    if kind == "line ends":
        return kind, str(spec.get("default") or '0: 1\n8: "b"').replace("\n", "\r\n") + "\r\n"
    if kind == "long text":
        piece = pick.choice(GRAMMAR + TEXT[:3])
        return kind, piece * (3000 // len(piece))
    pieces = GRAMMAR if kind == "grammar" else TEXT
    return kind, "".join(pick.choices(pieces, k=pick.randint(1, 12)))


def odd_value(spec: Mapping[str, Any], pick: random.Random) -> tuple[str, Any] | None:
    """(class of fault, value) for one input of the contract; None for a socket.

    Args:
        spec: the input as ``tests/golden/nodes.json`` has it.
        pick: where chance comes from.
    """
    first = spec["type"].split(",")[0]
    if first in ("FLOAT", "INT"):
        return odd_number({**spec, "type": first}, pick)
    if first == "STRING":
        return odd_text(spec, pick)
    if first == "COMBO":
        return "unknown choice", pick.choice(("", "x", "None", *TEXT[5:11]))
    if first == "BOOLEAN":
        return "switch", pick.choice((True, False))
    return None
