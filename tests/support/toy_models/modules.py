"""A motion network of toy width, and clips for its modules."""

import torch

from support.files.motion import motion_file
from zoetrope.motion_models.checkpoints.motion_model import read_motion_checkpoint
from zoetrope.motion_models.networks.motion_module import MotionNetwork

CHANNELS = 64  # of the module at input 4
FRAMES = 6


def build(file=None, **options) -> MotionNetwork:
    """Network of a toy file in inference mode."""
    spec, weights = read_motion_checkpoint(file or motion_file())
    network = MotionNetwork(spec, **options)
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)


def clip(frames=FRAMES, chunks=1, size=(4, 6), seed=3):
    """(chunks * frames, CHANNELS, *size) seeded noise."""
    return torch.randn(chunks * frames, CHANNELS, *size, generator=torch.Generator().manual_seed(seed))
