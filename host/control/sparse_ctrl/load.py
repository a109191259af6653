"""Loading a SparseCtrl file into a CONTROL_NET."""

import logging

import comfy.model_management as management
import comfy.ops
import comfy.utils
from torch import Tensor

from ....inputs.quoting import plain, quoted
from ....motion_models.checkpoints.sparse_ctrl import SPARSE_CTRL_FILE, SparseSpec, read_sparse_checkpoint
from ....motion_models.networks.module_call import ModuleCall
from ...loading import model_files, patchers
from .control import SparseControl, sparse_control
from .network import SparseNetwork

log = logging.getLogger("zoetrope")

CONTROLNETS = "controlnet"  # key of the host's model folder


def load_sparse_control(name: str, scale: float = 1.0, effect: float = 1.0) -> SparseControl:
    """Load a file of ``models/controlnet``.

    Args:
        name: file name.
        scale: factor of the keys of its temporal attentions.
        effect: blend of its motion modules' input (0) and output (1).

    Raises:
        ValueError: the file is missing, unreadable, incomplete or no SparseCtrl; the sentence says what it is.
    """
    _, state_dict = model_files.read_file(CONTROLNETS, name)
    try:
        spec, weights = read_sparse_checkpoint(state_dict)
        control = _build(spec, weights, ModuleCall(scale=scale, effect=effect))
    except ValueError as error:
        raise ValueError(f"{quoted(name)}: {plain(error, 600)}") from error
    log.info("Loaded SparseCtrl %s: %s, %d frames at most.", plain(name), plain(spec.kind), spec.motion.max_frames)
    return control


def _build(spec: SparseSpec, weights: dict[str, Tensor], motion: ModuleCall) -> SparseControl:
    """The network in the types that core chooses for ControlNets."""
    device = management.get_torch_device()
    dtype = management.unet_dtype(model_params=-1, weight_dtype=comfy.utils.weight_dtype(weights))
    compute = management.unet_manual_cast(dtype, device)
    network = SparseNetwork(spec, comfy.ops.pick_operations(dtype, compute), management.unet_offload_device(), dtype)
    patchers.load_weights(network, weights, SPARSE_CTRL_FILE)
    network.eval().requires_grad_(False)
    return sparse_control(network, motion, load_device=device, manual_cast_dtype=compute)
