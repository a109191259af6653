"""SparseCtrl's network: core's ControlNet with a motion module behind each block of the way down.

Shapes: R = chunks * F rows of the call, F = frames of a chunk (of all windows stacked in it), L = frames of a window,
K = key images, C = channels, H, W = size of the hint, h, w = size of a residual, T = prompt tokens,
D = width of a token's vector.
"""

from dataclasses import dataclass
from typing import Any

import comfy.cldm.cldm
import comfy.ops
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import TimestepEmbedSequential
from comfy.ldm.modules.diffusionmodules.util import timestep_embedding
from torch import Tensor, nn

from ....motion_models.checkpoints.sparse_ctrl import BLOCKS, LEVELS, SparseSpec
from ....motion_models.networks.module_call import AS_TRAINED, ModuleCall
from ....motion_models.networks.motion_module import MotionModule
from ....motion_models.spec import HEADS, LATENT_CHANNELS


@dataclass(frozen=True, eq=False)
class SparseCall:
    """What the network is told in one call besides what every ControlNet gets.

    Attributes:
        keys: (K, C, H, W) hints of the key images, each with its mask channel.
        rows: hint of each of the R rows: 0 is the empty one, n is key image n - 1.
        frames: L.
        acting: (R,) 1 where the residuals count and 0 in windows that are left alone; None is 1 throughout.
        motion: how the motion modules act.
    """

    keys: Tensor
    rows: Tensor
    frames: int
    acting: Tensor | None = None
    motion: ModuleCall = AS_TRAINED


class SparseNetwork(comfy.cldm.cldm.ControlNet):
    """Encoder of the key images of a clip.

    Args:
        spec: from `read_sparse_checkpoint`.
        operations: one of the host's namespaces of layers.
        device: of the weights.
        dtype: of the weights.

    Source:
        guoyww/AnimateDiff ``animatediff/models/sparse_controlnet.py``, SparseControlNetModel, with the published configs
        (``set_noisy_sample_input_to_zero``, ``concate_conditioning_mask``; ``use_simplified_condition_embedding``
        for rgb).
    """

    def __init__(self, spec: SparseSpec, operations: Any, device: torch.device, dtype: torch.dtype) -> None:
        width = spec.widths[0]
        transformers: Any = [1] * BLOCKS * (LEVELS - 1) + [0] * BLOCKS  # core declares a number and takes a list
        super().__init__(
            image_size=32,
            in_channels=LATENT_CHANNELS,
            model_channels=width,
            hint_channels=spec.hint_channels,
            num_res_blocks=BLOCKS,
            channel_mult=tuple(level // width for level in spec.widths),
            num_heads=HEADS,
            use_spatial_transformer=True,
            transformer_depth=transformers,
            transformer_depth_middle=1,
            context_dim=spec.context,
            legacy=False,
            dtype=dtype,
            device=device,
            operations=operations,
        )
        self.spec = spec
        if spec.kind == "rgb":
            embedding = operations.Conv2d(spec.hint_channels, width, 3, padding=1, device=device, dtype=dtype)
            self.input_hint_block = TimestepEmbedSequential(embedding)
        attend = comfy.ops.scaled_dot_product_attention
        self.motion = nn.ModuleDict(
            {
                f"{site.part}_{site.index}": MotionModule(site.channels, spec.motion, operations, attend, device, dtype)
                for site in spec.motion.sites
            }
        )

    def forward(
        self, x: Tensor, hint: Tensor, timesteps: Tensor, context: Tensor, sparse: SparseCall, **_others
    ) -> dict[str, list[Tensor]]:
        """Residuals of all frames, those between the key images as well.

        Args:
            x: (R, 4, h, w) noisy latents. SparseCtrl is trained on zeros in their place: only size and type count.
            hint: (1, C, H, W) of a frame without a key image, its mask channel 0.
            timesteps: (R,).
            context: (R, T, D) prompt tokens.
            sparse: the key images.

        Returns:
            Lists of (R, C, h, w), as of any ControlNet.
        """
        emb = self.time_embed(timestep_embedding(timesteps, self.model_channels, repeat_only=False).to(x.dtype))
        # Most frames have the same empty hint, so each distinct one is embedded once.
        hints = self.input_hint_block(torch.cat((hint, sparse.keys)), emb, context)
        h, residuals = torch.zeros_like(x), []
        for index, (block, zero_conv) in enumerate(zip(self.input_blocks, self.zero_convs, strict=True)):
            h = block(h, emb, context)
            if index == 0:
                h = h + hints[sparse.rows]
            motion = getattr(self.motion, f"input_{index}", None)
            if motion is not None:
                h = motion(h, sparse.frames, sparse.motion)
            residuals.append(zero_conv(h, emb, context))
        middle = [self.middle_block_out(self.middle_block(h, emb, context), emb, context)]
        return {"middle": _acting(middle, sparse), "output": _acting(residuals, sparse)}


def _acting(residuals: list[Tensor], sparse: SparseCall) -> list[Tensor]:
    if sparse.acting is None:
        return residuals
    return [residual * sparse.acting.to(residual).view(-1, 1, 1, 1) for residual in residuals]
