"""Loading a SparseCtrl file into a CONTROL_NET."""

import logging

import comfy.model_management as management
import comfy.ops
import comfy.utils
from torch import Tensor

from ....motion_models.checkpoints.convert import incomplete
from ....motion_models.checkpoints.sparse_ctrl import SPARSE_CTRL_FILE, SparseSpec, read_sparse_checkpoint
from ....motion_models.networks.module_call import ModuleCall
from ...loading import model_files
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
        raise ValueError(f"'{name}': {error}") from error
    log.info("Loaded SparseCtrl %s: %s, %d frames at most.", name, spec.kind, spec.motion.max_frames)
    return control


def _build(spec: SparseSpec, weights: dict[str, Tensor], motion: ModuleCall) -> SparseControl:
    """The network in the types that core chooses for ControlNets."""
    device = management.get_torch_device()
    dtype = management.unet_dtype(model_params=-1, weight_dtype=comfy.utils.weight_dtype(weights))
    compute = management.unet_manual_cast(dtype, device)
    network = SparseNetwork(spec, comfy.ops.pick_operations(dtype, compute), management.unet_offload_device(), dtype)
    _fill(network, weights)
    network.eval().requires_grad_(False)
    return sparse_control(network, motion, load_device=device, manual_cast_dtype=compute)


def _fill(network: SparseNetwork, weights: dict[str, Tensor]) -> None:
    try:
        missing, unknown = network.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise incomplete(
            f"a weight has another shape ({str(error).splitlines()[-1].strip()})", SPARSE_CTRL_FILE
        ) from error
    if missing:
        raise incomplete(f"{missing[0]} is missing", SPARSE_CTRL_FILE)
    if unknown:
        raise ValueError(
            f"this SparseCtrl file has a weight that the published ones do not have, {unknown[0]}; choose "
            "v3_sd15_sparsectrl_rgb.ckpt or v3_sd15_sparsectrl_scribble.ckpt."
        )
