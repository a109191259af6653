"""What a new node needs besides its class, as far as it shows without ComfyUI."""

import ast

import pytest

from support.pack import ROOT
from support.source import tree

NODES = [
    node
    for path in sorted((ROOT / "nodes").glob("*.py"))
    for node in tree(path).body
    if isinstance(node, ast.ClassDef) and "Node" in map(ast.unparse, node.bases)
]
README = (ROOT / "README.md").read_text(encoding="utf-8")
every_node = pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)


def told(node, keyword):
    """A text that a node's schema gives."""
    texts = [
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.keyword) and part.arg == keyword and isinstance(part.value, ast.Constant)
    ]
    return str(texts[0].value)


def test_each_node_is_in_the_menu_once():
    assigned = [node for node in tree(ROOT / "nodes" / "__init__.py").body if isinstance(node, ast.AnnAssign)]
    (listed,) = [node.value for node in assigned if ast.unparse(node.target) == "NODES"]
    assert isinstance(listed, ast.List)
    assert sorted(map(ast.unparse, listed.elts)) == sorted(node.name for node in NODES)
    assert len(NODES) > 30


@every_node
def test_a_node_has_a_help_page(node):
    page = f"web/docs/{told(node, 'node_id')}.md"
    assert (ROOT / page).is_file(), f"write {page}"


@every_node
def test_readme_names_a_node(node):
    name = told(node, "display_name")
    short = "Frame Values" if name.startswith("Frame Values From") else name  # one row for the five
    assert f"**{short}**" in README, f"README's table of nodes does not name {name}"
