"""A training step at SD1.5's true widths, ours and diffusers', for ``training.py``.

Shapes: B = 1 clip, F = frames, C = 4 latent channels, h, w = size of a latent, T = tokens, D = width of the text encoder.
"""

import importlib.util
from contextlib import ExitStack

import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.supported_models
import comfy.utils
import torch

from support.files.motion import motion_file
from support.toy_models import unet as toy
from support.toy_models.motion import diffusers_layout
from support.training_clips import ToyClip, ToyClips
from zoetrope.host.motion.load import MotionModel
from zoetrope.host.training.motion_lora import MotionLoraOptions, motion_lora_target
from zoetrope.host.training.motion_model import learning_patcher, motion_model_target
from zoetrope.host.training.placement import Placement
from zoetrope.host.training.predict import NoisePredictor
from zoetrope.host.training.recompute import layers_in_training
from zoetrope.host.training.target import Target
from zoetrope.host.training.weights import learning, leave_inference_mode
from zoetrope.motion_models.checkpoints.motion_model import read_motion_checkpoint
from zoetrope.motion_models.networks.positions import sinusoidal_positions
from zoetrope.training.loss_scale import LossScale
from zoetrope.training.losses import noise_loss
from zoetrope.training.optimiser import Optimiser
from zoetrope.training.settings import TrainingSettings

CHANNELS, LEVELS = 320, (1, 2, 4, 4)  # of SD1.5: channels of the first level, and how many times as many each has
TEXT = (1, 77, 768)
RANK, POSITIONS, TIMESTEP = 32, 32, 500
RATE = 1e-4
ALPHAS = torch.cumprod(1 - torch.linspace(0.00085, 0.012, 1000, dtype=torch.float64), dim=0)  # "linear" of diffusers
SCALE = 0.18215  # of SD1.5's latents


class Clip:
    """Seeded latents (1, F, C, h, w), their noise and a text (1, T, D)."""

    def __init__(self, frames: int, size: int) -> None:
        generator = torch.Generator().manual_seed(1)
        self.frames, self.size = frames, size
        self.latents = torch.randn((1, frames, 4, size, size), generator=generator) * 5
        self.noise = torch.randn(self.latents.shape, generator=generator)
        self.text = torch.randn(TEXT, generator=generator)


def checkpoint(channels: int = CHANNELS, dtype: torch.dtype = torch.float32) -> comfy.model_patcher.ModelPatcher:
    """SD1.5's image network with seeded weights."""
    config = {
        **toy.toy_sd15_unet_config(dtype),
        "model_channels": channels,
        "channel_mult": list(LEVELS),
        "context_dim": TEXT[-1],
        "num_heads": 8,
    }
    model = toy.fill(comfy.model_base.BaseModel(comfy.supported_models.SD15(config), device=toy.CPU), 0)
    device = comfy.model_management.get_torch_device()
    return comfy.model_patcher.CoreModelPatcher(model, load_device=device, offload_device=toy.CPU)


def motion_weights(channels: int = CHANNELS) -> dict[str, torch.Tensor]:
    """A motion model file in the shape of v3 with seeded weights."""
    widths = tuple(channels * times for times in LEVELS)
    weights = motion_file(widths=widths, middle=False, positions=POSITIONS, seed=2)
    for name, weight in weights.items():
        if name.endswith(".pe"):
            weights[name] = sinusoidal_positions(POSITIONS, weight.shape[-1])
        elif "proj_out" in name:
            weights[name] = weight * 0.3
    return weights


def has_peft() -> bool:
    """Whether diffusers' side can have a MotionLoRA."""
    return importlib.util.find_spec("peft") is not None


class Ours:
    """The pack's step, made of what its loop is made of."""

    def __init__(
        self,
        stage: str,
        model: comfy.model_patcher.ModelPatcher,
        motion: dict[str, torch.Tensor],
        clip: Clip,
    ) -> None:
        spec, weights = read_motion_checkpoint(dict(motion), "v3.safetensors")
        motion.clear()
        still = MotionModel("v3.safetensors", spec, learning_patcher(spec, weights), "")
        self.clip = clip
        self.target: Target = (
            motion_model_target(model, still, seed=0)
            if stage == "motion_model"
            else motion_lora_target(model, still, MotionLoraOptions(rank=RANK), seed=0)
        )
        del still, weights
        settings = TrainingSettings(frames=clip.frames, learning_rate=RATE)
        shape = ToyClips((ToyClip("clip", "", clip.frames, clip.size, clip.size),))
        placement = Placement(self.target, shape, settings, clip.frames)
        placement.load()
        self.networks = [patcher.model for patcher in self.target.patchers]
        leave_inference_mode(self.networks)
        self.kept = ExitStack()
        weights = self.kept.enter_context(learning(self.networks, self.target.holders))
        self.optimiser = Optimiser(weights, settings, LossScale(placement.dtype == torch.float16))
        self.predictor = NoisePredictor(self.target.model, clip.frames)

    def _predicted(self, kept: ExitStack) -> torch.Tensor:
        noisy, sigmas = self.predictor.noisy(self.clip.latents, self.clip.noise, [TIMESTEP])
        return self.predictor.predict(noisy, sigmas, [{"cross_attn": self.clip.text}], kept)

    def prediction(self) -> torch.Tensor:
        """(1, F, C, h, w) noise."""
        with torch.no_grad(), layers_in_training(self.networks, "none"), ExitStack() as kept:
            return self._predicted(kept)

    def step(self, checkpointing: bool | str) -> None:
        """Forward, backward, AdamW."""
        choice = checkpointing if isinstance(checkpointing, str) else ("all" if checkpointing else "none")
        with layers_in_training(self.networks, choice), ExitStack() as kept:
            predicted = self._predicted(kept)
            loss = noise_loss(predicted, self.clip.noise.to(predicted)).mean()
            (loss * self.optimiser.scale.value).backward()
        self.optimiser.step(0)

    def close(self) -> None:
        """Let go of the models."""
        self.kept.close()
        self.target.model.cleanup()
        comfy.model_management.unload_all_models()


class Theirs:
    """The same step as diffusers' examples write it, with gradients in the same weights."""

    def __init__(
        self, stage: str, model: comfy.model_patcher.ModelPatcher, motion: dict[str, torch.Tensor], clip: Clip
    ) -> None:
        from diffusers import MotionAdapter, UNet2DConditionModel, UNetMotionModel
        from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D

        from support.references.diffusers_unets import PerFrameNorm

        self.exact_norm = PerFrameNorm
        ours = model.model.diffusion_model.state_dict()
        widths = tuple(model.model.model_config.unet_config["model_channels"] * times for times in LEVELS)
        with torch.device("meta"):  # weights come from ours
            image = UNet2DConditionModel(block_out_channels=widths, cross_attention_dim=TEXT[-1], attention_head_dim=8)
            adapter = MotionAdapter(
                block_out_channels=widths, motion_max_seq_length=POSITIONS, use_motion_mid_block=False
            )
            unet = UNetMotionModel.from_unet2d(image, adapter, load_weights=False)
        names = comfy.utils.unet_to_diffusers(model.model.model_config.unet_config)
        weights = {name: ours[names[name]] for name in image.state_dict()} | diffusers_layout(motion)
        unet.load_state_dict(weights, strict=True, assign=True)
        self.unet = unet.train().requires_grad_(False)
        self.clip = clip
        if stage == "motion_lora":
            from peft import LoraConfig

            layers = r".*motion_modules.*\.(to_q|to_k|to_v|to_out\.0)"
            unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=layers))
        else:
            for name, weight in unet.named_parameters():
                weight.requires_grad_("motion_modules" in name)
        self.learning = [weight for weight in unet.parameters() if weight.requires_grad]
        self.adam = torch.optim.AdamW(self.learning, lr=RATE, weight_decay=1e-2)
        # The norm of v3's own code, which is ours; diffusers' takes all frames of a clip together.
        self.modules = [layer for layer in unet.modules() if isinstance(layer, AnimateDiffTransformer3D)]
        for layer in self.modules:
            layer.norm = PerFrameNorm(layer.norm)

    def as_published(self) -> None:
        """The norm as diffusers has it, so that the detour of ours costs them nothing."""
        for layer in self.modules:
            if isinstance(layer.norm, self.exact_norm):
                layer.norm = layer.norm.norm

    def _predicted(self) -> torch.Tensor:
        alpha = ALPHAS[TIMESTEP]
        clip = self.clip
        x = (alpha.sqrt() * clip.latents * SCALE + (1 - alpha).sqrt() * clip.noise).float()
        text = clip.text.expand(clip.frames, -1, -1)
        return self.unet(x.transpose(1, 2), torch.tensor([TIMESTEP]), text).sample.transpose(1, 2)

    @torch.no_grad()
    def prediction(self) -> torch.Tensor:
        """(1, F, C, h, w) noise."""
        return self._predicted()

    def step(self, checkpointing: bool) -> None:
        """Forward, backward, AdamW."""
        self.as_published()
        if checkpointing:
            self.unet.enable_gradient_checkpointing()
        else:
            self.unet.disable_gradient_checkpointing()
        torch.nn.functional.mse_loss(self._predicted(), self.clip.noise).backward()
        torch.nn.utils.clip_grad_norm_(self.learning, 1.0)
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
