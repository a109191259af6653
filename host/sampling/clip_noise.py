"""Noise of a run, before the sampler scales it.

Shapes: N = frames of the clip, C = latent channels, H, W = latent size.
"""

from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ...temporal.noise import NoiseSettings, clip_noise
from ..call.clip_part import NumberedFrames

KEY = "zoetrope_noise"


def apply_noise(model: ModelPatcher, settings: NoiseSettings) -> ModelPatcher:
    """A clone of ``model`` that samples from noise as ``settings`` say; those of an earlier call are replaced.

    Raises:
        ValueError: the settings contradict each other.
    """
    settings.validate()
    model = model.clone()
    model.set_attachments(KEY, settings)
    model.remove_wrappers_with_key(WrappersMP.OUTER_SAMPLE, KEY)
    model.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, _start_run)
    return model


def _start_run(
    executor,
    noise: Tensor,
    latent_image,
    sampler,
    sigmas,
    denoise_mask=None,
    callback=None,
    disable_pbar=False,
    seed=None,
    **kwargs,
):
    """OUTER_SAMPLE wrapper: here noise has variance 1, is on the CPU and its seed is known.

    A run that adds no noise of its own (the second of two samplers) passes zeros and keeps them. So does one that
    samples a part of a clip, whose noise is that of the whole clip's frame numbers.
    """
    check_image_latents("Clip Noise", noise)
    guider = executor.class_obj
    if noise.any() and not isinstance(guider.model_options.get("context_handler"), NumberedFrames):
        noise = clip_noise(guider.model_patcher.get_attachment(KEY), noise, seed or 0)
    return executor(noise, latent_image, sampler, sigmas, denoise_mask, callback, disable_pbar, seed, **kwargs)


def check_image_latents(node: str, noise: Tensor) -> None:
    """Refuse latents whose frames are not on the batch axis.

    Raises:
        ValueError: not (N, C, H, W).
    """
    if noise.ndim != 4:
        raise ValueError(
            f"{node} needs image latents with four axes, frames first, but this model samples a latent of shape "
            f"{tuple(noise.shape)}; remove the node from the MODEL of a video model."
        )
