"""FreeInit inside any core sampler: the sampler of a run is replaced by one that runs it several times.

Shapes: N = frames of the clip, C = latent channels, H, W = latent size, S = sampling steps.
"""

from typing import Any

import torch
from comfy.model_management import throw_exception_if_processing_interrupted
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from comfy.samplers import Sampler
from torch import Tensor

from ...temporal.free_init import FreeInitSettings, low_pass, mix_frequencies
from ...temporal.noise import derived_seed, draw_like
from ..call import keys
from ..call.wrappers import bound, put_on, require_image_latents


def apply_free_init(model: ModelPatcher, settings: FreeInitSettings) -> ModelPatcher:
    """A clone of ``model`` that samples with FreeInit; settings of an earlier call are replaced.

    Raises:
        ValueError: a setting is out of range.
    """
    settings.validate()
    model = model.clone()
    model.set_attachments(keys.FREE_INIT, settings)
    put_on(model, keys.FREE_INIT, {WrappersMP.OUTER_SAMPLE: _start_run})
    return model


def _start_run(executor, *args, **kwargs):
    """OUTER_SAMPLE wrapper.

    The sampler is what every wrapper of every node ends at, so what they do to the noise is done once, before the
    first iteration, in whatever order the nodes stand.
    """
    call = bound(WrappersMP.OUTER_SAMPLE, args, kwargs)
    noise = call.arguments["noise"]
    require_image_latents("FreeInit", noise, "remove the node from the MODEL of a video model")
    settings = executor.class_obj.model_patcher.get_attachment(keys.FREE_INIT)
    call.arguments["sampler"] = FreeInitSampler(call.arguments["sampler"], settings)
    return executor(*call.args, **call.kwargs)


class FreeInitSampler(Sampler):
    """Samples a clip several times; lives as long as a run.

    Args:
        sampler: core's or any pack's sampler, which does the sampling.
        settings: how often to start again and what to keep.
    """

    def __init__(self, sampler: Any, settings: FreeInitSettings):
        for name in ("sampler_function", "extra_options", "inpaint_options"):  # other nodes look at these
            setattr(self, name, getattr(sampler, name, None))
        self.inner = sampler
        self.settings = settings

    def max_denoise(self, model_wrap, sigmas: Tensor) -> bool:
        """Whether the run starts at the model's highest noise level."""
        return self.inner.max_denoise(model_wrap, sigmas)

    def sample(
        self,
        model_wrap,
        sigmas: Tensor,
        extra_args: dict,
        callback,
        noise: Tensor,
        latent_image: Tensor,
        denoise_mask: Tensor | None = None,
        disable_pbar: bool = False,
    ) -> Tensor:
        """Core's entry point, with core's arguments; the first iteration is the run without FreeInit.

        ``noise`` is (N, C, H, W) of variance 1; zeros leave the run as it is, since nothing starts from noise.
        ``sigmas`` are S + 1 noise levels; ``latent_image`` is (N, C, H, W), scaled for the model.
        """
        levels = self.settings.levels(len(sigmas) - 1) if noise.any() else [list(range(len(sigmas)))]
        progress = _Progress(callback, sum(len(visited) - 1 for visited in levels))
        start, result = noise, latent_image
        for number, visited in enumerate(levels):
            throw_exception_if_processing_interrupted()
            if number:
                clean = result if sigmas[-1] == 0 or progress.x0 is None else progress.x0
                start = self._noise_again(model_wrap, sigmas, extra_args, noise, latent_image, clean, number)
                _restart_hooks(model_wrap)
            steps = sigmas[visited]
            args = _iteration_args(extra_args, steps, number)
            result = self.inner.sample(
                model_wrap, steps, args, progress.after_step, start, latent_image, denoise_mask, disable_pbar
            )
            progress.done += len(steps) - 1
        return result

    def _noise_again(self, model_wrap, sigmas, extra_args, noise, latent_image, clean, number: int) -> Tensor:
        """Unit noise from which iteration ``number`` starts.

        The sampler starts at gain * noise + share * latent_image. The low frequencies there shall be those of ``clean``
        at the run's first noise level, with the run's own noise again; the high ones those of a start from fresh noise.
        On an empty latent this is the paper; on an image the fresh start keeps the image's detail.
        """
        sampling = model_wrap.inner_model.model_sampling
        first, full = sigmas[0].cpu(), self.max_denoise(model_wrap, sigmas)
        noise, latent_image, clean = (part.cpu().float() for part in (noise, latent_image, clean))
        zeros = torch.zeros_like(noise)
        gain = sampling.noise_scaling(first, torch.ones_like(noise), zeros, full)
        noisy = sampling.noise_scaling(first, noise, clean, False)
        low = (noisy - sampling.noise_scaling(first, zeros, latent_image, full)) / gain
        fresh = draw_like(noise, derived_seed(extra_args.get("seed") or 0, f"free init {number}"))
        kept = low_pass(self.settings, noise.shape[0], *noise.shape[2:])
        return mix_frequencies(low, fresh, kept).to(sigmas.device)


class _Progress:
    """The run's callback, counting the steps of all iterations as one run; keeps the last prediction."""

    def __init__(self, callback, total: int):
        self.callback = callback
        self.total = total
        self.done = 0
        self.x0: Tensor | None = None

    def after_step(self, step: int, x0: Tensor, x: Tensor, steps: int) -> None:
        self.x0 = x0
        if self.callback is not None:
            self.callback(self.done + step, x0, x, self.total)


def _iteration_args(extra_args: dict, sigmas: Tensor, number: int) -> dict:
    """Arguments of one iteration: its own noise levels, and its own seed for samplers that add noise at each step."""
    options = extra_args["model_options"]
    options = {**options, "transformer_options": {**options["transformer_options"], "sample_sigmas": sigmas}}
    seed = extra_args.get("seed")
    if number and seed is not None:
        seed = derived_seed(seed, f"free init {number} steps")
    return {**extra_args, "model_options": options, "seed": seed}


def _restart_hooks(model_wrap) -> None:
    """Core's hook keyframes only move forward; start them again, with the weights as at the start of a run."""
    groups = [cond["hooks"] for conds in model_wrap.conds.values() for cond in conds if "hooks" in cond]
    for group in groups:
        group.reset()
    if groups:
        model_wrap.model_patcher.clean_hooks()
