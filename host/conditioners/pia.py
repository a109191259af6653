"""PIA: a condition image and affinities that enter the UNet's first convolution.

Shapes: F = frames of a chunk, H, W = latent height and width.
"""

from dataclasses import dataclass

import torch
from comfy.model_patcher import ModelPatcher
from comfy.sd import VAE
from torch import Tensor, nn

from ...inputs.quoting import plain
from ...motion_models.networks.module_call import Value
from ...motion_models.networks.motion_module import MotionNetwork
from ...motion_models.pia_affinity import affinity
from ...motion_models.spec import LATENT_CHANNELS, require_node
from ..call.condition_image import encode_image, for_unet
from ..call.strength import Strength
from ..motion.conditioner import CallInputs, Conditions
from ..motion.load import MotionModel


@dataclass(frozen=True, eq=False)
class PiaConditioner:
    """A condition image with how much each frame resembles it; see `Conditioner`.

    PIA's first convolution has nine input channels. Those of the noisy latents and the bias are the checkpoint's
    own, so the rest is a convolution of its own whose output is added.

    Attributes:
        latent: (1, 4, H, W) of the image, as VAE Encode gives it.
        preset: name of `motion_models.pia_affinity.PRESETS`.
        image_frame: the frame that is the image; negative counts from the end.
        values: affinities in place of the preset's.

    Source:
        open-mmlab/PIA ``animatediff/pipelines/i2v_pipeline.py`` and ``models/unet.py``: the channels are noisy
        latent, affinity and scaled image latent, the same for both conditionings; the affinity multiplies nothing.
    """

    latent: Tensor
    preset: str
    image_frame: int = 0
    values: Strength | None = None
    patcher: ModelPatcher | None = None

    def prepare(self, network: MotionNetwork, own: nn.Module | None, call: CallInputs) -> Conditions:
        """What the first convolution gets of the condition.

        Raises:
            ValueError: the clip has no frame ``image_frame``.
        """
        if network.image_input is None:
            return Conditions()
        key = (call.frames.numbers, call.x.shape[-2:])
        if key not in call.cache:
            call.cache[key] = self._condition(call)
        return Conditions(first_block=network.image_input(call.cache[key]))

    def _condition(self, call: CallInputs) -> Tensor:
        """(F, 5, H, W): affinity, then the image's latent. Only this is kept: the convolution costs next to nothing,
        its output 64 times as much memory.
        """
        numbers, (height, width) = call.frames.numbers, call.x.shape[-2:]
        latent = for_unet(self.latent, call.x, call.base).expand(len(numbers), -1, -1, -1)
        if self.values is None:
            affinities = affinity(self.preset, numbers, call.frames.total, self.image_frame)
            values: Value = torch.tensor(affinities).unsqueeze(1)
        else:
            values = self.values.at(numbers, call.frames.total, height, width, latent)
        pixels = torch.as_tensor(values).to(latent).broadcast_to(len(numbers), height * width)
        return torch.cat((pixels.reshape(-1, 1, height, width), latent), dim=1)


def pia_conditioner(
    model: ModelPatcher,
    motion: MotionModel,
    image: Tensor,
    vae: VAE,
    latent: dict,
    preset: str,
    image_frame: int = 0,
    values: Strength | None = None,
) -> PiaConditioner:
    """A conditioner from a picture.

    Args:
        model: MODEL it will act on.
        motion: the motion model it will act with.
        image: (N, height, width, 3) IMAGE; the first picture counts.
        vae: the checkpoint's VAE.
        latent: LATENT of the clip, for its size.
        preset: name of `motion_models.pia_affinity.PRESETS`.
        image_frame: the frame that is the image; negative counts from the end.
        values: affinities in place of the preset's.

    Raises:
        ValueError: not PIA's motion model, or a MODEL, VAE or latent of another kind.
    """
    require_node(motion.spec, motion.name, "Apply PIA")
    channels = getattr(model.get_model_object("diffusion_model"), "in_channels", LATENT_CHANNELS)
    if channels != LATENT_CHANNELS:
        raise ValueError(
            f"The UNet of this MODEL takes {plain(channels)} input channels, but PIA adds its condition to those of "
            f"{LATENT_CHANNELS}; connect a plain SD1.5 checkpoint, not one for inpainting or editing."
        )
    return PiaConditioner(encode_image(image[:1], vae, latent), preset, image_frame, values)
