"""Which blocks of SD1.5's UNet the narrow image network has; the others pass their input on and are nothing.

A ResBlock that is left out on the way up passes on what comes from below and drops its skip connection.
"""

from __future__ import annotations

WIDTH, WIDE = 64, 320
REPEAT = WIDE // WIDTH  # each narrow channel stands for this many published ones
HEADS = 8
CONTEXT = 768
UNET, CONTROL = "model.diffusion_model.", "control_model."
LEVELS = 4
# Blocks of SD1.5 with ResBlocks, and with spatial transformers; the middle block has both in either network.
RESIDUAL = {"input": (1, 2, 4, 5, 7, 8, 10, 11), "output": tuple(range(12))}
ATTENDING = {"input": (1, 2, 4, 5, 7, 8), "output": tuple(range(3, 12))}
ACTIVE_RESIDUAL = {"input": (1, 4, 7, 8, 10), "output": (0, 2, 3, 5, 6, 8, 9, 11)}
ACTIVE_ATTENDING = {"input": (4, 7), "output": (5, 8)}
