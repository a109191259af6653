"""AnimateLCM-I2V: features of a condition image that enter motion modules.

Shapes: N = images, C = channels of a level, h, w = size of its feature map.
"""

from dataclasses import dataclass

from comfy.model_patcher import ModelPatcher
from comfy.sd import VAE
from torch import Tensor, nn

from ...motion_models.networks.image_encoder import ImageEncoder
from ...motion_models.networks.motion_module import MotionNetwork
from ...temporal.hint_policies import hint_indexes
from ..call.condition_image import encode_image, for_unet, require_node
from ..motion.conditioner import ChunkInfo, Features, Guidance, Place, joined, remembered
from ..motion.load import MotionModel


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

        Frames are numbered from the start of the window, as the motion modules number them.
        """
        encoder = network.image_encoder
        if encoder is None:
            return Guidance()
        places: list[Place] = [("input", 3 * level + 2) for level in range(len(encoder.widths))]
        # One image gives one set per window length, for all windows; with an image per frame each has its own.
        windows = chunk.window_frames if self.latent.shape[0] > 1 else chunk.window_frames[:1]
        features = joined([self._features(encoder, frames, chunk) for frames in windows])
        return Guidance(before=dict(zip(places, features, strict=True)))

    def _features(self, encoder: ImageEncoder, frames: tuple[int, ...], chunk: ChunkInfo) -> Features:
        """(frames of the window, C, h, w) of each level, from the cache of the run where they still are."""
        images = self.latent.shape[0]
        rows = hint_indexes("hold", frames, images, chunk.total)

        def encode() -> Features:
            chosen = self.latent if images == 1 else self.latent[rows]
            return encoder(for_unet(chosen, chunk.x, chunk.base), len(frames), self.drift)

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
