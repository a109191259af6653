"""AnimateLCM-I2V: features of a condition image that enter motion modules.

Shapes: F = frames of a chunk, N = images, C = channels of a level, h, w = size of its feature map.
"""

from dataclasses import dataclass

from comfy.model_patcher import ModelPatcher
from comfy.sd import VAE
from torch import Tensor, nn

from ..motion_models.image_encoder import ImageEncoder
from ..motion_models.network import MotionNetwork
from ..temporal.hints import hint_indexes
from .condition_image import encode_image, for_unet, require_node
from .guides import ChunkInfo, Features, Guidance, Place, remembered
from .motion import MotionModel


@dataclass(frozen=True, eq=False)
class ImageReferenceGuide:
    """A condition image for AnimateLCM-I2V; see `Guide`.

    Attributes:
        latent: (N, 4, H, W) of the image, as VAE Encode gives it; with N > 1 one for each frame, the last held.
        drift: factor of the frame numbers' embedding, the authors' ``motion_scale``.

    Source:
        G-U-N/AnimateLCM ``animatelcm_sd15/animatelcm/models/unet_blocks.py``: each level's features are added before
        the second motion module of the same level on the way down, for both conditionings.
    """

    latent: Tensor
    drift: float = 0.8
    patcher: ModelPatcher | None = None

    def prepare(self, network: MotionNetwork, own: nn.Module | None, chunk: ChunkInfo) -> Guidance:
        """Features for the second block of each level on the way down.

        Frames are numbered from the start of the chunk, as the motion modules number them.
        """
        encoder = network.image_encoder
        if encoder is None:
            return Guidance()
        places: list[Place] = [("input", 3 * level + 2) for level in range(len(encoder.widths))]
        return Guidance(before=dict(zip(places, self._features(encoder, chunk), strict=True)))

    def _features(self, encoder: ImageEncoder, chunk: ChunkInfo) -> Features:
        """(F, C, h, w) of each level, from the cache of the run where they still are."""
        images = self.latent.shape[0]
        # One image gives one set per window length; with an image per frame each window has its own.
        rows = hint_indexes("hold", chunk.frames, images, chunk.total)

        def encode() -> Features:
            chosen = self.latent if images == 1 else self.latent[rows]
            return encoder(for_unet(chosen, chunk.x, chunk.base), len(chunk.frames), self.drift)

        return remembered(chunk.cache, (tuple(rows), chunk.x.shape[-2:]), encode)


def image_reference_guide(
    motion: MotionModel, image: Tensor, vae: VAE, latent: dict, drift: float = 0.8
) -> ImageReferenceGuide:
    """A guide from pictures.

    Args:
        motion: the motion model it will act with.
        image: (N, height, width, 3) IMAGE; with N > 1 one picture for each frame, the last held.
        vae: the checkpoint's VAE.
        latent: LATENT of the clip, for its size.
        drift: see `ImageReferenceGuide`.

    Raises:
        ValueError: not AnimateLCM-I2V's motion model, or a VAE or latent of another kind.
    """
    require_node(motion.spec, motion.name, "Apply AnimateLCM-I2V")
    return ImageReferenceGuide(encode_image(image, vae, latent), drift)
