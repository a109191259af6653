"""Noise of a run, before the sampler scales it.

Shapes: N = frames of the clip, C = latent channels, H, W = latent size.
"""

from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP

from ...temporal.noise import NoiseSettings, clip_noise
from ..call import keys
from ..call.clip_part import ClipPartHandler
from ..call.wrappers import bound, put_on, require_image_latents


def apply_noise(model: ModelPatcher, settings: NoiseSettings) -> ModelPatcher:
    """A clone of ``model`` that samples from noise as ``settings`` say; those of an earlier call are replaced.

    Raises:
        ValueError: the settings contradict each other.
    """
    settings.validate()
    model = model.clone()
    model.set_attachments(keys.CLIP_NOISE, settings)
    put_on(model, keys.CLIP_NOISE, {WrappersMP.OUTER_SAMPLE: _start_run})
    return model


def _start_run(executor, *args, **kwargs):
    """OUTER_SAMPLE wrapper: here noise (N, C, H, W) has variance 1, is on the CPU and its seed is known.

    A run that adds no noise of its own (the second of two samplers) passes zeros and keeps them. So does one that
    samples a part of a clip, whose noise is that of the whole clip's frame numbers.
    """
    call, guider = bound(WrappersMP.OUTER_SAMPLE, args, kwargs), executor.class_obj
    noise = call.arguments["noise"]
    require_image_latents("Clip Noise", noise, "remove the node from the MODEL of a video model")
    if noise.any() and not isinstance(guider.model_options.get("context_handler"), ClipPartHandler):
        settings, seed = guider.model_patcher.get_attachment(keys.CLIP_NOISE), call.arguments.get("seed")
        call.arguments["noise"] = clip_noise(settings, noise, seed or 0)
    return executor(*call.args, **call.kwargs)
