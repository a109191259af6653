"""Running nodes as ComfyUI's executor runs them."""

import asyncio

import execution
import torch
from comfy_api.latest import io


def run_node(node, prompt=None, workflow=None, **inputs):
    """Run a node as ComfyUI's executor does; optional inputs that are left out stay left out.

    Args:
        node: class of the node.
        prompt: API prompt that the node is told.
        workflow: graph that the node is told.
        inputs: of the node.

    Returns:
        (outputs, what the frontend gets).
    """
    extra = {} if workflow is None else {"workflow": workflow}
    v3_data = {
        "hidden_inputs": {io.Hidden.prompt: prompt or {}, io.Hidden.extra_pnginfo: extra},
        "dynamic_paths": {},
        "dynamic_paths_default_value": {},
        "create_dynamic_tuple": False,
    }
    boxed = {key: [value] for key, value in inputs.items()}
    with torch.inference_mode():
        call = execution.get_output_data("prompt id", "7", node, boxed, v3_data=v3_data)
        outputs, ui, *_ = asyncio.run(call)
    return [output[0] for output in outputs], ui
