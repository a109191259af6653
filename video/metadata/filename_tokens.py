"""Fill ``%date:...%`` and ``%Node.widget%`` in a file name, as ComfyUI's canvas does for core's nodes only.

Done on the server, so that API prompts get it too.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

TOKEN = re.compile(r"%([^%]+)%")
DATE = "date:"
DATE_PART = re.compile("dd?|MM?|hh?|mm?|ss?|yyy?y?")
NODE_WIDGET = re.compile(r"[^%]+\.[A-Za-z_][^%]*")
UNSAFE = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')  # what the canvas replaces: path separators and what Windows refuses
LONGEST_VALUE = 100  # bytes of UTF-8; systems allow 255 for the whole name
NAMES_IN_A_SENTENCE = 20
NAME_FOR_REPLACE = "Node name for S&R"


def fill_tokens(
    prefix: str,
    now: datetime,
    prompt: Mapping[str, Any] | None,
    workflow: Mapping[str, Any] | None,
    missing: Callable[[str], None] | None = None,
) -> str:
    """Return the prefix with our tokens filled in; ``%width%`` and other words between percent signs stay.

    Args:
        prefix: as the user typed it.
        now: for ``%date:...%``, in which d dd M MM h hh m mm s ss yy yyyy are filled in (hours 0 to 23).
        prompt: the API prompt; values come from here.
        workflow: the graph of the canvas, which knows more names of nodes, or None.
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
            return _name_part(_widget_value(text, prompt or {}, workflow or {}))
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
    names = {node_id: _names(node_id, node, workflow) for node_id, node in prompt.items()}
    dots = [at for at, sign in enumerate(text) if sign == "."]
    nodes = {at: prompt[found] for at in dots if (found := _find(text[:at], names)) is not None}
    if not nodes:
        known = list(dict.fromkeys(title for _, title, _ in names.values()))
        raise ValueError(
            f"filename_prefix has %{text}% and no node that runs is called {text[: dots[0]]!r}: there are {_list(known)}."
        )
    for at, node in nodes.items():
        if text[at + 1 :] in node["inputs"]:
            return _own_value(text, node["inputs"][text[at + 1 :]])
    node = next(iter(nodes.values()))
    known = [name for name, value in node["inputs"].items() if not isinstance(value, list)]
    raise ValueError(f"filename_prefix has %{text}% and this node has no such widget: there are {_list(known)}.")


def _own_value(text: str, value: object) -> object:
    if isinstance(value, list):
        raise ValueError(
            f"filename_prefix has %{text}% and that comes from another node: name the node and the widget it comes from."
        )
    if isinstance(value, dict):
        raise ValueError(f"filename_prefix has %{text}% and that is neither text nor a number: choose another widget.")
    return value


def _names(node_id: str, node: Mapping[str, Any], workflow: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return what a node is called: for search and replace, by its title, by its class; "" for none."""
    drawn = _drawn(node_id.split(":"), workflow)
    kind = node["class_type"]
    meta: Mapping[str, Any] = node.get("_meta") or {}
    properties: Mapping[str, Any] = drawn.get("properties") or {}
    return properties.get(NAME_FOR_REPLACE, ""), drawn.get("title") or meta.get("title") or kind, kind


def _find(name: str, names: Mapping[str, tuple[str, str, str]]) -> str | None:
    """The canvas looks at names for search and replace before it looks at titles; the first node counts."""
    for rank in range(3):
        for node_id, called in names.items():
            if called[rank] == name:
                return node_id
    return None


def _drawn(path: list[str], workflow: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the node of the canvas, {} if unknown; "7:3" is node 3 of the subgraph that node 7 stands for."""
    definitions: Mapping[str, Any] = workflow.get("definitions") or {}
    inner: Iterable[Mapping[str, Any]] = definitions.get("subgraphs") or []
    subgraphs = {graph.get("id"): graph for graph in inner}
    unknown: Mapping[str, Any] = {}
    graph, node = workflow, unknown
    for part in path:
        node = next(_with_id(part, graph), unknown)
        graph = subgraphs.get(node.get("type"), unknown)
    return node


def _with_id(node_id: str, graph: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (node for node in graph.get("nodes", []) if str(node.get("id")) == node_id)


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


def _list(names: list[str]) -> str:
    more = ", ..." if len(names) > NAMES_IN_A_SENTENCE else ""
    return (", ".join(names[:NAMES_IN_A_SENTENCE]) or "none") + more
