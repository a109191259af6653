"""SparseCtrl as a CONTROL_NET: key images at some frames of a clip guide all of it.

Shapes: R = rows of the UNet call (chunks of F frames, chunk-major), N = key images, K = those that the call sees,
C = channels, H, W = size of the hint, h, w = size of the latents.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import comfy.controlnet
import comfy.latent_formats
import comfy.model_management
import comfy.utils
import torch
from torch import Tensor

from ....motion_models.checkpoints.sparse_ctrl import PIXEL_CHANNELS
from ....motion_models.networks.module_call import ModuleCall
from ....motion_models.networks.positions import require_positions
from ....temporal.sparse_keyframes import Keyframes, plan_keys
from ....temporal.values.frame_values import FrameValues
from ....video.frame_size import PIXELS_PER_LATENT
from ...call.condition_image import encode_image
from ...call.frames import CallFrames, call_frames
from ..compatibility import check_width
from ..frame_control import FrameControl
from ..spec import is_within
from .network import SparseCall, SparseNetwork

CALL = "sparse"  # name of the network's argument


@dataclass(frozen=True, kw_only=True)
class SparseSettings:
    """How key images act.

    Attributes:
        keyframes: where they are in the clip.
        nearest: a window without one borrows the nearest; else the control is off there.
        strength: of each key image, the value at its frame: 0 is as if it were not there. None is 1.
        motion: scale and effect of SparseCtrl's motion modules.
    """

    keyframes: Keyframes = field(default_factory=Keyframes)
    nearest: bool = True
    strength: FrameValues | None = None
    motion: ModuleCall = field(default_factory=ModuleCall)


class SparseControl(comfy.controlnet.ControlNet):
    """Core's ControlNet whose hints are key images at global frame numbers, whatever window a frame is in.

    Core's Apply nodes, samplers and memory management treat it as they treat any ControlNet.

    Args:
        network: None for copies, which share the network of another.
        settings: how key images act.
        options: keyword arguments of core's class.
    """

    # Fields of core's class, which declares them as None or not at all.
    control_model: Any
    cond_hint_original: Any
    vae: Any
    previous_controlnet: Any

    frames_interact = True  # its motion modules see a whole window: frames are neither left out nor run in pieces

    def __init__(self, network: SparseNetwork | None, settings: SparseSettings, **options: Any) -> None:
        super().__init__(network, extra_conds=[], **options)
        self.settings = settings
        self._keys: dict[tuple[int, int], Tensor] = {}  # of this run, by the size of the latents

    def copy(self) -> "SparseControl":
        """Another use of the same network."""
        twin = SparseControl(
            None, self.settings, load_device=self.load_device, manual_cast_dtype=self.manual_cast_dtype
        )
        twin.control_model = self.control_model
        twin.control_model_wrapped = self.control_model_wrapped
        self.copy_to(twin)
        return twin

    def set_cond_hint(self, cond_hint: Tensor, strength=1.0, timestep_percent_range=(0.0, 1.0), vae=None, **options):
        """Take the key images; called by every Apply node.

        Args:
            cond_hint: (N, 3 or 4, height, width) in 0..1, kept by reference; alpha is left out.
            strength: of the whole control.
            timestep_percent_range: start and end in the noise schedule.
            vae: for rgb; scribble needs none.
            options: what core's method takes besides.

        Raises:
            ValueError: rgb has no VAE, or the number of images does not go with the indexes.
        """
        if self.latent_format is not None and vae is None:
            raise ValueError(
                "SparseCtrl rgb needs a VAE to encode its key images; connect the checkpoint's VAE to the vae input of "
                "Apply ControlNet."
            )
        self.settings.keyframes.require(len(cond_hint))
        return super().set_cond_hint(cond_hint, strength, timestep_percent_range, vae, **options)

    def pre_run(self, model, percent_to_timestep_function) -> None:
        """Start afresh: core does not clean up after a run that failed.

        Raises:
            ValueError: the checkpoint is not of SD1.5's kind.
        """
        self._drop()
        check_width(self, model.diffusion_model)
        super().pre_run(model, percent_to_timestep_function)

    def cleanup(self) -> None:
        self._drop()
        super().cleanup()

    def get_control(
        self, x_noisy: Tensor, t: Tensor, cond: dict[str, Any], batched_number: int, transformer_options: dict[str, Any]
    ):
        """Residuals of the chain up to this control for one UNet call.

        Args:
            x_noisy: (R, 4, h, w) latents.
            t: (R,) sigmas.
            cond: conditioning of the call.
            batched_number: conditionings stacked in the rows.
            transformer_options: the call's options; they tell which frames the window holds.

        Raises:
            ValueError: a window is longer than the positions of the network, or the key images do not fit the clip.
        """
        arguments = (x_noisy, t, cond, batched_number, transformer_options)
        within = [is_within(self.timestep_range, level) for level in t.expand(x_noisy.shape[0]).tolist()]
        frames = call_frames(transformer_options, x_noisy.shape[0], batched_number)
        sparse = self._call(x_noisy, frames, within) if any(within) else None
        if sparse is None:
            return None if self.previous_controlnet is None else self.previous_controlnet.get_control(*arguments)
        # With a hint of the right size in place core prepares none; a single one is for all rows.
        self.cond_hint = torch.zeros_like(sparse.keys[:1])
        self.set_extra_arg(CALL, sparse)
        ends, self.timestep_range = self.timestep_range, None  # core looks at the first row only
        try:
            return super().get_control(*arguments)
        finally:
            self.timestep_range = ends
            self._drop_call()

    def _call(self, x: Tensor, frames: CallFrames, within: Sequence[bool]) -> SparseCall | None:
        """What the network is told for this UNet call, or None where no key image acts; ``within`` of each image."""
        limit = self.control_model.spec.motion.max_frames
        cure = f"add Context Windows with a context_length of at most {limit} (core's causal_window_fix adds one frame)"
        require_positions("SparseCtrl", limit, frames.length, cure)
        placed = self.settings.keyframes.placed(len(self.cond_hint_original), frames.total)
        strengths = self._strengths(placed, frames.total)
        plan = plan_keys(frames.by_window, strengths, self.settings.nearest)
        if plan is None:
            return None
        acting = [float(one and other) for one, other in zip(plan.acting * frames.chunks, within, strict=True)]
        return SparseCall(
            keys=self._hints([placed[key] for key in plan.keys], [strengths[key] for key in plan.keys], x),
            rows=torch.tensor(plan.rows * frames.chunks, device=x.device),
            frames=frames.length,
            acting=None if all(acting) else torch.tensor(acting, device=x.device),
            motion=self.settings.motion,
        )

    def _strengths(self, placed: dict[int, int], total: int) -> dict[int, float]:
        """Strength of the key image of each frame that has one; those of strength 0 are left out."""
        if self.settings.strength is None:
            return dict.fromkeys(placed, 1.0)
        values = self.settings.strength.at(total)
        return {frame: values[frame] for frame in placed if values[frame]}

    def _hints(self, images: Sequence[int], strengths: Sequence[float], x: Tensor) -> Tensor:
        """(K, C, H, W) key images with their mask channel, both times their strength, as the network computes."""
        size = (x.shape[-2], x.shape[-1])
        if size not in self._keys:
            self._keys[size] = self._prepared(x)
        chosen = self._keys[size][list(images)]
        hints = torch.cat((chosen, torch.ones_like(chosen[:, :1])), dim=1)
        hints = hints * torch.tensor(strengths).view(-1, 1, 1, 1)
        return hints.to(x.device, self.manual_cast_dtype or self.control_model.dtype)

    def _prepared(self, x: Tensor) -> Tensor:
        """(N, 3 or 4, H, W) all key images at the size of the clip: pixels, or for rgb latents. They stay on the CPU."""
        pixels = self.cond_hint_original[:, :PIXEL_CHANNELS]
        if self.latent_format is None:
            height, width = x.shape[-2] * PIXELS_PER_LATENT, x.shape[-1] * PIXELS_PER_LATENT
            return comfy.utils.common_upscale(pixels, width, height, self.upscale_algorithm, "center").cpu().float()
        # The host lists None for a model that is gone while its network is kept alive by someone.
        loaded = [one for one in comfy.model_management.loaded_models(only_currently_used=True) if one is not None]
        latents = encode_image(pixels.movedim(1, -1), self.vae, {"samples": x})
        comfy.model_management.load_models_gpu(loaded)
        return self.latent_format.process_in(latents).cpu().float()

    def _drop_call(self) -> None:
        self.cond_hint = None
        self.extra_args.pop(CALL, None)

    def _drop(self) -> None:
        self._keys.clear()
        self._drop_call()


def with_settings(control: Any, **changes: Any) -> Any:
    """A copy of a SparseCtrl control with other settings.

    Args:
        control: from Load SparseCtrl, or one that follows the frames around it.
        changes: fields of `SparseSettings`.

    Raises:
        ValueError: it is another kind of ControlNet.
    """
    copy = control.copy() if isinstance(control, SparseControl | FrameControl) else control
    sparse = copy
    while isinstance(sparse, FrameControl):
        sparse = sparse.inner
    if not isinstance(sparse, SparseControl):
        raise ValueError("control_net is no SparseCtrl, and others have no key images; connect Load SparseCtrl.")
    sparse.settings = replace(sparse.settings, **changes)
    return copy


def sparse_control(network: SparseNetwork, motion: ModuleCall, **options: Any) -> SparseControl:
    """A control as it comes from its loader: key images spread over the clip.

    Args:
        network: with its weights.
        motion: scale and effect of its motion modules.
        options: keyword arguments of core's class.
    """
    rgb = network.spec.kind == "rgb"
    control = SparseControl(
        network,
        SparseSettings(motion=motion),
        compression_ratio=1 if rgb else PIXELS_PER_LATENT,
        latent_format=comfy.latent_formats.SD15() if rgb else None,
        **options,
    )
    # Drawings keep their lines: averaged where they shrink, repeated where they grow. Pictures go through encode_image.
    control.upscale_algorithm = "area"
    return control
