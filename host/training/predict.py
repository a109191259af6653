"""The noise that a MODEL sees in noisy clips, by the same UNet call that sampling makes.

Shapes: B = clips, F = frames of a clip, C = channels, h, w = size of a latent.
"""

from collections import UserDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import comfy.model_patcher
import comfy.patcher_extension
import torch
from comfy.ldm.modules.attention import attention_pytorch
from comfy.model_base import BaseModel
from comfy.model_patcher import ModelPatcher
from comfy.model_sampling import ModelSamplingDiscrete
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ...inputs.quoting import plain
from ..call import keys
from ..call.run_report import RunReport

COMPILE_WRAPPER = "torch.compile"  # core's key; its graphs are made for inference
Text = Mapping[str, Tensor]  # cross_attn, pooled_output


def plain_attention(_function: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """Torch's own attention, whatever the host uses: it has a gradient and does not look at the free memory."""
    return attention_pytorch(*args, **kwargs)


class NoisePredictor:
    """UNet calls of a training.

    Args:
        model: MODEL, loaded.
        frames: F.
    """

    def __init__(self, model: ModelPatcher, frames: int) -> None:
        self.base: BaseModel = model.model
        self.device: torch.device = model.load_device
        self.frames = frames
        sampling = self.base.model_sampling
        if not isinstance(sampling, ModelSamplingDiscrete):
            raise ValueError(
                f"This MODEL samples by {plain(type(sampling).__name__)}, and training needs the noise levels of SD1.5 or SDXL; "
                "connect such a checkpoint."
            )
        self.sigmas: Tensor = sampling.get_buffer("sigmas").float()
        self.options = _options(model)

    def noisy(self, latents: Tensor, noise: Tensor, timesteps: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Clips at noise levels, in the host's form of them: x = z + sigma * noise.

        Args:
            latents: (B, F, C, h, w) as the VAE gives them.
            noise: the same shape.
            timesteps: of each clip.

        Returns:
            (B, F, C, h, w), and the (B,) sigmas; both on the device of the MODEL.
        """
        sigmas = self.sigmas[list(timesteps)].to(self.device)
        clean = self.base.process_latent_in(latents.to(self.device).flatten(0, 1)).unflatten(0, latents.shape[:2])
        return clean + sigmas.view(-1, 1, 1, 1, 1) * noise.to(self.device), sigmas

    def predict(self, noisy: Tensor, sigmas: Tensor, texts: Sequence[Text], kept: ExitStack) -> Tensor:
        """The noise in clips.

        Args:
            noisy: (B, F, C, h, w) from `noisy`.
            sigmas: (B,) from `noisy`.
            texts: of each clip.
            kept: closed when the gradients are there.

        Returns:
            (B, F, C, h, w) float32: (x - denoised) / sigma, whatever the UNet itself predicts.
        """
        clips = noisy.shape[0]
        rows, levels = noisy.flatten(0, 1), sigmas.repeat_interleave(self.frames)
        options = {
            **self.options,
            "cond_or_uncond": [0] * clips,
            "sigmas": levels,
            keys.CLIP_LENGTH: self.frames,
            keys.RUN_CACHE: UserDict(),
            keys.UNTIL_BACKWARD: kept,
        }
        denoised = self.base.apply_model(rows, levels, transformer_options=options, **self._conditions(rows, texts))
        return ((rows - denoised.float()) / levels.view(-1, 1, 1, 1)).unflatten(0, (clips, self.frames))

    def _conditions(self, rows: Tensor, texts: Sequence[Text]) -> dict[str, Tensor]:
        """What core makes of each clip's text, for all frames of all clips."""
        size = {"height": rows.shape[-2] * 8, "width": rows.shape[-1] * 8}
        found: list[dict[str, Any]] = []
        for text in texts:
            own = {name: value.to(self.device) for name, value in text.items()}
            conditions = self.base.extra_conds(noise=rows[: self.frames], device=self.device, **size, **own)
            found.append(
                {
                    name: condition.process_cond(batch_size=self.frames, device=self.device, area=None)
                    for name, condition in conditions.items()
                }
            )
        return {name: first.concat([other[name] for other in found[1:]]) for name, first in found[0].items()}


def _options(model: ModelPatcher) -> dict[str, Any]:
    """transformer_options as core gives them to each call of a run of ``model``."""
    options = comfy.model_patcher.create_model_options_clone(model.model_options)["transformer_options"]
    for kind, own in (("wrappers", model.wrappers), ("callbacks", model.callbacks)):
        comfy.patcher_extension.merge_nested_dicts(options.setdefault(kind, {}), own, copy_dict1=False)
    options["wrappers"].get(WrappersMP.APPLY_MODEL, {}).pop(COMPILE_WRAPPER, None)
    return {**options, keys.RUN_REPORT: RunReport(), "optimized_attention_override": plain_attention}
