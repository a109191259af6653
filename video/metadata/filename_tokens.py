"""Fill ``%date:...%`` and ``%Node.widget%`` in a file name, as ComfyUI's canvas does for core's nodes only.

Done on the server, so that API prompts get it too.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast

from ...inputs.quoting import closest_names, plain, quoted

TOKEN = re.compile(r"%([^%]+)%")
DATE = "date:"
DATE_PART = re.compile("dd?|MM?|hh?|mm?|ss?|yyy?y?")
NODE_WIDGET = re.compile(r"[^%]+\.[A-Za-z_][^%]*")
UNSAFE = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')  # what the canvas replaces: path separators and what Windows refuses
LONGEST_VALUE = 100  # bytes of UTF-8; systems allow 255 for the whole name
NAME_FOR_REPLACE = "Node name for S&R"


def fill_tokens(
    prefix: str,
    now: datetime,
    prompt: object,
    workflow: object,
    missing: Callable[[str], None] | None = None,
) -> str:
    """Return the prefix with our tokens filled in; ``%width%`` and other words between percent signs stay.

    Args:
        prefix: as the user typed it.
        now: for ``%date:...%``, in which d dd M MM h hh m mm s ss yy yyyy are filled in (hours 0 to 23).
        prompt: the API prompt; values come from here.
        workflow: the graph of the canvas, which knows more names of nodes, or None. Clients send what they like: of
            anything that is not of the usual form nothing is known.
        missing: told in a sentence about a token that cannot be filled in, which then stays.

    Raises:
        ValueError: nobody is to be told, and ``%Node.widget%`` names no node that runs, no widget of it, or one without a
            value of its own.
    """

    def fill(found: re.Match[str]) -> str:
        text = found[1]
        if text.startswith(DATE):
            return format_date(text.removeprefix(DATE), now)
        if not NODE_WIDGET.fullmatch(text):
            return found[0]
        try:
            return _name_part(_widget_value(text, _mapping(prompt), _mapping(workflow)))
        except ValueError as error:
            if missing is None:
                raise
            missing(str(error))
            return found[0]

    return TOKEN.sub(fill, prefix)


def format_date(text: str, now: datetime) -> str:
    """Return a text with the letters of a date format replaced, as the canvas does.

    Args:
        text: such as "yyyy-MM-dd hh-mm-ss"; other signs stay.
        now: the time.
    """
    numbers = {"d": now.day, "M": now.month, "h": now.hour, "m": now.minute, "s": now.second}

    def fill(found: re.Match[str]) -> str:
        letters = found[0]
        if letters == "yyy":
            return letters
        if letters[0] == "y":
            return f"{now.year:04}"[-len(letters) :]
        return f"{numbers[letters[0]]:0{len(letters)}}"

    return DATE_PART.sub(fill, text)


def _widget_value(text: str, prompt: Mapping[str, Any], workflow: Mapping[str, Any]) -> object:
    """Return the value behind "Node.widget"; both names may have dots, so every dot is tried."""
    drawn = _Drawing(workflow)
    names = {str(node_id): _names(drawn.node(str(node_id)), _mapping(node)) for node_id, node in prompt.items()}
    inputs = {str(node_id): _mapping(_mapping(node).get("inputs")) for node_id, node in prompt.items()}
    dots = [at for at, sign in enumerate(text) if sign == "."]
    nodes = {at: inputs[found] for at in dots if (found := _find(text[:at], names)) is not None}
    token = f"%{plain(text)}%"
    if not nodes:
        known = list(dict.fromkeys(title for _, title, _ in names.values()))
        raise ValueError(
            f"filename_prefix has {token} and no node that runs is called {quoted(text[: dots[0]])}: there is "
            f"{closest_names(text[: dots[0]], known)}."
        )
    for at, widgets in nodes.items():
        if text[at + 1 :] in widgets:
            return _own_value(token, widgets[text[at + 1 :]])
    at, widgets = next(iter(nodes.items()))
    known = [str(name) for name, value in widgets.items() if not isinstance(value, list)]
    raise ValueError(
        f"filename_prefix has {token} and this node has no such widget: there is {closest_names(text[at + 1 :], known)}."
    )


def _own_value(token: str, value: object) -> object:
    if isinstance(value, list):
        raise ValueError(
            f"filename_prefix has {token} and that comes from another node: name the node and the widget it comes from."
        )
    if not isinstance(value, str | int | float | None):
        raise ValueError(f"filename_prefix has {token} and that is neither text nor a number: choose another widget.")
    return value


def _names(drawn: Mapping[str, Any], node: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return what a node is called: for search and replace, by its title, by its class; "" for none."""
    kind = _text(node.get("class_type"))
    title = _text(drawn.get("title")) or _text(_mapping(node.get("_meta")).get("title")) or kind
    return _text(_mapping(drawn.get("properties")).get(NAME_FOR_REPLACE)), title, kind


def _find(name: str, names: Mapping[str, tuple[str, str, str]]) -> str | None:
    """The canvas looks at names for search and replace before it looks at titles; the first node counts."""
    for rank in range(3):
        for node_id, called in names.items():
            if called[rank] == name:
                return node_id
    return None


class _Drawing:
    """The graph of the canvas; whatever a client sent in its place is a graph without nodes.

    Args:
        workflow: the graph.
    """

    def __init__(self, workflow: Mapping[str, Any]) -> None:
        subgraphs = [_mapping(graph) for graph in _list(_mapping(workflow.get("definitions")).get("subgraphs"))]
        self.nodes = _by_id(workflow)
        self.subgraphs = {_text(graph.get("id")): _by_id(graph) for graph in subgraphs}

    def node(self, node_id: str) -> Mapping[str, Any]:
        """Return a node, {} if unknown; "7:3" is node 3 of the subgraph that node 7 stands for."""
        nodes, node = self.nodes, _mapping(None)
        for part in node_id.split(":"):
            node = nodes.get(part, _mapping(None))
            nodes = self.subgraphs.get(_text(node.get("type")), {})
        return node


def _by_id(graph: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Nodes of a graph; of two with one id the first."""
    nodes = [_mapping(node) for node in _list(graph.get("nodes"))]
    return {str(node.get("id")): node for node in reversed(nodes)}


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _name_part(value: object) -> str:
    """Write a value as JavaScript does, without what a path or Windows would take for something else."""
    if value is None:
        text = ""
    elif isinstance(value, bool):
        text = str(value).lower()
    else:
        text = str(value).removesuffix(".0") if isinstance(value, float) else str(value)
    short = text.encode("utf-8", "ignore")[:LONGEST_VALUE].decode("utf-8", "ignore")
    return UNSAFE.sub("_", short)
