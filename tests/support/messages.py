"""Finds messages that show a text of a user, a file or a library as it is, by the source alone.

Safe are: what `inputs.quoting` gives, numbers by format, annotation or arithmetic, shapes, constants of a module, and names
that hold nothing else. Where a parameter is shown, every call of that function in the pack is looked at.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from support import source

QUOTING = {"quoted", "plain", "quoted_names", "closest_names", "reason_of", "file_name"}
SAFE_CALLS = QUOTING | {"len", "int", "float", "round", "abs", "sum", "ord"}
SAFE_PARTS = {
    "shape",
    "ndim",
    "dtype",
    "device",
    "type",
    "__name__",
    "__version__",
    "numel",
    "id",
}  # the id of a socket
THROUGH = set(
    [
        "tuple",
        "sorted",
        "list",
        "min",
        "max",
        "str",
        "enumerate",
        "zip",
        "reversed",
        "set",
        "dict",
        "next",
        "iter",
        "join",
    ]
)
METHODS_THROUGH = set(
    ["items", "keys", "values", "removesuffix", "removeprefix", "lower", "title", "capitalize", "strip"]
)
LATER_PARTS = {"map", "get"}  # whose first argument is not shown
NUMBERS = re.compile(r"(?:(?:int|float|bool|None|Fraction|tuple|list)\b|[\[\], .|])+")  # an annotation of numbers only
NOT_TOLD = {"AttributeError", "NotImplementedError"}  # what programmers see
LOGS = {"debug", "info", "warning", "error", "exception", "critical"}
TELLING = {"str | None", "bool | str", "bool | str | None", "ValueError", "RuntimeError"}
PARTS: dict[type, tuple[str, ...]] = {
    type(None): (),
    ast.Constant: (),
    ast.Compare: (),
    ast.BinOp: ("left", "right"),
    ast.IfExp: ("body", "orelse"),
    ast.Dict: ("keys", "values"),
    ast.DictComp: ("key", "value"),
    **dict.fromkeys((ast.Subscript, ast.Starred), ("value",)),
    **dict.fromkeys((ast.GeneratorExp, ast.ListComp, ast.SetComp), ("elt",)),
    **dict.fromkeys((ast.JoinedStr, ast.BoolOp), ("values",)),
    **dict.fromkeys((ast.List, ast.Tuple, ast.Set), ("elts",)),
    ast.UnaryOp: ("operand",),
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Messages:
    """What the messages of some files show."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files
        self.parents: dict[ast.AST, ast.AST] = {}
        self.functions: dict[str, list[Function]] = defaultdict(list)
        self.calls: dict[str, list[ast.Call]] = defaultdict(list)
        self.annotations: dict[str, dict[ast.AST, set[str]]] = defaultdict(lambda: defaultdict(set))
        self.asked: set[tuple[int, str]] = set()
        for path in files:
            for node in ast.walk(source.tree(path)):
                self._note(node, source.tree(path))

    def _note(self, node: ast.AST, module: ast.Module) -> None:
        for child in ast.iter_child_nodes(node):
            self.parents[child] = node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self.functions[node.name].append(node)
        elif isinstance(node, ast.Call):
            self.calls[_last_name(node.func)].append(node)
        elif isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, ast.AnnAssign):
                    self.annotations[ast.unparse(part.target)][module].add(ast.unparse(part.annotation))

    def faults(self, path: Path) -> Iterator[str]:
        """Lines of a file that show something as it is, each with what."""
        for node in ast.walk(source.tree(path)):
            for shown in self._shown(node):
                for part in self._unsafe(shown):
                    yield f"{source.name_of(path)}:{part.lineno}: {ast.unparse(part)}"

    def _shown(self, node: ast.AST) -> list[ast.expr]:
        """Texts that a statement tells."""
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            known = _last_name(node.exc.func) in {*self.functions, *NOT_TOLD}  # or a function of ours that makes it
            return [] if known else node.exc.args
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOGS:
            logs = ast.unparse(node.func.value) in ("logging", "logger", "log")
            return node.args if logs else []
        if isinstance(node, ast.Return) and node.value is not None:
            function = self._function_of(node)
            told = function is not None and function.returns is not None and ast.unparse(function.returns) in TELLING
            if told and isinstance(node.value, ast.JoinedStr):
                return [node.value]
            if told and isinstance(node.value, ast.Call) and _last_name(node.value.func).endswith("Error"):
                return node.value.args
        return []

    def _unsafe(self, shown: ast.expr) -> list[ast.expr]:
        if isinstance(shown, ast.JoinedStr):
            return [part.value for part in shown.values if isinstance(part, ast.FormattedValue) and not self.safe(part)]
        if isinstance(shown, ast.IfExp):
            return self._unsafe(shown.body) + self._unsafe(shown.orelse)
        return [] if self.safe(shown) else [shown]

    def safe(self, node: ast.AST | None) -> bool:
        """Whether an expression holds nothing that others wrote."""
        if isinstance(node, ast.Name):
            return node.id.isupper() or self._safe_name(node, node.id)
        if isinstance(node, ast.Attribute):
            return node.attr in SAFE_PARTS or node.attr.isupper() or self._number(node)
        if isinstance(node, ast.Call):
            return self._safe_call(node)
        parts = _parts(node)
        return parts is not None and all(map(self.safe, parts))

    def _number(self, node: ast.Attribute) -> bool:
        """Whether an attribute is a number by annotation: of this file's classes, or else of all that have it."""
        files = self.annotations[node.attr]
        found = files.get(self._module_of(node)) or set().union(*files.values())
        return bool(found) and all(map(NUMBERS.fullmatch, found))

    def _module_of(self, node: ast.AST) -> ast.AST:
        while node in self.parents:
            node = self.parents[node]
        return node

    def _safe_call(self, node: ast.Call) -> bool:
        name = _last_name(node.func)
        if name in SAFE_CALLS or name in SAFE_PARTS:
            return True
        if name in THROUGH:
            return all(map(self.safe, node.args))
        if name in METHODS_THROUGH and isinstance(node.func, ast.Attribute):
            return self.safe(node.func.value)
        if name in LATER_PARTS:
            owner = node.func.value if isinstance(node.func, ast.Attribute) else None
            return all(map(self.safe, [owner, *node.args[1:]]))
        functions = self.functions[name]
        if name.startswith("_"):
            functions = [function for function in functions if self._module_of(function) is self._module_of(node)]
        return bool(functions) and all(map(self._gives_safe, functions))

    def _gives_safe(self, function: Function) -> bool:
        if _counts(function.returns):
            return True
        if (id(function), "") in self.asked:
            return True
        self.asked.add((id(function), ""))
        given = [part.value for part in ast.walk(function) if isinstance(part, ast.Return)]
        good = bool(given) and all(self.safe(value) for value in given)
        self.asked.discard((id(function), ""))
        return good

    def _function_of(self, node: ast.AST) -> Function | None:
        while (node := self.parents.get(node)) is not None:  # type: ignore[assignment]
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                return node
        return None

    def _safe_name(self, node: ast.AST, name: str) -> bool:
        """Whether everything that a name is bound to around here is safe."""
        function = self._function_of(node)
        if function is None:
            return False
        if (id(function), name) in self.asked:
            return True
        self.asked.add((id(function), name))
        bound = [value for part in ast.walk(function) for value in _bindings(part, name)]
        given = self._parameter(function, name)
        around = self._safe_name(function, name) if not bound and given is None else False
        good = around or (bool(bound) or given is not None) and all(map(self.safe, bound)) and given is not False
        self.asked.discard((id(function), name))
        return good

    def _parameter(self, function: Function, name: str) -> bool | None:
        """Whether a parameter is safe at every call; None where it is none."""
        parameters = [*function.args.posonlyargs, *function.args.args]
        found = [part for part in [*parameters, *function.args.kwonlyargs] if part.arg == name]
        if not found:
            return None
        if _counts(found[0].annotation):
            return True
        place = parameters.index(found[0]) if found[0] in parameters else 10**6
        place -= bool(parameters) and parameters[0].arg in ("self", "cls")
        calls = self.calls[function.name]
        if function.name.startswith("_"):
            calls = [call for call in calls if self._module_of(call) is self._module_of(function)]
        return bool(calls) and all(self.safe(value) for call in calls for value in _given(call, place, name))

    @cached_property
    def all_faults(self) -> list[str]:
        """Faults of all files."""
        return [fault for path in self.files for fault in self.faults(path)]


def _given(call: ast.Call, place: int, name: str) -> list[ast.expr]:
    return [
        *call.args[place : place + 1],
        *(keyword.value for keyword in call.keywords if keyword.arg == name),
    ]


def _bindings(node: ast.AST, name: str) -> Iterator[ast.expr]:
    """What a statement binds to a name; of several names at once, the whole."""
    match node:
        case ast.Assign():
            pairs = [(target, node.value) for target in node.targets]
        case ast.AnnAssign() | ast.AugAssign() | ast.NamedExpr() if node.value is not None:
            pairs = [(node.target, node.value)]
        case ast.For() | ast.comprehension():
            pairs = [(node.target, node.iter)]
        case ast.ExceptHandler() if node.name == name:
            yield ast.Name("what_others_say")
            return
        case _:
            return
    for target, value in pairs:
        if isinstance(value, ast.Call) and _last_name(value.func) == "enumerate" and isinstance(target, ast.Tuple):
            counter, target, value = *target.elts, value.args[0]
            yield from [ast.Constant(0)] if name in _names(counter) else []
        same = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts)
        parts = list(zip(target.elts, value.elts, strict=True)) if same else [(target, value)]  # type: ignore[attr-defined]
        yield from (given for part, given in parts if name in _names(part))


def _parts(node: ast.AST | None) -> list[ast.AST | None] | None:
    """Parts of an expression that must be safe for it to be; None where that cannot be said."""
    if isinstance(node, ast.FormattedValue):
        return [] if _numeric(node.format_spec) else [node.value]
    if isinstance(node, ast.BinOp) and not isinstance(node.op, ast.Add | ast.Mult | ast.Mod):
        return []  # a number
    fields = PARTS.get(type(node))
    if fields is None:
        return None
    found = [getattr(node, field) for field in fields]
    return [part for value in found for part in (value if isinstance(value, list) else [value])]


def _names(target: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(target) if isinstance(part, ast.Name)}


def _counts(annotation: ast.expr | None) -> bool:
    return annotation is not None and NUMBERS.fullmatch(ast.unparse(annotation)) is not None


def _last_name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _numeric(spec: ast.expr | None) -> bool:
    return spec is not None and ast.unparse(spec).strip("f'\"")[-1:] in tuple("gdfe%,")
