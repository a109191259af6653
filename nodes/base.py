"""What every node is: a node of ComfyUI whose inputs are looked at before it runs."""

from typing import Any

from comfy_api.latest import io

from .input_checks import check_inputs, knows_choices


class Node(io.ComfyNode):
    """A node that never begins with an input it cannot use.

    ComfyUI checks what a widget holds when a prompt is queued. What comes over a wire nobody has checked, so each input
    is held against its socket once more when the node runs, before its ``execute``.
    """

    FUNCTION = "execute_checked"  # type: ignore[assignment]  # the method that ComfyUI calls

    @classmethod
    def execute_checked(cls, **inputs: Any) -> io.NodeOutput:
        """Check the inputs, then run the node as ComfyUI runs it.

        Raises:
            ValueError: an input cannot be used; the sentence names it.
        """
        schema = cls.SCHEMA
        if schema is None or not knows_choices(schema, inputs):  # ComfyUI keeps that of its start; files come later
            schema = cls.define_schema()
        check_inputs(schema, inputs, checked_by_node(cls))
        return cls.EXECUTE_NORMALIZED(**inputs)


def checked_by_node(node: type[io.ComfyNode]) -> frozenset[str]:
    """Inputs whose choices the node itself looks at: those that its ``validate_inputs`` (as ComfyUI decides it) and its
    ``check_lazy_status`` name.
    """
    codes = (method.__func__.__code__ for method in (node.validate_inputs, node.check_lazy_status))  # type: ignore[attr-defined]
    return frozenset(name for code in codes for name in code.co_varnames[1 : code.co_argcount])
