"""AnimateLCM-I2V: features of a condition image that enter motion modules.

Shapes: N = images, C = channels of a level, h, w = size of its feature map.
"""

from dataclasses import dataclass

from comfy.model_patcher import ModelPatcher
from comfy.sd import VAE
from torch import Tensor, nn

from ...motion_models.networks.image_encoder import ImageEncoder
from ...motion_models.networks.motion_module import MotionNetwork
from ...motion_models.spec import BlockIndex, require_node
from ...temporal.hint_policies import hint_indexes
from ..call.condition_image import encode_image, for_unet
from ..motion.conditioner import CallInputs, Conditions, Features, cached, concatenated
from ..motion.load import MotionModel


@dataclass(frozen=True, eq=False)
class ImageReferenceConditioner:
    """A condition image for AnimateLCM-I2V; see `Conditioner`.

    Attributes:
        latent: (N, 4, h, w) of the image, as VAE Encode gives it; with N > 1 one for each frame, the last held.
        drift: factor of the frame numbers' embedding, the authors' ``motion_scale``.

    Source:
        G-U-N/AnimateLCM ``animatelcm_sd15/animatelcm/models/unet_blocks.py``: each level's features are added before
        the second motion module of the same level on the way down, for both conditionings.
    """

    latent: Tensor
    drift: float = 0.8
    patcher: ModelPatcher | None = None

    def prepare(self, network: MotionNetwork, own: nn.Module | None, call: CallInputs) -> Conditions:
        """Features for the second block of each level on the way down.

        Frames are numbered from the start of the window, as the motion modules number them.
        """
        encoder = network.image_encoder
        if encoder is None:
            return Conditions()
        blocks: list[BlockIndex] = [("input", 3 * level + 2) for level in range(len(encoder.widths))]
        # One image gives one set per window length, for all windows; with an image per frame each has its own.
        windows = call.frames.by_window if self.latent.shape[0] > 1 else call.frames.by_window[:1]
        features = concatenated([self._features(encoder, frames, call) for frames in windows])
        return Conditions(before=dict(zip(blocks, features, strict=True)))

    def _features(self, encoder: ImageEncoder, frames: tuple[int, ...], call: CallInputs) -> Features:
        """(frames of the window, C, h, w) of each level, from the cache of the run where they still are."""
        images = self.latent.shape[0]
        rows = hint_indexes("hold", frames, images, call.frames.total)

        def encode() -> Features:
            chosen = self.latent if images == 1 else self.latent[rows]
            return encoder(for_unet(chosen, call.x, call.base), len(frames), self.drift)

        return cached(call.cache, (tuple(rows), call.x.shape[-2:]), encode)


def image_reference_conditioner(
    motion: MotionModel, image: Tensor, vae: VAE, latent: dict, drift: float = 0.8
) -> ImageReferenceConditioner:
    """A conditioner from pictures.

    Args:
        motion: the motion model it will act with.
        image: (N, height, width, 3) IMAGE; with N > 1 one picture for each frame, the last held.
        vae: the checkpoint's VAE.
        latent: LATENT of the clip, for its size.
        drift: see `ImageReferenceConditioner`.

    Raises:
        ValueError: not AnimateLCM-I2V's motion model, or a VAE or latent of another kind.
    """
    require_node(motion.spec, motion.name, "Apply AnimateLCM-I2V")
    return ImageReferenceConditioner(encode_image(image, vae, latent), drift)
